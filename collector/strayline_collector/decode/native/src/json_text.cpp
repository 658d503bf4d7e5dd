#include "json_text.h"

#include <array>
#include <charconv>
#include <cstdlib>

#include "swar.h"

namespace strayline {
namespace {

constexpr char kHex[] = "0123456789abcdef";

bool plain(uint8_t byte) { return byte >= 0x20 && byte != '"' && byte != '\\'; }

void escape(Buffer& out, uint8_t byte) {
    switch (byte) {
        case '"': out.put("\\\""); return;
        case '\\': out.put("\\\\"); return;
        case '\n': out.put("\\n"); return;
        case '\r': out.put("\\r"); return;
        case '\t': out.put("\\t"); return;
        case '\f': out.put("\\f"); return;
        case '\b': out.put("\\b"); return;
        default: break;
    }
    out.put("\\u00");
    out.put(kHex[byte >> 4]);
    out.put(kHex[byte & 15]);
}

template <typename T>
void decimal(Buffer& out, T number) {
    char* start = out.room(24);
    out.grown(static_cast<size_t>(std::to_chars(start, start + 24, number).ptr - start));
}

}  // namespace

void json_string(Buffer& out, std::string_view text) {
    out.put('"');
    size_t start = 0;
    size_t at = 0;
    while (at < text.size()) {
        if (text.size() - at >= 8 && !json_special(text.data() + at)) {
            at += 8;
            continue;
        }
        const auto byte = static_cast<uint8_t>(text[at]);
        if (!plain(byte)) {
            out.put(text.substr(start, at - start));
            escape(out, byte);
            start = at + 1;
        }
        ++at;
    }
    out.put(text.substr(start));
    out.put('"');
}

void json_integer(Buffer& out, int64_t number) { decimal(out, number); }

void json_unsigned(Buffer& out, uint64_t number) { decimal(out, number); }

// The shortest digits that read back as the same number; an exponent below 1e-4 and from 1e16 on.
void json_double(Buffer& out, double number) {
    std::array<char, 40> raw;
    const auto end =
        std::to_chars(raw.data(), raw.data() + raw.size(), number, std::chars_format::scientific).ptr;
    std::string_view text(raw.data(), static_cast<size_t>(end - raw.data()));
    if (text.front() == '-') {
        out.put('-');
        text.remove_prefix(1);
    }
    const size_t mark = text.find('e');
    std::array<char, 24> digits;
    size_t count = 0;
    for (const char byte : text.substr(0, mark))
        if (byte != '.') digits[count++] = byte;
    const std::string_view shortest(digits.data(), count);
    int exponent = 0;
    const std::string_view power = text.substr(mark + (text[mark + 1] == '+' ? 2 : 1));
    std::from_chars(power.data(), power.data() + power.size(), exponent);
    if (exponent < -4 || exponent >= 16) {
        out.put(shortest[0]);
        if (count > 1) {
            out.put('.');
            out.put(shortest.substr(1));
        }
        out.put(exponent < 0 ? "e-" : "e+");
        const int size = std::abs(exponent);
        if (size < 10) out.put('0');
        decimal(out, size);
    } else if (exponent < 0) {
        out.put(std::string_view("0.000", static_cast<size_t>(1 - exponent)));
        out.put(shortest);
    } else {
        const auto whole = static_cast<size_t>(exponent) + 1;
        if (count <= whole) {
            out.put(shortest);
            for (size_t i = count; i < whole; ++i) out.put('0');
            out.put(".0");
        } else {
            out.put(shortest.substr(0, whole));
            out.put('.');
            out.put(shortest.substr(whole));
        }
    }
}

void base64(Buffer& out, std::string_view bytes) {
    constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < bytes.size(); at += 3) {
        const size_t left = bytes.size() - at;
        uint32_t group = static_cast<uint32_t>(static_cast<uint8_t>(bytes[at])) << 16;
        if (left > 1) group |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + 1])) << 8;
        if (left > 2) group |= static_cast<uint8_t>(bytes[at + 2]);
        char* to = out.room(4);
        to[0] = alphabet[group >> 18];
        to[1] = alphabet[group >> 12 & 63];
        to[2] = left > 1 ? alphabet[group >> 6 & 63] : '=';
        to[3] = left > 2 ? alphabet[group & 63] : '=';
        out.grown(4);
    }
}

void hex(Buffer& out, std::string_view bytes) {
    char* to = out.room(bytes.size() * 2);
    for (const char byte : bytes) {
        *to++ = kHex[static_cast<uint8_t>(byte) >> 4];
        *to++ = kHex[static_cast<uint8_t>(byte) & 15];
    }
    out.grown(bytes.size() * 2);
}

}  // namespace strayline
