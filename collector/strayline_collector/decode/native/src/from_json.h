// OTLP/JSON to protobuf bytes. Counterpart of decode/otlp_json.py.
#pragma once

#include <string_view>

#include "buffer.h"

namespace strayline {

// Throws BadInput when the text is no JSON or no ExportTraceServiceRequest.
Buffer from_json(std::string_view text);

}  // namespace strayline
