// Requests to columns. Counterpart of decode/python.py.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "batch.h"

namespace strayline {

struct Examined;

// examine(), and that the request's resources and scopes, repeated for each span, are no more than
// 256 MiB of text (MAX_UNFOLDED in python.py). Throws BadInput.
Examined accept(std::string_view request);

using Batches = std::vector<std::unique_ptr<Batch>>;

// One row a span with valid ids, in batches whose text stays far below what 32-bit offsets can say.
// Throws BadInput when one of the requests is no ExportTraceServiceRequest.
Batches decode(const std::vector<std::string_view>& requests, int64_t received_ns);

}  // namespace strayline
