// What must hold for any bytes: nothing is read or written out of bounds, what is refused is refused
// with BadInput, what accept() passes is decoded, and what comes from JSON passes examine().
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "arrow_export.h"
#include "decode.h"
#include "examine.h"
#include "from_json.h"
#include "wire.h"

namespace {

void must(bool held) {
    if (!held) std::abort();
}

// Takes everything over as a consumer of the Arrow stream does, and looks at every offset.
void consume(strayline::Batches batches, uint64_t rows) {
    ArrowArrayStream* stream = strayline::export_stream(std::move(batches));
    ArrowSchema schema;
    must(stream->get_schema(stream, &schema) == 0);
    for (;;) {
        ArrowArray array;
        must(stream->get_next(stream, &array) == 0);
        if (array.release == nullptr) break;
        must(array.n_children == schema.n_children);
        for (int64_t i = 0; i < array.n_children; ++i) {
            const ArrowArray& column = *array.children[i];
            must(column.length == array.length);
            if (std::string_view(schema.children[i]->format) != "u") continue;
            const auto* offsets = static_cast<const int32_t*>(column.buffers[1]);
            for (int64_t row = 0; row < column.length; ++row) must(offsets[row] <= offsets[row + 1]);
        }
        rows -= static_cast<uint64_t>(array.length);
        array.release(&array);
    }
    must(rows == 0);
    schema.release(&schema);
    stream->release(stream);
    delete stream;
}

void wire(std::string_view bytes) {
    strayline::Examined counts;
    try {
        counts = strayline::accept(bytes);
    } catch (const strayline::BadInput&) {
        return;
    }
    consume(strayline::decode({bytes, bytes}, 1), 2 * counts.accepted);
}

void json(std::string_view text) {
    strayline::Buffer protobuf;
    try {
        protobuf = strayline::from_json(text);
    } catch (const strayline::BadInput&) {
        return;
    }
    wire(protobuf.view());
    strayline::examine(protobuf.view());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    wire(bytes);
    json(bytes);
    return 0;
}
