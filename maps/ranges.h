// maps/ranges.h - a number for every address: sorted starts of disjoint ranges, entered through a
// direct index, then searched without a branch that depends on what is found.
//
// The index has up to 2^16 buckets, as many as there are ranges, over the upper bits of the
// address: for IPv4 the first 16, for IPv6 the 16 after 2000::/3, where all addresses of the
// Internet are; what is below or above falls into the first or last bucket. Starts are compared
// whole, so the index decides about speed only. Owner and threads: const after build(), any thread.
#pragma once

#include <algorithm>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "proto/base/assert.h"

namespace mx::maps {

struct Ipv6Number {
  uint64_t high = 0, low = 0;
  auto operator<=>(const Ipv6Number&) const = default;
};

constexpr uint32_t bucket_bits_max = 16;
constexpr uint32_t bucket_of(uint32_t address) {
  return address >> 16;
}
constexpr uint32_t bucket_of(const Ipv6Number& address) {
  constexpr uint64_t first = 0x2000U << 3, last = first + 0xFFFF;  // of 19 bits
  return static_cast<uint32_t>(std::clamp(address.high >> 45, first, last) - first);
}

template <typename Address>
class Ranges {
 public:
  static constexpr uint32_t nothing = 0;

  // Calls come with growing addresses, the first with address 0.
  void append(const Address& start, uint32_t number) {
    if (!numbers_.empty() && numbers_.back() == number) return;
    MX_ASSERT(starts_.empty() || starts_.back() < start);
    starts_.push_back(start);
    numbers_.push_back(number);
  }
  void build();
  uint32_t find(const Address& address) const;
  size_t size() const { return starts_.size(); }

 private:
  uint32_t shift_ = bucket_bits_max;
  std::vector<uint32_t> first_;  // range that holds the first address of each bucket, and the last
  std::vector<Address> starts_;
  std::vector<uint32_t> numbers_;
};

template <typename Address>
void Ranges<Address>::build() {
  starts_.shrink_to_fit();
  numbers_.shrink_to_fit();
  const auto bits = static_cast<uint32_t>(std::bit_width(starts_.size()));
  shift_ = bucket_bits_max - std::min(bits, bucket_bits_max);
  first_.assign((1U << (bucket_bits_max - shift_)) + 1, 0);
  size_t range = 0;
  for (uint32_t bucket = 1; bucket < first_.size(); ++bucket) {
    while (range < starts_.size() && bucket_of(starts_[range]) >> shift_ < bucket) ++range;
    MX_ASSERT(range > 0);
    first_[bucket] = static_cast<uint32_t>(range - 1);
  }
}

template <typename Address>
uint32_t Ranges<Address>::find(const Address& address) const {
  if (first_.empty()) return nothing;
  const uint32_t bucket = bucket_of(address) >> shift_;
  size_t at = first_[bucket];
  size_t size = first_[bucket + 1] - at + 1;
  __builtin_prefetch(&numbers_[at + size / 2]);
  while (size > 1) {
    const size_t half = size / 2;
    // Both places where the next step may look.
    __builtin_prefetch(&starts_[at + half / 2]);
    __builtin_prefetch(&starts_[at + half + half / 2]);
    at += starts_[at + half] <= address ? half : 0;
    size -= half;
  }
  return numbers_[at];
}

}  // namespace mx::maps
