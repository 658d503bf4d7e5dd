#include "utf8.h"

#include <cstdint>
#include <cstring>

namespace strayline {
namespace {

bool continues(uint8_t byte) { return (byte & 0xC0) == 0x80; }

// Length of the sequence of two to four bytes at `at`, 0 when it is none.
unsigned sequence(const uint8_t* at, const uint8_t* end) {
    const uint8_t first = *at;
    const auto left = end - at;
    if (first >= 0xC2 && first <= 0xDF) return left >= 2 && continues(at[1]) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        if (left < 3 || !continues(at[1]) || !continues(at[2])) return 0;
        if (first == 0xE0 && at[1] < 0xA0) return 0;   // overlong
        if (first == 0xED && at[1] >= 0xA0) return 0;  // a surrogate
        return 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (left < 4 || !continues(at[1]) || !continues(at[2]) || !continues(at[3])) return 0;
        if (first == 0xF0 && at[1] < 0x90) return 0;   // overlong
        if (first == 0xF4 && at[1] >= 0x90) return 0;  // past U+10FFFF
        return 4;
    }
    return 0;
}

}  // namespace

bool valid_utf8(std::string_view bytes) {
    const auto* at = reinterpret_cast<const uint8_t*>(bytes.data());
    const auto* end = at + bytes.size();
    while (at != end) {
        if (end - at >= 8) {
            uint64_t word;
            std::memcpy(&word, at, 8);
            if ((word & 0x8080808080808080) == 0) {
                at += 8;
                continue;
            }
        }
        if (*at < 0x80) {
            ++at;
            continue;
        }
        const unsigned size = sequence(at, end);
        if (size == 0) return false;
        at += size;
    }
    return true;
}

}  // namespace strayline
