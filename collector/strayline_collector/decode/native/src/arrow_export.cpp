#include "arrow_export.h"

#include <array>
#include <cerrno>
#include <new>

namespace strayline {
namespace {

constexpr size_t kColumns = 37;

template <typename T>
constexpr const char* format_of();
template <>
constexpr const char* format_of<int64_t>() {
    return "l";
}
template <>
constexpr const char* format_of<int32_t>() {
    return "i";
}
template <>
constexpr const char* format_of<uint32_t>() {
    return "I";
}
template <>
constexpr const char* format_of<int16_t>() {
    return "s";
}
template <>
constexpr const char* format_of<uint8_t>() {
    return "C";
}

const char* format(const TextColumn&) { return "u"; }
template <typename T>
const char* format(const NumberColumn<T>&) {
    return format_of<T>();
}

// Children may be moved out by a consumer, so each owns its own memory; these are the parents' lists.
struct Schemas {
    std::array<ArrowSchema, kColumns> columns{};
    std::array<ArrowSchema*, kColumns> pointers{};
};

struct Arrays {
    std::array<ArrowArray, kColumns> columns{};
    std::array<ArrowArray*, kColumns> pointers{};
    std::array<const void*, 1> buffers{};
};

void release_column(ArrowSchema* schema) { schema->release = nullptr; }

void release_table(ArrowSchema* schema) {
    for (int64_t i = 0; i < schema->n_children; ++i)
        if (schema->children[i]->release != nullptr) schema->children[i]->release(schema->children[i]);
    delete static_cast<Schemas*>(schema->private_data);
    schema->release = nullptr;
}

void release_column(ArrowArray* array) {
    auto* buffers = static_cast<std::array<const void*, 3>*>(array->private_data);
    for (const void* buffer : *buffers) std::free(const_cast<void*>(buffer));
    delete buffers;
    array->release = nullptr;
}

void release_table(ArrowArray* array) {
    for (int64_t i = 0; i < array->n_children; ++i)
        if (array->children[i]->release != nullptr) array->children[i]->release(array->children[i]);
    delete static_cast<Arrays*>(array->private_data);
    array->release = nullptr;
}

void fill(ArrowSchema& schema, const char* name, const char* format) {
    schema = {};
    schema.format = format;
    schema.name = name;
    schema.flags = 2;  // ARROW_FLAG_NULLABLE
    schema.release = release_column;
}

// Arrow wants buffers to be there even when they are empty.
const void* give(Buffer& buffer) {
    if (buffer.data() == nullptr) buffer.room(1);
    return buffer.give();
}

void fill(ArrowArray& array, size_t rows, Validity& validity) {
    array = {};
    auto* buffers = new std::array<const void*, 3>{};
    array.length = static_cast<int64_t>(rows);
    array.null_count = static_cast<int64_t>(validity.nulls());
    array.buffers = buffers->data();
    array.private_data = buffers;
    array.release = release_column;
    if (validity.nulls() > 0) (*buffers)[0] = validity.bits().give();
}

void fill(ArrowArray& array, size_t rows, TextColumn& column) {
    fill(array, rows, column.validity);
    array.n_buffers = 3;
    array.buffers[1] = give(column.offsets());
    array.buffers[2] = give(column.text());
}

template <typename T>
void fill(ArrowArray& array, size_t rows, NumberColumn<T>& column) {
    fill(array, rows, column.validity);
    array.n_buffers = 2;
    array.buffers[1] = give(column.values());
}

struct Stream {
    Batches batches;
    size_t next = 0;
};

int get_schema(ArrowArrayStream*, ArrowSchema* out) {
    try {
        Batch none;
        auto list = std::make_unique<Schemas>();
        size_t count = 0;
        none.each([&](const char* name, auto& column) {
            fill(list->columns.at(count), name, format(column));
            list->pointers[count] = &list->columns[count];
            ++count;
        });
        *out = {};
        out->format = "+s";
        out->name = "";
        out->n_children = static_cast<int64_t>(count);
        out->children = list->pointers.data();
        out->private_data = list.release();
        out->release = release_table;
        return 0;
    } catch (...) {
        return ENOMEM;
    }
}

int get_next(ArrowArrayStream* self, ArrowArray* out) {
    auto& stream = *static_cast<Stream*>(self->private_data);
    *out = {};
    if (stream.next == stream.batches.size()) return 0;
    auto list = std::unique_ptr<Arrays>(new (std::nothrow) Arrays);
    if (list == nullptr) return ENOMEM;
    Batch& batch = *stream.batches[stream.next++];
    out->length = static_cast<int64_t>(batch.rows);
    out->n_buffers = 1;
    out->buffers = list->buffers.data();
    out->children = list->pointers.data();
    out->release = release_table;
    out->private_data = list.get();
    Arrays& arrays = *list.release();
    try {
        batch.each([&](const char*, auto& column) {
            const auto at = static_cast<size_t>(out->n_children);
            arrays.pointers[at] = &arrays.columns.at(at);
            ++out->n_children;
            fill(arrays.columns[at], batch.rows, column);
        });
        return 0;
    } catch (...) {
        release_table(out);
        return ENOMEM;
    }
}

const char* get_last_error(ArrowArrayStream*) { return "out of memory"; }

void release_stream(ArrowArrayStream* self) {
    delete static_cast<Stream*>(self->private_data);
    self->release = nullptr;
}

}  // namespace

ArrowArrayStream* export_stream(Batches batches) {
    auto owned = std::make_unique<Stream>();
    owned->batches = std::move(batches);
    auto* stream = new ArrowArrayStream{};
    stream->get_schema = get_schema;
    stream->get_next = get_next;
    stream->get_last_error = get_last_error;
    stream->release = release_stream;
    stream->private_data = owned.release();
    return stream;
}

}  // namespace strayline
