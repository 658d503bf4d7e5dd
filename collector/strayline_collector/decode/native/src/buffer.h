// Bytes that grow, in memory that Arrow may take over.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace strayline {

class Buffer {
  public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        swap(other);
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(data_); }

    size_t size() const { return size_; }
    char* data() { return data_; }
    const char* data() const { return data_; }
    std::string_view view(size_t from = 0) const { return {data_ + from, size_ - from}; }

    // Room for `more` bytes at the end; what is written there counts after grown().
    char* room(size_t more) {
        if (more > capacity_ - size_) reserve(more);
        return data_ + size_;
    }
    void grown(size_t more) { size_ += more; }
    void resize(size_t size) { size_ = size; }  // shrinks only

    void put(char byte) {
        *room(1) = byte;
        ++size_;
    }
    void put(std::string_view bytes) {
        if (bytes.empty()) return;
        std::memcpy(room(bytes.size()), bytes.data(), bytes.size());
        size_ += bytes.size();
    }
    void zeros(size_t count) {
        if (count == 0) return;
        std::memset(room(count), 0, count);
        size_ += count;
    }
    template <typename T>
    void put_value(T value) {
        std::memcpy(room(sizeof value), &value, sizeof value);
        size_ += sizeof value;
    }

    // The memory, for std::free.
    char* give() {
        size_ = capacity_ = 0;
        return std::exchange(data_, nullptr);
    }

  private:
    void reserve(size_t more) {
        if (more > SIZE_MAX / 4 - size_) throw std::bad_alloc();
        size_t wanted = capacity_ == 0 ? 64 : capacity_ * 2;
        if (wanted < size_ + more) wanted = size_ + more;
        auto* moved = static_cast<char*>(std::realloc(data_, wanted));
        if (moved == nullptr) throw std::bad_alloc();
        data_ = moved;
        capacity_ = wanted;
    }
    void swap(Buffer& other) {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }

    char* data_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

}  // namespace strayline
