#include "from_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

#if defined(__APPLE__)
#include <xlocale.h>
#endif
#include <locale.h>

#include "json_reader.h"
#include "wire.h"

namespace strayline {
namespace {

enum class Type : uint8_t {
    kMessage, kString, kBase64, kHex, kBool, kUint32, kInt64, kFixed64, kFixed32, kDouble, kKind, kCode,
};

struct Field;

struct Message {
    const Field* fields;
    size_t count;
    bool one_of = false;  // all fields are members of one oneof
};

struct Field {
    std::string_view name;
    uint32_t number;
    Type type;
    bool repeated = false;
    const Message* message = nullptr;
};

extern const Message kAnyValue;
extern const Message kKeyValue;

#define STRAYLINE_MESSAGE(name, ...)                  \
    constexpr Field name##Fields[] = {__VA_ARGS__};   \
    constexpr Message name = {name##Fields, std::size(name##Fields)}

STRAYLINE_MESSAGE(kArrayValue, {"values", 1, Type::kMessage, true, &kAnyValue});
STRAYLINE_MESSAGE(kKeyValueList, {"values", 1, Type::kMessage, true, &kKeyValue});

constexpr Field kAnyValueFields[] = {
    {"stringValue", 1, Type::kString},
    {"boolValue", 2, Type::kBool},
    {"intValue", 3, Type::kInt64},
    {"doubleValue", 4, Type::kDouble},
    {"arrayValue", 5, Type::kMessage, false, &kArrayValue},
    {"kvlistValue", 6, Type::kMessage, false, &kKeyValueList},
    {"bytesValue", 7, Type::kBase64},
};
const Message kAnyValue = {kAnyValueFields, std::size(kAnyValueFields), true};

constexpr Field kKeyValueFields[] = {
    {"key", 1, Type::kString},
    {"value", 2, Type::kMessage, false, &kAnyValue},
};
const Message kKeyValue = {kKeyValueFields, std::size(kKeyValueFields)};

STRAYLINE_MESSAGE(kStatus, {"message", 2, Type::kString}, {"code", 3, Type::kCode});

STRAYLINE_MESSAGE(kEvent,
    {"timeUnixNano", 1, Type::kFixed64},
    {"name", 2, Type::kString},
    {"attributes", 3, Type::kMessage, true, &kKeyValue},
    {"droppedAttributesCount", 4, Type::kUint32});

STRAYLINE_MESSAGE(kLink,
    {"traceId", 1, Type::kHex},
    {"spanId", 2, Type::kHex},
    {"traceState", 3, Type::kString},
    {"attributes", 4, Type::kMessage, true, &kKeyValue},
    {"droppedAttributesCount", 5, Type::kUint32},
    {"flags", 6, Type::kFixed32});

STRAYLINE_MESSAGE(kSpan,
    {"traceId", 1, Type::kHex},
    {"spanId", 2, Type::kHex},
    {"traceState", 3, Type::kString},
    {"parentSpanId", 4, Type::kHex},
    {"name", 5, Type::kString},
    {"kind", 6, Type::kKind},
    {"startTimeUnixNano", 7, Type::kFixed64},
    {"endTimeUnixNano", 8, Type::kFixed64},
    {"attributes", 9, Type::kMessage, true, &kKeyValue},
    {"droppedAttributesCount", 10, Type::kUint32},
    {"events", 11, Type::kMessage, true, &kEvent},
    {"droppedEventsCount", 12, Type::kUint32},
    {"links", 13, Type::kMessage, true, &kLink},
    {"droppedLinksCount", 14, Type::kUint32},
    {"status", 15, Type::kMessage, false, &kStatus},
    {"flags", 16, Type::kFixed32});

STRAYLINE_MESSAGE(kScope,
    {"name", 1, Type::kString},
    {"version", 2, Type::kString},
    {"attributes", 3, Type::kMessage, true, &kKeyValue},
    {"droppedAttributesCount", 4, Type::kUint32});

STRAYLINE_MESSAGE(kScopeSpans,
    {"scope", 1, Type::kMessage, false, &kScope},
    {"spans", 2, Type::kMessage, true, &kSpan},
    {"schemaUrl", 3, Type::kString});

STRAYLINE_MESSAGE(kEntityRef,
    {"schemaUrl", 1, Type::kString},
    {"type", 2, Type::kString},
    {"idKeys", 3, Type::kString, true},
    {"descriptionKeys", 4, Type::kString, true});

STRAYLINE_MESSAGE(kResource,
    {"attributes", 1, Type::kMessage, true, &kKeyValue},
    {"droppedAttributesCount", 2, Type::kUint32},
    {"entityRefs", 3, Type::kMessage, true, &kEntityRef});

STRAYLINE_MESSAGE(kResourceSpans,
    {"resource", 1, Type::kMessage, false, &kResource},
    {"scopeSpans", 2, Type::kMessage, true, &kScopeSpans},
    {"schemaUrl", 3, Type::kString});

STRAYLINE_MESSAGE(kRequest, {"resourceSpans", 1, Type::kMessage, true, &kResourceSpans});

#undef STRAYLINE_MESSAGE

constexpr size_t kMostFields = std::size(kSpanFields);

constexpr std::array<std::string_view, 6> kKinds = {
    "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",      "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER",
};
constexpr std::array<std::string_view, 3> kCodes = {
    "STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR",
};

[[noreturn]] void wrong(const Field& field, const char* expected) {
    throw BadInput(std::string(field.name) + ": expected " + expected);
}

bool digit(char byte) { return byte >= '0' && byte <= '9'; }

// -?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?, NUMBER in otlp_json.py
bool is_number(std::string_view text, bool& whole) {
    size_t at = 0;
    const auto some_digits = [&] {
        const size_t start = at;
        while (at < text.size() && digit(text[at])) ++at;
        return at != start;
    };
    whole = true;
    if (at < text.size() && text[at] == '-') ++at;
    if (!some_digits()) return false;
    if (at < text.size() && text[at] == '.') {
        ++at;
        whole = false;
        if (!some_digits()) return false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        whole = false;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        if (!some_digits()) return false;
    }
    return at == text.size();
}

// Correctly rounded, whatever locale the process has.
double to_double(std::string_view number) {
    static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
    if (c_locale == nullptr) throw std::bad_alloc();
    const std::string text(number);
    return strtod_l(text.c_str(), nullptr, c_locale);
}

struct Integer {
    bool negative = false;
    uint64_t size = 0;
};

// False when the number is no integer, or beyond 64 bits.
bool to_integer(std::string_view number, bool whole, Integer& out) {
    if (!whole) {
        const double value = to_double(number);
        if (!std::isfinite(value) || value != std::trunc(value)) return false;
        if (std::fabs(value) >= 18446744073709551616.0) return false;
        out = {value < 0, static_cast<uint64_t>(std::fabs(value))};
        return true;
    }
    out = {};
    if (number.front() == '-') {
        out.negative = true;
        number.remove_prefix(1);
    }
    for (const char byte : number) {
        const auto next = static_cast<uint64_t>(byte - '0');
        if (out.size > (UINT64_MAX - next) / 10) return false;
        out.size = out.size * 10 + next;
    }
    if (out.size == 0) out.negative = false;
    return true;
}

int nibble(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

int sextet(char byte) {
    if (byte >= 'A' && byte <= 'Z') return byte - 'A';
    if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9') return byte - '0' + 52;
    if (byte == '+' || byte == '-') return 62;
    if (byte == '/' || byte == '_') return 63;
    return -1;
}

class Converter {
  public:
    explicit Converter(std::string_view text) : in_(text) {}

    Buffer convert() {
        if (in_.peek() != '{') throw BadInput("it is no object");
        message(kRequest, 0);
        in_.finish();
        return std::move(out_);
    }

  private:
    struct Range {
        size_t start = 0;
        size_t end = 0;
    };

    // What a message has so far, so that a name given again replaces what was said before.
    struct Slots {
        std::array<Range, kMostFields> ranges{};
        size_t member = kMostFields;  // which member of the oneof stands
        std::vector<Range> dead;
    };

    void message(const Message& message, int depth) {
        if (depth > kMaxDepth) throw BadInput("it is nested too deeply");
        const size_t start = out_.size();
        Slots slots;
        in_.object([&](std::string_view name) {
            const auto* end = message.fields + message.count;
            const auto* found = std::find_if(
                message.fields, end, [&](const Field& field) { return field.name == name; });
            if (found == end) return in_.skip();
            const auto at = static_cast<size_t>(found - message.fields);
            if (in_.null()) return forget(slots, slots.ranges[at]);
            const size_t before = out_.size();
            if (!value(*found, depth)) return forget(slots, slots.ranges[at]);
            if (message.one_of && slots.member != kMostFields)
                forget(slots, slots.ranges[slots.member]);
            forget(slots, slots.ranges[at]);
            slots.ranges[at] = {before, out_.size()};
            slots.member = at;
        });
        if (!slots.dead.empty()) cut(start, slots.dead);
    }

    static void forget(Slots& slots, Range& range) {
        if (range.end != range.start) slots.dead.push_back(range);
        range = {};
    }

    // Takes ranges of the output out.
    void cut(size_t start, std::vector<Range>& dead) {
        std::sort(dead.begin(), dead.end(),
                  [](const Range& a, const Range& b) { return a.start < b.start; });
        size_t to = dead.front().start;
        if (to < start) return;  // never: ranges are the message's own
        for (size_t i = 0; i < dead.size(); ++i) {
            const size_t from = dead[i].end;
            const size_t until = i + 1 < dead.size() ? dead[i + 1].start : out_.size();
            std::memmove(out_.data() + to, out_.data() + from, until - from);
            to += until - from;
        }
        out_.resize(to);
    }

    // Writes a field with its value. False when there is nothing to write.
    bool value(const Field& field, int depth) {
        if (!field.repeated) return single(field, depth);
        if (in_.peek() != '[') wrong(field, "a list");
        in_.array([&] { single(field, depth); });
        return true;
    }

    bool single(const Field& field, int depth) {
        switch (field.type) {
            case Type::kMessage: submessage(field, depth); return true;
            case Type::kString:
                if (in_.peek() != '"') wrong(field, "a string");
                put_bytes(field, in_.string());
                return true;
            case Type::kBase64: base64(field); return true;
            case Type::kHex: hex(field); return true;
            case Type::kBool: {
                const char first = in_.peek();
                if (first != 't' && first != 'f') wrong(field, "true or false");
                put_tag(field, WireType::kVarint);
                out_.put(in_.boolean() ? '\1' : '\0');
                return true;
            }
            case Type::kUint32: {
                const auto number = unsigned_integer(field, UINT32_MAX);
                put_tag(field, WireType::kVarint);
                put_varint(number);
                return true;
            }
            case Type::kInt64: {
                const auto number = signed_integer(field, uint64_t{1} << 63);
                put_tag(field, WireType::kVarint);
                put_varint(number);
                return true;
            }
            case Type::kFixed64: {
                const auto number = unsigned_integer(field, UINT64_MAX);
                put_tag(field, WireType::kFixed64);
                put_fixed(number, 8);
                return true;
            }
            case Type::kFixed32: {
                const auto number = unsigned_integer(field, UINT32_MAX);
                put_tag(field, WireType::kFixed32);
                put_fixed(number, 4);
                return true;
            }
            case Type::kDouble: real(field); return true;
            case Type::kKind: return enumeration(field, kKinds.data(), kKinds.size());
            case Type::kCode: return enumeration(field, kCodes.data(), kCodes.size());
        }
        return false;
    }

    void submessage(const Field& field, int depth) {
        put_tag(field, WireType::kBytes);
        const size_t start = out_.size();
        if (field.repeated && in_.null()) {  // in a list, null is an empty one
            out_.put('\0');
            return;
        }
        if (in_.peek() != '{') wrong(field, "an object");
        message(*field.message, depth + 1);
        const size_t size = out_.size() - start;
        size_t length = 1;
        for (size_t rest = size >> 7; rest != 0; rest >>= 7) ++length;
        out_.zeros(length);
        std::memmove(out_.data() + start + length, out_.data() + start, size);
        write_varint(out_.data() + start, size);
    }

    void base64(const Field& field) {
        if (in_.peek() != '"') wrong(field, "base64");
        std::string_view text = in_.string();
        for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i) text.remove_suffix(1);
        if (text.size() % 4 == 1) wrong(field, "base64");
        put_tag(field, WireType::kBytes);
        put_varint(text.size() * 3 / 4);
        uint32_t bits = 0;
        int held = 0;
        for (const char byte : text) {
            const int six = sextet(byte);
            if (six < 0) wrong(field, "base64");
            bits = bits << 6 | static_cast<uint32_t>(six);
            held += 6;
            if (held >= 8) {
                held -= 8;
                out_.put(static_cast<char>(static_cast<uint8_t>(bits >> held)));
            }
        }
    }

    // What is no hex becomes an id of no valid length, so that this span alone is refused.
    void hex(const Field& field) {
        if (in_.peek() != '"') {
            in_.skip();
            return put_bytes(field, std::string_view("\0", 1));
        }
        const std::string_view text = in_.string();
        if (text.size() % 2 != 0 || std::any_of(text.begin(), text.end(), [](char byte) {
                return nibble(byte) < 0;
            }))
            return put_bytes(field, std::string_view("\0", 1));
        put_tag(field, WireType::kBytes);
        put_varint(text.size() / 2);
        for (size_t i = 0; i < text.size(); i += 2)
            out_.put(static_cast<char>(nibble(text[i]) << 4 | nibble(text[i + 1])));
    }

    // The text of a number, quoted or not.
    std::string_view number(const Field& field, const char* expected, bool& whole) {
        const char first = in_.peek();
        if (first != '"' && first != '-' && !digit(first)) wrong(field, expected);
        const std::string_view text = first == '"' ? in_.string() : in_.number();
        if (!is_number(text, whole)) wrong(field, expected);
        return text;
    }

    uint64_t unsigned_integer(const Field& field, uint64_t most) {
        bool whole = false;
        const auto text = number(field, "an integer", whole);
        Integer integer;
        if (!to_integer(text, whole, integer)) wrong(field, "an integer");
        if (integer.negative || integer.size > most) wrong(field, "an integer in range");
        return integer.size;
    }

    // Two's complement; `half` is the first that is too large.
    uint64_t signed_integer(const Field& field, uint64_t half) {
        bool whole = false;
        const auto text = number(field, "an integer", whole);
        return in_range(field, text, whole, half);
    }

    static uint64_t in_range(const Field& field, std::string_view text, bool whole, uint64_t half) {
        Integer integer;
        if (!to_integer(text, whole, integer)) wrong(field, "an integer");
        if (integer.size > half || (integer.size == half && !integer.negative))
            wrong(field, "an integer in range");
        return integer.negative ? ~integer.size + 1 : integer.size;
    }

    void real(const Field& field) {
        uint64_t bits = 0;
        const char first = in_.peek();
        if (first != '"' && first != '-' && !digit(first)) wrong(field, "a number");
        const std::string_view text = first == '"' ? in_.string() : in_.number();
        bool whole = false;
        if (text == "NaN") {
            bits = 0x7FF8000000000000;
        } else if (text == "Infinity") {
            bits = 0x7FF0000000000000;
        } else if (text == "-Infinity") {
            bits = 0xFFF0000000000000;
        } else {
            if (!is_number(text, whole)) wrong(field, "a number");
            const double value = to_double(text);
            if (!std::isfinite(value)) wrong(field, "a number in range");
            std::memcpy(&bits, &value, sizeof bits);
        }
        put_tag(field, WireType::kFixed64);
        put_fixed(bits, 8);
    }

    // A number or a name; a name that nobody knows says nothing.
    bool enumeration(const Field& field, const std::string_view* names, size_t count) {
        const char first = in_.peek();
        if (first != '"' && first != '-' && !digit(first)) wrong(field, "an integer");
        const std::string_view text = first == '"' ? in_.string() : in_.number();
        uint64_t number = 0;
        bool whole = false;
        if (is_number(text, whole)) {
            number = in_range(field, text, whole, uint64_t{1} << 31);
        } else {
            const auto* found = std::find(names, names + count, text);
            if (found == names + count) return false;
            number = static_cast<uint64_t>(found - names);
        }
        put_tag(field, WireType::kVarint);
        put_varint(number);
        return true;
    }

    void put_bytes(const Field& field, std::string_view bytes) {
        put_tag(field, WireType::kBytes);
        put_varint(bytes.size());
        out_.put(bytes);
    }

    void put_tag(const Field& field, WireType type) {
        put_varint(field.number << 3 | static_cast<uint32_t>(type));
    }

    static size_t write_varint(char* to, uint64_t value) {
        size_t size = 0;
        for (; value >= 0x80; value >>= 7)
            to[size++] = static_cast<char>(static_cast<uint8_t>(value | 0x80));
        to[size++] = static_cast<char>(value);
        return size;
    }

    void put_varint(uint64_t value) { out_.grown(write_varint(out_.room(10), value)); }

    void put_fixed(uint64_t value, int size) {
        for (int i = 0; i < size; ++i) out_.put(static_cast<char>(static_cast<uint8_t>(value >> 8 * i)));
    }

    JsonReader in_;
    Buffer out_;
};

}  // namespace

Buffer from_json(std::string_view text) { return Converter(text).convert(); }

}  // namespace strayline
