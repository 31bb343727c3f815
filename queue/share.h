// queue/share.h - how much of a segment a message takes: what compaction goes by. Values.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace mx::queue {

// Bytes of records that a message has in a segment.
struct SegmentShare {
  uint32_t segment = 0;
  uint32_t bytes = 0;
  bool operator==(const SegmentShare&) const = default;
};

// A number of bytes in 8 bits, rounded up by at most an eighth, for where there is no room for
// more. 0: not known.
constexpr uint32_t bytes_of_class(uint8_t size_class) {
  return size_class == 0 ? 0 : (8U + (size_class - 1U) % 8U) << ((size_class - 1U) / 8U);
}
constexpr uint8_t size_class_of(uint32_t bytes) {
  const uint32_t value = std::clamp(bytes, 8U, 1U << 30);
  uint32_t shift = static_cast<uint32_t>(std::bit_width(value)) - 4;
  uint32_t top = (value + (1U << shift) - 1) >> shift;  // 8 .. 16
  if (top == 16) top = 8, ++shift;
  return static_cast<uint8_t>(1 + shift * 8 + (top - 8));
}

}  // namespace mx::queue
