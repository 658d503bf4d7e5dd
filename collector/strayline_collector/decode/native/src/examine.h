// The check before a request is acknowledged: whole, and without making anything of it.
#pragma once

#include <cstdint>
#include <string_view>

namespace strayline {

struct Examined {
    uint64_t accepted = 0;  // spans with valid ids
    uint64_t rejected = 0;
};

// Throws BadInput when the bytes are no ExportTraceServiceRequest.
Examined examine(std::string_view request);

// 16 and 8 bytes, neither all zero.
bool valid_ids(std::string_view trace_id, std::string_view span_id);

}  // namespace strayline
