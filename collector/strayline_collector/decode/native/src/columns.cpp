#include "columns.h"

#include "wire.h"

namespace strayline {

void Validity::fill(size_t from, size_t to, bool valid) {
    if (valid && nulls_ == 0) return;
    if (nulls_ == 0 && from > 0) {  // the first gap: everything before it was there
        bits_.zeros((from + 7) / 8);
        std::memset(bits_.data(), 0xFF, from / 8);
        if (from % 8 != 0) bits_.data()[from / 8] = static_cast<char>((1U << (from % 8)) - 1);
    }
    const size_t bytes = (to + 7) / 8;
    if (bytes > bits_.size()) bits_.zeros(bytes - bits_.size());
    if (valid) {
        for (size_t row = from; row < to; ++row)
            bits_.data()[row / 8] = static_cast<char>(static_cast<uint8_t>(bits_.data()[row / 8]) |
                                                      (1U << (row % 8)));
    } else {
        nulls_ += to - from;
    }
}

void TextColumn::end(size_t row) {
    if (text_.size() > INT32_MAX) throw BadInput("a column of it is larger than 2 GiB");
    skip_to(row);
    end_ = static_cast<int32_t>(text_.size());
    offsets_.put_value(end_);
    validity.fill(rows_, rows_ + 1, true);
    ++rows_;
}

void TextColumn::finish(size_t rows) { skip_to(rows); }

void TextColumn::skip_to(size_t row) {
    if (offsets_.size() == 0) offsets_.put_value(int32_t{0});
    if (rows_ == row) return;
    const size_t count = row - rows_;
    char* to = offsets_.room(count * sizeof end_);
    for (size_t i = 0; i < count; ++i) std::memcpy(to + i * sizeof end_, &end_, sizeof end_);
    offsets_.grown(count * sizeof end_);
    validity.fill(rows_, row, false);
    rows_ = row;
}

}  // namespace strayline
