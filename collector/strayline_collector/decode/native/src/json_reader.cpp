#include "json_reader.h"

#include "swar.h"
#include "utf8.h"
#include "wire.h"

namespace strayline {
namespace {

[[noreturn]] void broken() { throw BadInput("it is not JSON"); }

void put_utf8(Buffer& out, uint32_t point) {
    const auto byte = [&](uint32_t value) { out.put(static_cast<char>(static_cast<uint8_t>(value))); };
    if (point < 0x80) {
        byte(point);
    } else if (point < 0x800) {
        byte(0xC0 | point >> 6);
        byte(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        byte(0xE0 | point >> 12);
        byte(0x80 | (point >> 6 & 0x3F));
        byte(0x80 | (point & 0x3F));
    } else {
        byte(0xF0 | point >> 18);
        byte(0x80 | (point >> 12 & 0x3F));
        byte(0x80 | (point >> 6 & 0x3F));
        byte(0x80 | (point & 0x3F));
    }
}

bool is_high(uint32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low(uint32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

}  // namespace

JsonReader::JsonReader(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {
    if (!valid_utf8(text)) throw BadInput("it is not UTF-8");
    if (text.substr(0, 3) == "\xEF\xBB\xBF") at_ += 3;
}

char JsonReader::peek() {
    space();
    if (at_ == end_) broken();
    return *at_;
}

std::string_view JsonReader::string() {
    if (at_ == end_ || *at_ != '"') broken();
    const char* start = ++at_;
    bool escaped = false;
    for (;;) {
        if (end_ - at_ >= 8 && !json_special(at_)) {
            at_ += 8;
            continue;
        }
        if (at_ == end_ || static_cast<uint8_t>(*at_) < 0x20) broken();
        if (*at_ == '"') break;
        if (*at_ != '\\') {
            ++at_;
            continue;
        }
        if (!escaped) decoded_.resize(0);
        escaped = true;
        decoded_.put({start, static_cast<size_t>(at_ - start)});
        ++at_;
        escape();
        start = at_;
    }
    const std::string_view rest(start, static_cast<size_t>(at_ - start));
    ++at_;
    if (!escaped) return rest;
    decoded_.put(rest);
    return decoded_.view();
}

void JsonReader::escape() {
    if (at_ == end_) broken();
    switch (*at_++) {
        case '"': decoded_.put('"'); return;
        case '\\': decoded_.put('\\'); return;
        case '/': decoded_.put('/'); return;
        case 'b': decoded_.put('\b'); return;
        case 'f': decoded_.put('\f'); return;
        case 'n': decoded_.put('\n'); return;
        case 'r': decoded_.put('\r'); return;
        case 't': decoded_.put('\t'); return;
        case 'u': break;
        default: broken();
    }
    uint32_t point = four_hex();
    if (is_high(point) && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
        const char* back = at_;
        at_ += 2;
        const uint32_t low = four_hex();
        if (is_low(low)) {
            point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
        } else {
            at_ = back;
        }
    }
    put_utf8(decoded_, is_high(point) || is_low(point) ? 0xFFFD : point);
}

uint32_t JsonReader::four_hex() {
    if (end_ - at_ < 4) broken();
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
        const char byte = *at_++;
        value <<= 4;
        if (byte >= '0' && byte <= '9') {
            value |= static_cast<uint32_t>(byte - '0');
        } else if (byte >= 'a' && byte <= 'f') {
            value |= static_cast<uint32_t>(byte - 'a' + 10);
        } else if (byte >= 'A' && byte <= 'F') {
            value |= static_cast<uint32_t>(byte - 'A' + 10);
        } else {
            broken();
        }
    }
    return value;
}

std::string_view JsonReader::number() {
    const char* start = at_;
    if (at_ != end_ && *at_ == '-') ++at_;
    if (at_ != end_ && *at_ == '0') {
        ++at_;
    } else if (!digits()) {
        broken();
    }
    if (at_ != end_ && *at_ == '.') {
        ++at_;
        if (!digits()) broken();
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
        ++at_;
        if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
        if (!digits()) broken();
    }
    return {start, static_cast<size_t>(at_ - start)};
}

bool JsonReader::digits() {
    const char* start = at_;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    return at_ != start;
}

bool JsonReader::boolean() {
    if (word("true")) return true;
    if (word("false")) return false;
    broken();
}

bool JsonReader::null() { return peek() == 'n' && (word("null") || (broken(), false)); }

bool JsonReader::word(std::string_view text) {
    if (static_cast<size_t>(end_ - at_) < text.size() ||
        std::string_view(at_, text.size()) != text)
        return false;
    at_ += text.size();
    return true;
}

void JsonReader::skip() {
    switch (peek()) {
        case '{': object([&](std::string_view) { skip(); }); return;
        case '[': array([&] { skip(); }); return;
        case '"': string(); return;
        case 't':
        case 'f': boolean(); return;
        case 'n': null(); return;
        default: number(); return;
    }
}

void JsonReader::finish() {
    space();
    if (at_ != end_) broken();
}

void JsonReader::space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
}

void JsonReader::enter(char open) {
    expect(open);
    if (++depth_ > kMaxJsonDepth) throw BadInput("it is nested too deeply");
}

bool JsonReader::leave(char close) {
    if (peek() != close) return false;
    ++at_;
    --depth_;
    return true;
}

bool JsonReader::more(char close) {
    if (leave(close)) return false;
    expect(',');
    return true;
}

void JsonReader::expect(char byte) {
    if (peek() != byte) broken();
    ++at_;
}

}  // namespace strayline
