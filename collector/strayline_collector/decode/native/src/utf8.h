// Whether bytes are UTF-8 (RFC 3629: no surrogates, no overlong forms, nothing past U+10FFFF).
#pragma once

#include <string_view>

namespace strayline {

bool valid_utf8(std::string_view bytes);

}  // namespace strayline
