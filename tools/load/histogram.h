// tools/load/histogram.h - latencies in microseconds, counted in log-linear buckets: 32 to each
// power of two, so a quantile is at most 3 % too high and never too low. Recording is a few
// instructions, no allocation.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "proto/base/time.h"

namespace mx::load {

class Histogram {
 public:
  void record(Duration latency) {
    const uint64_t us = latency.us < 0 ? 0 : static_cast<uint64_t>(latency.us);
    ++buckets_[bucket(us)];
    ++count_;
    max_ = std::max(max_, us);
  }
  void add(const Histogram& other) {
    for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }
  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }
  // The latency that this part of all (0.99: 99 %) did not exceed; 0 when nothing was recorded.
  uint64_t quantile(double part) const {
    const auto wanted = static_cast<uint64_t>(std::ceil(part * static_cast<double>(count_)));
    uint64_t seen = 0;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen >= wanted && seen > 0) return std::min(upper_bound(i), max_);
    }
    return max_;
  }

 private:
  static constexpr unsigned fine_bits = 5;
  static constexpr unsigned fine = 1U << fine_bits;

  // Values below 32 have a bucket each; above, the 5 bits after the leading one choose it.
  static size_t bucket(uint64_t us) {
    if (us < fine) return us;
    const auto power = static_cast<unsigned>(std::bit_width(us)) - 1;
    return (power - fine_bits + 1) * size_t{fine} + ((us >> (power - fine_bits)) & (fine - 1));
  }
  static uint64_t upper_bound(size_t index) {
    if (index < fine) return index;
    const size_t shift = index / fine - 1;
    return ((uint64_t{fine} + index % fine + 1) << shift) - 1;
  }

  std::array<uint64_t, (64 - fine_bits + 1) * fine> buckets_{};
  uint64_t count_ = 0, max_ = 0;
};

}  // namespace mx::load
