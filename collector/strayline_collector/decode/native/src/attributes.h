// AnyValue and lists of KeyValue, read from checked wire bytes and written as JSON text.
//
// Counterpart of decode/values.py. Everything here trusts that examine() passed the bytes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "buffer.h"
#include "parts.h"

namespace strayline {

struct Value {
    enum class Kind : uint8_t { kNone, kString, kBool, kInt, kDouble, kArray, kPairs, kBytes };
    Kind kind = Kind::kNone;
    Parts parts;  // string and bytes (one part), and the wire of array and pairs
    union {
        int64_t integer = 0;  // bool too
        double real;
    };

    std::string_view bytes() const { return parts.first(); }
};

struct Attribute {
    std::string_view key;
    Value value;
};

Value read_value(Arena& arena, const Parts& any_value);
Attribute read_attribute(Arena& arena, std::string_view key_value);

// Of a key given twice, the last value at the place of the first, as in a Python dict.
void last_stands(std::vector<Attribute>& attributes);

void write_value(Buffer& out, Arena& arena, const Value& value);
void write_attributes(Buffer& out, Arena& arena, const std::vector<Attribute>& attributes);

}  // namespace strayline
