// JSON text as Python's json.dumps(ensure_ascii=False, separators=(",", ":")) writes it.
#pragma once

#include <cstdint>
#include <string_view>

#include "buffer.h"

namespace strayline {

void json_string(Buffer& out, std::string_view text);
void json_integer(Buffer& out, int64_t number);
void json_unsigned(Buffer& out, uint64_t number);
void json_double(Buffer& out, double number);  // finite: Python's repr
void base64(Buffer& out, std::string_view bytes);
void hex(Buffer& out, std::string_view bytes);

}  // namespace strayline
