#include "queue/segment_pool.h"

#include <algorithm>
#include <bit>

#include "proto/base/assert.h"

namespace mx::queue {

SegmentPool::SegmentPool(Geometry geometry, uint32_t shard_count, uint32_t reserve_segments)
    : geometry_(geometry),
      shard_count_(shard_count),
      reserve_(reserve_segments),
      low_mark_(reserve_segments + std::max(shard_count, geometry.segment_count / 8)),
      words_per_row_((geometry.segment_count + 63) / 64) {
  MX_ASSERT(is_valid(geometry));
  MX_ASSERT(shard_count >= 1 && shard_count <= 1U << MessageIdSource::shard_bits);
  MX_ASSERT(reserve_segments >= reserve_min(shard_count));
  segments_ = std::make_unique<Segment[]>(geometry.segment_count);
  pin_bits_ =
      std::make_unique<std::atomic<uint64_t>[]>(size_t{words_per_row_} * geometry.segment_count);
}

SegmentPool::Segment& SegmentPool::at(uint32_t segment) {
  MX_ASSERT(segment < geometry_.segment_count);
  return segments_[segment];
}
const SegmentPool::Segment& SegmentPool::at(uint32_t segment) const {
  MX_ASSERT(segment < geometry_.segment_count);
  return segments_[segment];
}

std::atomic<uint64_t>& SegmentPool::pin_word(uint32_t target, uint32_t holder) const {
  return pin_bits_[size_t{target} * words_per_row_ + holder / 64];
}

// An eighth of every segment is left to headers, trailers, padding and the unused end.
uint64_t SegmentPool::free_bytes() const {
  const uint64_t free = free_segments();
  const uint64_t usable =
      free > reserve_ ? (free - reserve_) * (geometry_.segment_bytes / 8 * 7) : 0;
  const uint64_t promised = promised_bytes();
  return usable > promised ? usable - promised : 0;
}

bool SegmentPool::reserve(uint64_t bytes) {
  if (bytes > free_bytes()) return false;
  // Two shards may pass the check together: seen by both afterwards, and then one too many gives
  // way.
  promised_.fetch_add(bytes, std::memory_order_relaxed);
  const uint64_t free = free_segments();
  const uint64_t usable =
      free > reserve_ ? (free - reserve_) * (geometry_.segment_bytes / 8 * 7) : 0;
  if (promised_bytes() <= usable) return true;
  release(bytes);
  return false;
}

void SegmentPool::release(uint64_t bytes) {
  const uint64_t before = promised_.fetch_sub(bytes, std::memory_order_relaxed);
  MX_ASSERT(before >= bytes);
}

SegmentState SegmentPool::state(uint32_t segment) const {
  return at(segment).state.load(std::memory_order_acquire);
}

Life SegmentPool::life(uint32_t segment) const {
  const Segment& s = at(segment);
  return {s.epoch.load(std::memory_order_acquire), s.sequence.load(std::memory_order_acquire)};
}

void SegmentPool::add_blank(uint32_t segment) {
  MX_ASSERT(state(segment) == SegmentState::absent);
  adopt_free(segment);
}

std::optional<uint32_t> SegmentPool::claim(uint32_t shard, Purpose purpose, uint64_t epoch) {
  const uint32_t keep = purpose == Purpose::messages     ? reserve_
                        : purpose == Purpose::marks      ? 2 * shard_count_
                        : purpose == Purpose::compaction ? shard_count_
                        : purpose == Purpose::relocation ? 0
                                                         : reserve_ - shard_count_;
  uint32_t free = free_count_.load(std::memory_order_relaxed);
  do {
    if (free <= keep) return std::nullopt;
  } while (!free_count_.compare_exchange_weak(free, free - 1, std::memory_order_acquire,
                                              std::memory_order_relaxed));
  // The count is raised only after a state has become free, so a free one is there for us.
  for (uint32_t i = claim_hint_.load(std::memory_order_relaxed);; ++i) {
    const uint32_t segment = i % geometry_.segment_count;
    Segment& s = segments_[segment];
    SegmentState expected = SegmentState::free;
    if (!s.state.compare_exchange_strong(expected, SegmentState::open, std::memory_order_acq_rel))
      continue;
    claim_hint_.store((segment + 1) % geometry_.segment_count, std::memory_order_relaxed);
    MX_ASSERT(s.live.load() == 0);
    MX_ASSERT(s.pins.load() == 0);
    MX_ASSERT(s.live_bytes.load() == 0);
    s.owner.store(shard, std::memory_order_relaxed);
    s.epoch.store(epoch, std::memory_order_release);
    s.sequence.store(next_sequence_.fetch_add(1), std::memory_order_release);
    return segment;
  }
}

void SegmentPool::seal(uint32_t segment) {
  MX_ASSERT(state(segment) == SegmentState::open);
  at(segment).state.store(SegmentState::sealed, std::memory_order_release);
}

void SegmentPool::poison(uint32_t segment) {
  at(segment).state.store(SegmentState::poisoned, std::memory_order_release);
}

void SegmentPool::drop_live(const SegmentShare& share) {
  Segment& s = at(share.segment);
  const uint64_t bytes = s.live_bytes.fetch_sub(share.bytes, std::memory_order_relaxed);
  MX_ASSERT(bytes >= share.bytes);
  const uint32_t before = s.live.fetch_sub(1, std::memory_order_acq_rel);
  MX_ASSERT(before > 0);
}

void SegmentPool::pin(uint32_t target, uint32_t holder) {
  MX_ASSERT(holder < geometry_.segment_count);
  MX_ASSERT(target < geometry_.segment_count);
  if (target == holder || is_pinned_by(target, holder)) return;
  const uint64_t bit = uint64_t{1} << (holder % 64);
  if ((pin_word(target, holder).fetch_or(bit, std::memory_order_acq_rel) & bit) == 0)
    at(holder).pins.fetch_add(1, std::memory_order_acq_rel);
}

bool SegmentPool::is_pinned_by(uint32_t target, uint32_t holder) const {
  return (pin_word(target, holder).load(std::memory_order_relaxed) >> (holder % 64) & 1) != 0;
}

void SegmentPool::unpin_older(uint32_t target, uint64_t below) {
  clear_pins(target, below);
}

void SegmentPool::clear_pins(uint32_t target, uint64_t below) {
  for (uint32_t word = 0; word < words_per_row_; ++word) {
    uint64_t bits = pin_word(target, word * 64).load(std::memory_order_acquire);
    for (; bits != 0; bits &= bits - 1) {
      const uint32_t holder = word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
      if (at(holder).sequence.load(std::memory_order_acquire) >= below) continue;
      const uint64_t bit = uint64_t{1} << (holder % 64);
      if ((pin_word(target, holder).fetch_and(~bit, std::memory_order_acq_rel) & bit) != 0) {
        const uint32_t before = at(holder).pins.fetch_sub(1, std::memory_order_acq_rel);
        MX_ASSERT(before > 0);
      }
    }
  }
}

bool SegmentPool::begin_retire(uint32_t segment, uint32_t shard) {
  Segment& s = at(segment);
  if (s.state.load(std::memory_order_acquire) != SegmentState::sealed) return false;
  if (s.owner.load(std::memory_order_relaxed) != shard) return false;
  if (s.live.load(std::memory_order_acquire) != 0) return false;
  if (s.pins.load(std::memory_order_acquire) != 0) return false;
  SegmentState expected = SegmentState::sealed;
  return s.state.compare_exchange_strong(expected, SegmentState::retiring,
                                         std::memory_order_acq_rel);
}

void SegmentPool::finish_retire(uint32_t segment) {
  MX_ASSERT(state(segment) == SegmentState::retiring);
  clear_pins(segment, UINT64_MAX);
  adopt_free(segment);
}

void SegmentPool::adopt_free(uint32_t segment) {
  at(segment).state.store(SegmentState::free, std::memory_order_release);
  free_count_.fetch_add(1, std::memory_order_release);
}

void SegmentPool::adopt_sealed(uint32_t segment, uint32_t owner, const Life& life, bool held) {
  Segment& s = at(segment);
  MX_ASSERT(owner < shard_count_);
  s.owner.store(owner);
  s.epoch.store(life.epoch);
  s.sequence.store(life.sequence);
  s.held.store(held);
  if (held) s.live.fetch_add(1);
  s.state.store(SegmentState::sealed, std::memory_order_release);
}

void SegmentPool::adopt_poisoned(uint32_t segment) {
  poison(segment);
}

}  // namespace mx::queue
