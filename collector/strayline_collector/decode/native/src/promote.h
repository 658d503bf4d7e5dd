// The attributes that have columns of their own. Counterpart of decode/promote.py.
#pragma once

#include <cstdint>
#include <vector>

#include "attributes.h"
#include "batch.h"

namespace strayline {

void promote(Batch& batch, int32_t kind, const std::vector<Attribute>& attributes);

// What Python's str() makes of a string, integer or boolean; false for other kinds.
bool as_text(Buffer& out, const Value& value);

}  // namespace strayline
