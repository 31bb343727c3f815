// queue/segment_pool.h - the process-wide pool of segments: who owns which, what still pins it, and
// how much space may still be promised. Pure state; the files are the owner's.
//
// All functions are safe from any thread and lock-free unless said otherwise. Life of a segment:
//
//   absent -> free -> open (claimed by one shard's journal) -> sealed -> retiring -> free
//                       \-> poisoned (device error)           (grave being written)
//
// A sealed segment is retired by its owner shard when nothing lives in it (live == 0: no unfinished
// message has a chunk or its COMMIT there, no open draft) and nothing is remembered by it (pins ==
// 0: it holds no mark for a message whose COMMIT stands in another segment that is not yet
// retired). Marks are always younger than their COMMIT, so the oldest segment never waits for
// another one. It becomes free when its grave is durable; from then on nothing in it can come back.
//
// Memory: segment_count^2 / 8 bytes for the pins, 64 bytes a segment.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "queue/format.h"
#include "queue/share.h"

namespace mx::queue {

enum class SegmentState : uint8_t { absent, free, open, sealed, retiring, poisoned };

class SegmentPool {
 public:
  // The last `reserve_segments` free ones serve, so that a full queue can always drain:
  //   notices, salvage    the first of them, one a shard
  //   marks               all but two a shard: for ever new ones, while mail can't end
  //   compaction          all but one a shard: it gives back more than it takes
  //   relocation          all: it gives segments back. So do the marks that end what has moved
  // Salvage gives none back, and must leave the next life what it drains with.
  SegmentPool(Geometry geometry, uint32_t shard_count, uint32_t reserve_segments);
  // A shard: the open one, one to roll to, one to relocate into, one for compaction; and one full
  // of marks over all.
  static constexpr uint32_t reserve_min(uint32_t shard_count) { return 4 * shard_count + 1; }
  // With fewer there is hardly room for mail beside the reserve.
  static constexpr uint32_t segments_min(uint32_t shard_count) { return 7 * shard_count + 2; }

  const Geometry& geometry() const { return geometry_; }
  uint32_t shard_count() const { return shard_count_; }

  // --- space, for the sessions. A promise is given back with release() when the message is
  // committed, refused or abandoned. false: answer 452 4.3.1.
  [[nodiscard]] bool reserve(uint64_t bytes);
  void release(uint64_t bytes);
  uint32_t free_segments() const { return free_count_.load(std::memory_order_relaxed); }
  uint32_t reserve_segments() const { return reserve_; }
  uint64_t promised_bytes() const { return promised_.load(std::memory_order_relaxed); }
  // What reserve() could still give.
  uint64_t free_bytes() const;
  bool low() const { return free_segments() <= low_mark_; }

  // --- files, for the owner. A newly written (all zeros) file joins the pool: absent -> free.
  void add_blank(uint32_t segment);
  // A write or flush failed somewhere on the device: every journal fails at its next call. Counted.
  void fail_device() { device_failures_.fetch_add(1, std::memory_order_acq_rel); }
  uint32_t device_failures() const { return device_failures_.load(std::memory_order_acquire); }
  bool device_failed() const { return device_failures() != 0; }
  // Marks can't be kept either: every journal stops for good.
  void give_up_device() { device_given_up_.store(true, std::memory_order_release); }
  bool device_given_up() const { return device_given_up_.load(std::memory_order_acquire); }

  // --- facts about one segment
  SegmentState state(uint32_t segment) const;
  uint32_t owner(uint32_t segment) const {
    return at(segment).owner.load(std::memory_order_relaxed);
  }
  uint32_t live(uint32_t segment) const { return at(segment).live.load(std::memory_order_acquire); }
  uint32_t pins(uint32_t segment) const { return at(segment).pins.load(std::memory_order_acquire); }
  // Of the records of what lives there: what compaction would have to copy.
  uint64_t live_bytes(uint32_t segment) const {
    return at(segment).live_bytes.load(std::memory_order_relaxed);
  }
  bool held(uint32_t segment) const { return at(segment).held.load(std::memory_order_relaxed); }
  // Needed to verify what is read back; stable while anything lives in the segment.
  Life life(uint32_t segment) const;

  // --- for the journals
  enum class Purpose : uint8_t { messages, notices, salvage, compaction, marks, relocation };
  // free -> open under a new sequence; nothing when no more than what is kept from this purpose is
  // free.
  std::optional<uint32_t> claim(uint32_t shard, Purpose purpose, uint64_t epoch);
  void seal(uint32_t segment);
  void poison(uint32_t segment);
  void add_live(const SegmentShare& share) {
    at(share.segment).live.fetch_add(1, std::memory_order_relaxed);
    add_bytes(share.segment, share.bytes);
  }
  void add_bytes(uint32_t segment, uint32_t bytes) {
    at(segment).live_bytes.fetch_add(bytes, std::memory_order_relaxed);
  }
  void drop_live(const SegmentShare& share);
  // Segment `holder` has a mark for a message whose COMMIT is in `target`.
  void pin(uint32_t target, uint32_t holder);
  // Forgets the marks for `target` in segments older than `below`.
  void unpin_older(uint32_t target, uint64_t below);
  bool is_pinned_by(uint32_t target, uint32_t holder) const;
  // sealed -> retiring when the segment is this shard's and nothing pins it.
  [[nodiscard]] bool begin_retire(uint32_t segment, uint32_t shard);
  void finish_retire(uint32_t segment);  // the grave is durable

  // --- for recovery, before any journal runs
  void adopt_free(uint32_t segment);
  // A held segment is kept for inspection: neither retired nor relocated.
  void adopt_sealed(uint32_t segment, uint32_t owner, const Life& life, bool held);
  void adopt_poisoned(uint32_t segment);
  void set_next_sequence(uint64_t sequence) { next_sequence_.store(sequence); }

 private:
  struct alignas(64) Segment {
    std::atomic<SegmentState> state{SegmentState::absent};
    std::atomic<uint32_t> owner{0};
    std::atomic<uint32_t> live{0};
    std::atomic<uint32_t> pins{0};
    std::atomic<bool> held{false};
    std::atomic<uint64_t> live_bytes{0};
    std::atomic<uint64_t> epoch{0};
    std::atomic<uint64_t> sequence{0};
  };
  Segment& at(uint32_t segment);
  const Segment& at(uint32_t segment) const;
  std::atomic<uint64_t>& pin_word(uint32_t target, uint32_t holder) const;
  void clear_pins(uint32_t target, uint64_t below);

  // constant after construction
  Geometry geometry_;
  uint32_t shard_count_;
  uint32_t reserve_;
  uint32_t low_mark_;
  uint32_t words_per_row_;
  std::unique_ptr<Segment[]> segments_;
  std::unique_ptr<std::atomic<uint64_t>[]> pin_bits_;  // [target][holder]
  // shared, atomic
  std::atomic<uint32_t> free_count_{0};
  std::atomic<uint32_t> claim_hint_{0};
  std::atomic<uint64_t> promised_{0};
  std::atomic<uint64_t> next_sequence_{1};
  std::atomic<uint32_t> device_failures_{0};
  std::atomic<bool> device_given_up_{false};
};

}  // namespace mx::queue
