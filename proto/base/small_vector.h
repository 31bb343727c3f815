// proto/base/small_vector.h - a vector of trivially copyable values with room for N inside the
// object.
//
// Sessions and transactions hold their text and recipients in these: the usual message needs no
// heap, a large one takes it and gives it back when the value is assigned afresh (`tx = {}`).
// size() is bounded by what the caller checks against limits.h before appending; the vector itself
// only asserts 2^31.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "proto/base/assert.h"

namespace mx {

template <typename T, uint32_t N>
class SmallVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  SmallVector() = default;
  SmallVector(const SmallVector& other) { append(other.data(), other.size()); }
  SmallVector(SmallVector&& other) noexcept { take(other); }
  SmallVector& operator=(const SmallVector& other) {
    if (this != &other) {
      clear();
      append(other.data(), other.size());
    }
    return *this;
  }
  SmallVector& operator=(SmallVector&& other) noexcept {
    if (this != &other) {
      std::free(heap_);
      take(other);
    }
    return *this;
  }
  ~SmallVector() { std::free(heap_); }

  T* data() { return heap_ ? heap_ : reinterpret_cast<T*>(inline_); }
  const T* data() const { return heap_ ? heap_ : reinterpret_cast<const T*>(inline_); }
  uint32_t size() const { return size_; }
  uint32_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](size_t i) {
    MX_ASSERT(i < size_);
    return data()[i];
  }
  const T& operator[](size_t i) const {
    MX_ASSERT(i < size_);
    return data()[i];
  }
  T& back() {
    MX_ASSERT(size_ > 0);
    return data()[size_ - 1];
  }

  void clear() { size_ = 0; }
  void push_back(const T& value) {
    const T copy = value;
    reserve(size_ + 1);
    data()[size_++] = copy;
  }
  void append(const T* values, size_t count) {
    if (count == 0) return;
    reserve(size_ + count);
    std::memcpy(static_cast<void*>(data() + size_), values, count * sizeof(T));
    size_ += static_cast<uint32_t>(count);
  }
  void append(std::string_view text)
    requires(sizeof(T) == 1)
  {
    append(reinterpret_cast<const T*>(text.data()), text.size());
  }
  // Removes the first `count` values.
  void erase_front(size_t count) {
    MX_ASSERT(count <= size_);
    size_ -= static_cast<uint32_t>(count);
    std::memmove(static_cast<void*>(data()), data() + count, size_ * sizeof(T));
  }
  void resize(size_t count) {
    reserve(count);
    if (count > size_)
      std::memset(static_cast<void*>(data() + size_), 0, (count - size_) * sizeof(T));
    size_ = static_cast<uint32_t>(count);
  }
  std::span<const T> span() const { return {data(), size_}; }
  std::string_view text() const
    requires(sizeof(T) == 1)
  {
    return {reinterpret_cast<const char*>(data()), size_};
  }

  void reserve(size_t wanted) {
    if (wanted <= capacity_) return;
    MX_ASSERT(wanted < (1U << 31));
    size_t grown = size_t{capacity_} * 2;
    if (grown < wanted) grown = wanted;
    T* bigger = static_cast<T*>(std::malloc(grown * sizeof(T)));
    MX_ASSERT(bigger != nullptr);
    if (size_ != 0) std::memcpy(static_cast<void*>(bigger), data(), size_ * sizeof(T));
    std::free(heap_);
    heap_ = bigger;
    capacity_ = static_cast<uint32_t>(grown);
  }

 private:
  void take(SmallVector& other) {
    heap_ = std::exchange(other.heap_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, N);
    if (!heap_ && size_ != 0) std::memcpy(inline_, other.inline_, size_ * sizeof(T));
  }

  T* heap_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = N;
  alignas(T) std::byte inline_[N * sizeof(T)];
};

}  // namespace mx
