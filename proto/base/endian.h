// proto/base/endian.h - little-endian loads and stores at any alignment, for on-disk formats.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace mx {

static_assert(std::endian::native == std::endian::little, "on-disk formats are little-endian");

template <typename T>
  requires std::is_integral_v<T>
T load_le(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename T>
  requires std::is_integral_v<T>
void store_le(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

}  // namespace mx
