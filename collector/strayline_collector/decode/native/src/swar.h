// Eight bytes at once.
#pragma once

#include <cstdint>
#include <cstring>

namespace strayline {

// Whether one of the next eight bytes means something in a JSON string: below 0x20, '"' or '\'.
// Never misses one; can raise a false alarm, which costs a closer look.
inline bool json_special(const char* at) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    constexpr uint64_t ones = 0x0101010101010101;
    constexpr uint64_t tops = 0x8080808080808080;
    const uint64_t quote = word ^ (ones * '"');
    const uint64_t slash = word ^ (ones * '\\');
    return ((((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
             ((slash - ones) & ~slash)) &
            tops) != 0;
}

}  // namespace strayline
