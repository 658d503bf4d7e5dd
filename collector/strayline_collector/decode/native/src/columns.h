// Arrow columns under construction. A row that puts nothing into a column is null there.
#pragma once

#include <cstdint>
#include <string_view>

#include "buffer.h"

namespace strayline {

// Which rows have a value; kept only from the first gap on.
class Validity {
  public:
    void fill(size_t from, size_t to, bool valid);
    size_t nulls() const { return nulls_; }
    Buffer& bits() { return bits_; }

  private:
    Buffer bits_;
    size_t nulls_ = 0;
};

// utf8 with offsets of 32 bits.
class TextColumn {
  public:
    // Writes go to text(); end(row) makes what was written since the last the row's value.
    Buffer& text() { return text_; }
    void end(size_t row);
    void put(size_t row, std::string_view value) {
        text_.put(value);
        end(row);
    }
    void finish(size_t rows);

    Validity validity;
    Buffer& offsets() { return offsets_; }

  private:
    void skip_to(size_t row);

    Buffer text_;
    Buffer offsets_;
    size_t rows_ = 0;
    int32_t end_ = 0;
};

template <typename T>
class NumberColumn {
  public:
    void put(size_t row, T value) {
        skip_to(row);
        values_.put_value(value);
        validity.fill(rows_, rows_ + 1, true);
        ++rows_;
    }
    void finish(size_t rows) { skip_to(rows); }

    Validity validity;
    Buffer& values() { return values_; }

  private:
    void skip_to(size_t row) {
        if (rows_ == row) return;
        values_.zeros((row - rows_) * sizeof(T));
        validity.fill(rows_, row, false);
        rows_ = row;
    }

    Buffer values_;
    size_t rows_ = 0;
};

}  // namespace strayline
