#include "maps/part.h"

#include <algorithm>

#include "proto/base/assert.h"

namespace mx::maps {

using format::slot_of;

PartSearch::PartSearch(const format::Shape& shape) : shape_(shape) {
  owner_.resize(shape.slots_per_part);
}

// No two keys of the bucket meet in one slot.
bool PartSearch::slots_differ(uint32_t bucket, uint8_t pilot) {
  scratch_.clear();
  for (const KeyHash& hash : keys_of(bucket)) scratch_.push_back(slot_of(hash, pilot, shape_));
  std::sort(scratch_.begin(), scratch_.end());
  return std::adjacent_find(scratch_.begin(), scratch_.end()) == scratch_.end();
}

bool PartSearch::fits(uint32_t bucket, uint8_t pilot) {
  for (const KeyHash& hash : keys_of(bucket))
    if (owner_[slot_of(hash, pilot, shape_)] != nobody) return false;
  return size_of(bucket) == 1 || slots_differ(bucket, pilot);
}

// What it costs to give the bucket this pilot; `limit` or more when it cannot be or is no better.
uint64_t PartSearch::cost(uint32_t bucket, uint8_t pilot, uint64_t limit) {
  uint64_t sum = 0;
  for (const KeyHash& hash : keys_of(bucket)) {
    const uint32_t owner = owner_[slot_of(hash, pilot, shape_)];
    if (owner == nobody) continue;
    if (std::find(recent_.begin(), recent_.end(), owner) != recent_.end()) return limit;
    sum += uint64_t{size_of(owner)} * size_of(owner);
    if (sum >= limit) return limit;
  }
  return slots_differ(bucket, pilot) ? sum : limit;
}

void PartSearch::queue(uint32_t bucket) {
  const size_t size = size_of(bucket);
  waiting_[size].push_back(bucket);
  largest_ = std::max(largest_, size);
}

void PartSearch::occupy(uint32_t bucket, uint8_t pilot) {
  for (const KeyHash& hash : keys_of(bucket)) {
    const uint32_t displaced = owner_[slot_of(hash, pilot, shape_)];
    if (displaced == nobody) continue;
    const uint8_t old = std::to_integer<uint8_t>(pilots_[displaced]);
    for (const KeyHash& other : keys_of(displaced)) owner_[slot_of(other, old, shape_)] = nobody;
    queue(displaced);
    ++displaced_;
  }
  for (const KeyHash& hash : keys_of(bucket)) owner_[slot_of(hash, pilot, shape_)] = bucket;
  pilots_[bucket] = std::byte{pilot};
  recent_[recent_at_++ % recent_.size()] = bucket;
}

bool PartSearch::place(uint32_t bucket) {
  const uint8_t start = static_cast<uint8_t>(random_.next());
  for (uint32_t i = 0; i < 256; ++i) {
    const uint8_t pilot = static_cast<uint8_t>(start + i);
    if (!fits(bucket, pilot)) continue;
    occupy(bucket, pilot);
    return true;
  }
  uint64_t best_cost = UINT64_MAX;
  uint8_t best = 0;
  for (uint32_t i = 0; i < 256; ++i) {
    const uint8_t pilot = static_cast<uint8_t>(start + i);
    const uint64_t found = cost(bucket, pilot, best_cost);
    if (found >= best_cost) continue;
    best_cost = found;
    best = pilot;
  }
  if (best_cost == UINT64_MAX) return false;
  occupy(bucket, best);
  return true;
}

bool PartSearch::run(std::span<const KeyHash> hashes, std::span<const uint32_t> starts,
                     std::span<std::byte> pilots, uint64_t seed) {
  MX_ASSERT(starts.size() == pilots.size() + 1);
  MX_ASSERT(starts.back() == hashes.size());
  if (hashes.size() > shape_.slots_per_part) return false;
  hashes_ = hashes;
  starts_ = starts;
  pilots_ = pilots;
  std::fill(owner_.begin(), owner_.end(), nobody);
  recent_.fill(nobody);
  displaced_ = 0;
  random_ = Prng(seed);
  uint32_t largest = 0;
  for (uint32_t b = 0; b < pilots.size(); ++b) largest = std::max(largest, size_of(b));
  waiting_.assign(largest + 1, {});
  largest_ = 0;
  for (uint32_t b = 0; b < pilots.size(); ++b)
    if (size_of(b) != 0) queue(b);

  const uint64_t displaced_max = 10 * pilots.size() + 1000;
  while (true) {
    while (largest_ > 0 && waiting_[largest_].empty()) --largest_;
    if (largest_ == 0) return true;
    const uint32_t bucket = waiting_[largest_].back();
    waiting_[largest_].pop_back();
    if (!place(bucket) || displaced_ > displaced_max) return false;
  }
}

}  // namespace mx::maps
