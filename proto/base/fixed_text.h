// proto/base/fixed_text.h - text of bounded length held in the object. An append that does not fit
// changes nothing and returns false: there is no silent cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mx {

template <size_t N>
class FixedText {
  static_assert(N < (1U << 16));

 public:
  FixedText() = default;
  static constexpr size_t capacity() { return N; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void clear() { size_ = 0; }
  std::string_view view() const { return {bytes_, size_}; }
  [[nodiscard]] bool append(std::string_view text) {
    if (text.size() > N - size_) return false;
    if (!text.empty()) std::memcpy(bytes_ + size_, text.data(), text.size());
    size_ = static_cast<uint16_t>(size_ + text.size());
    return true;
  }
  [[nodiscard]] bool assign(std::string_view text) {
    if (text.size() > N) return false;
    size_ = 0;
    return append(text);
  }

 private:
  uint16_t size_ = 0;
  char bytes_[N];
};

}  // namespace mx
