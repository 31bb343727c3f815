// maps/part.h - the search for the pilots of one part: the only place with an algorithm in it.
//
// Buckets are placed from the largest to the smallest. A bucket takes the first pilot (from a start
// that changes, so that two buckets do not displace each other for ever) that sends its keys to
// free slots. When none of the 256 does, it takes the pilot whose slots cost least, where a
// displaced bucket costs the square of its size, and the displaced buckets are placed again later.
// Buckets placed a moment ago are not displaced. The expected work is a few pilots a bucket; a part
// that needs far more is given up. Reference: PtrHash, arXiv 2502.15539, sections 3.3 and 3.4.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "maps/format.h"
#include "proto/base/prng.h"

namespace mx::maps {

class PartSearch {
 public:
  explicit PartSearch(const format::Shape& shape);
  // `hashes` sorted by bucket, bucket b in [starts[b], starts[b + 1]); no two of one bucket with
  // the same high half. Fills `pilots`; false when the part does not settle.
  bool run(std::span<const KeyHash> hashes, std::span<const uint32_t> starts,
           std::span<std::byte> pilots, uint64_t seed);

 private:
  static constexpr uint32_t nobody = UINT32_MAX;
  uint32_t size_of(uint32_t bucket) const { return starts_[bucket + 1] - starts_[bucket]; }
  std::span<const KeyHash> keys_of(uint32_t bucket) const {
    return hashes_.subspan(starts_[bucket], size_of(bucket));
  }
  bool slots_differ(uint32_t bucket, uint8_t pilot);
  bool fits(uint32_t bucket, uint8_t pilot);
  uint64_t cost(uint32_t bucket, uint8_t pilot, uint64_t limit);
  bool place(uint32_t bucket);
  void occupy(uint32_t bucket, uint8_t pilot);
  void queue(uint32_t bucket);

  format::Shape shape_;
  std::span<const KeyHash> hashes_;
  std::span<const uint32_t> starts_;
  std::span<std::byte> pilots_;
  std::vector<uint32_t> owner_;                 // bucket of each slot
  std::vector<std::vector<uint32_t>> waiting_;  // buckets to place, by size
  size_t largest_ = 0;                          // no bucket above this size waits
  std::vector<uint64_t> scratch_;
  std::array<uint32_t, 16> recent_{};  // placed last; not displaced
  size_t recent_at_ = 0;
  uint64_t displaced_ = 0;
  Prng random_{0};
};

}  // namespace mx::maps
