// Protobuf's wire format: a cursor that never reads past its end.
//
// What is accepted is what upb, the decoder behind Python's protobuf, accepts: tags of at most five
// bytes, lengths below 2 GiB, varints of at most ten bytes whose overflow is cut off.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace strayline {

// Bytes that are no such message; the text is one clear clause.
struct BadInput : std::runtime_error {
    using std::runtime_error::runtime_error;
};

constexpr int kMaxDepth = 100;  // messages and groups within each other

enum class WireType : uint8_t {
    kVarint = 0,
    kFixed64 = 1,
    kBytes = 2,
    kGroup = 3,
    kGroupEnd = 4,
    kFixed32 = 5,
};

struct Tag {
    uint32_t field;
    WireType type;
};

class Reader {
  public:
    explicit Reader(std::string_view bytes)
        : at_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

    bool done() const { return at_ == end_; }

    Tag tag() {
        const uint32_t raw = at_ != end_ && *at_ < 0x80 ? *at_++ : small_varint(0x0F);
        const auto type = static_cast<WireType>(raw & 7);
        if (raw >> 3 == 0 || (raw & 7) > 5) corrupt();
        return {raw >> 3, type};
    }

    uint64_t varint() {
        if (at_ != end_ && *at_ < 0x80) return *at_++;
        uint64_t value = 0;
        for (unsigned shift = 0; shift < 70; shift += 7) {
            if (at_ == end_) corrupt();
            const uint8_t byte = *at_++;
            value |= static_cast<uint64_t>(byte & 0x7F) << shift;
            if (byte < 0x80) return value;
        }
        corrupt();
    }

    uint64_t fixed64() {
        uint64_t value = 0;
        const auto bytes = take(8);
        for (unsigned i = 0; i < 8; ++i)
            value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
        return value;
    }

    uint32_t fixed32() {
        uint32_t value = 0;
        const auto bytes = take(4);
        for (unsigned i = 0; i < 4; ++i)
            value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
        return value;
    }

    std::string_view bytes() {
        return take(at_ != end_ && *at_ < 0x80 ? *at_++ : small_varint(0x07));
    }

    // Passes over the value of a field that nobody asked for. depth: of the message it is in.
    void skip(Tag tag, int depth) {
        switch (tag.type) {
            case WireType::kVarint: varint(); return;
            case WireType::kFixed64: take(8); return;
            case WireType::kBytes: bytes(); return;
            case WireType::kFixed32: take(4); return;
            case WireType::kGroup: group(tag.field, depth + 1); return;
            case WireType::kGroupEnd: break;
        }
        corrupt();
    }

    [[noreturn]] static void corrupt() { throw BadInput("the wire format is corrupt"); }

  private:
    void group(uint32_t field, int depth) {
        if (depth > kMaxDepth) throw BadInput("it is nested too deeply");
        for (;;) {
            const Tag inner = tag();
            if (inner.type == WireType::kGroupEnd) {
                if (inner.field != field) corrupt();
                return;
            }
            skip(inner, depth);
        }
    }

    // At most five bytes, of which the fifth holds at most `most`.
    uint32_t small_varint(uint8_t most) {
        uint32_t value = 0;
        for (unsigned shift = 0; shift < 35; shift += 7) {
            if (at_ == end_) corrupt();
            const uint8_t byte = *at_++;
            if (shift == 28 && byte > most) corrupt();
            value |= static_cast<uint32_t>(byte & 0x7F) << shift;
            if (byte < 0x80) return value;
        }
        corrupt();
    }

    std::string_view take(size_t size) {
        if (size > static_cast<size_t>(end_ - at_)) corrupt();
        const auto* start = reinterpret_cast<const char*>(at_);
        at_ += size;
        return {start, size};
    }

    const uint8_t* at_;
    const uint8_t* end_;
};

}  // namespace strayline
