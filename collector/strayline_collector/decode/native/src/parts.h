// A submessage on the wire, which a sender may give in several parts: protobuf merges them, which is
// to read one after the other. Nothing is copied, however the parts are nested.
#pragma once

#include <deque>
#include <string_view>

#include "wire.h"

namespace strayline {

struct Part {
    std::string_view bytes;
    Part* next;
};

using Arena = std::deque<Part>;  // the second and further parts, which hardly any message has

class Parts {
  public:
    Parts() = default;
    explicit Parts(std::string_view whole) : first_(whole) {}

    void add(Arena& arena, std::string_view part) {
        if (part.empty()) return;
        if (first_.empty()) {
            first_ = part;
            return;
        }
        arena.push_back({part, nullptr});
        (last_ == nullptr ? more_ : last_->next) = &arena.back();
        last_ = &arena.back();
    }

    std::string_view first() const { return first_; }

    // read(tag, reader): whether it took the field; what it leaves is passed over.
    template <typename Read>
    void fields(Read&& read) const {
        fields_of(first_, read);
        for (const Part* part = more_; part != nullptr; part = part->next)
            fields_of(part->bytes, read);
    }

  private:
    template <typename Read>
    static void fields_of(std::string_view bytes, Read& read) {
        Reader reader(bytes);
        while (!reader.done()) {
            const Tag tag = reader.tag();
            if (!read(tag, reader)) reader.skip(tag, 0);
        }
    }

    std::string_view first_;
    Part* more_ = nullptr;
    Part* last_ = nullptr;
};

// A field number and its wire type, for switch.
constexpr uint32_t key(uint32_t field, WireType type) {
    return field << 3 | static_cast<uint32_t>(type);
}
constexpr uint32_t varint(uint32_t field) { return key(field, WireType::kVarint); }
constexpr uint32_t fixed64(uint32_t field) { return key(field, WireType::kFixed64); }
constexpr uint32_t fixed32(uint32_t field) { return key(field, WireType::kFixed32); }
constexpr uint32_t bytes(uint32_t field) { return key(field, WireType::kBytes); }
inline uint32_t key(Tag tag) { return key(tag.field, tag.type); }

}  // namespace strayline
