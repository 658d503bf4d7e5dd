#include "attributes.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "json_text.h"

namespace strayline {
namespace {

constexpr size_t kFew = 12;  // up to here comparing each with each is cheaper than sorting

using Kind = Value::Kind;

void continue_with(Arena& arena, Value& value, Kind kind, std::string_view part) {
    if (value.kind != kind) value.parts = {};  // another member is replaced, the same continued
    value.parts.add(arena, part);
    value.kind = kind;
}

void replace_with(Value& value, Kind kind, std::string_view whole) {
    value.kind = kind;
    value.parts = Parts(whole);
}

bool read_member(Arena& arena, Value& value, Tag tag, Reader& reader) {
    switch (key(tag)) {
        case bytes(1): replace_with(value, Kind::kString, reader.bytes()); return true;
        case varint(2):
            value.kind = Kind::kBool;
            value.integer = reader.varint() != 0;
            return true;
        case varint(3):
            value.kind = Kind::kInt;
            value.integer = static_cast<int64_t>(reader.varint());
            return true;
        case fixed64(4): {
            value.kind = Kind::kDouble;
            const uint64_t bits = reader.fixed64();
            std::memcpy(&value.real, &bits, sizeof bits);
            return true;
        }
        case bytes(5): continue_with(arena, value, Kind::kArray, reader.bytes()); return true;
        case bytes(6): continue_with(arena, value, Kind::kPairs, reader.bytes()); return true;
        case bytes(7): replace_with(value, Kind::kBytes, reader.bytes()); return true;
        case varint(8):  // an index into a table that traces do not have
            reader.varint();
            value.kind = Kind::kNone;
            return true;
        default: return false;
    }
}

void write_array(Buffer& out, Arena& arena, const Parts& array) {
    out.put('[');
    bool first = true;
    array.fields([&](Tag tag, Reader& reader) {
        if (key(tag) != bytes(1)) return false;
        if (!first) out.put(',');
        first = false;
        write_value(out, arena, read_value(arena, Parts(reader.bytes())));
        return true;
    });
    out.put(']');
}

void write_pairs(Buffer& out, Arena& arena, const Parts& list) {
    std::vector<Attribute> pairs;
    list.fields([&](Tag tag, Reader& reader) {
        if (key(tag) != bytes(1)) return false;
        pairs.push_back(read_attribute(arena, reader.bytes()));
        return true;
    });
    last_stands(pairs);
    write_attributes(out, arena, pairs);
}

void write_double(Buffer& out, double number) {
    if (std::isfinite(number)) {
        json_double(out, number);
    } else if (std::isnan(number)) {
        out.put("{\"doubleValue\":\"NaN\"}");
    } else {
        out.put(number > 0 ? "{\"doubleValue\":\"Infinity\"}" : "{\"doubleValue\":\"-Infinity\"}");
    }
}

void last_stands_among_many(std::vector<Attribute>& attributes) {
    std::vector<size_t> order(attributes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    // sorting holds against keys chosen to collide, as a hash table would not
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        const auto& left = attributes[a].key;
        const auto& right = attributes[b].key;
        if (left.size() != right.size()) return left.size() < right.size();
        const int compared = left.compare(right);
        return compared != 0 ? compared < 0 : a < b;
    });
    std::vector<bool> repeats(attributes.size());
    bool any = false;
    for (size_t i = 0; i < order.size();) {
        size_t last = i;
        while (last + 1 < order.size() &&
               attributes[order[last + 1]].key == attributes[order[i]].key)
            repeats[order[++last]] = any = true;
        attributes[order[i]].value = attributes[order[last]].value;
        i = last + 1;
    }
    if (!any) return;
    size_t kept = 0;
    for (size_t i = 0; i < attributes.size(); ++i)
        if (!repeats[i]) attributes[kept++] = attributes[i];
    attributes.resize(kept);
}

}  // namespace

Value read_value(Arena& arena, const Parts& any_value) {
    Value value;
    any_value.fields(
        [&](Tag tag, Reader& reader) { return read_member(arena, value, tag, reader); });
    return value;
}

Attribute read_attribute(Arena& arena, std::string_view key_value) {
    Attribute attribute;
    Parts value;
    Parts(key_value).fields([&](Tag tag, Reader& reader) {
        switch (key(tag)) {
            case bytes(1): attribute.key = reader.bytes(); return true;
            case bytes(2): value.add(arena, reader.bytes()); return true;
            default: return false;
        }
    });
    attribute.value = read_value(arena, value);
    return attribute;
}

void last_stands(std::vector<Attribute>& attributes) {
    if (attributes.size() > kFew) return last_stands_among_many(attributes);
    for (size_t i = 1; i < attributes.size(); ++i) {
        for (size_t j = 0; j < i; ++j) {
            if (attributes[i].key != attributes[j].key) continue;
            attributes[j].value = attributes[i].value;
            attributes.erase(attributes.begin() + static_cast<std::ptrdiff_t>(i));
            --i;
            break;
        }
    }
}

void write_value(Buffer& out, Arena& arena, const Value& value) {
    switch (value.kind) {
        case Kind::kNone: out.put("null"); return;
        case Kind::kString: json_string(out, value.bytes()); return;
        case Kind::kBool: out.put(value.integer != 0 ? "true" : "false"); return;
        case Kind::kInt: json_integer(out, value.integer); return;
        case Kind::kDouble: write_double(out, value.real); return;
        case Kind::kArray: write_array(out, arena, value.parts); return;
        case Kind::kPairs:
            out.put("{\"kvlistValue\":");
            write_pairs(out, arena, value.parts);
            out.put('}');
            return;
        case Kind::kBytes:
            out.put("{\"bytesValue\":\"");
            base64(out, value.bytes());
            out.put("\"}");
            return;
    }
}

void write_attributes(Buffer& out, Arena& arena, const std::vector<Attribute>& attributes) {
    out.put('{');
    bool first = true;
    for (const Attribute& attribute : attributes) {
        if (!first) out.put(',');
        first = false;
        json_string(out, attribute.key);
        out.put(':');
        write_value(out, arena, attribute.value);
    }
    out.put('}');
}

}  // namespace strayline
