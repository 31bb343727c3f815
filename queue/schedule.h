// queue/schedule.h - when the messages of one shard are tried: a FIFO of ready ones and a heap of
// deferred ones. Holds ids only; an id whose message is gone is dropped by the caller when it comes
// up.
//
// Time is monotonic: a step of the wall clock neither starts a storm nor stalls the queue. Each
// message is in here at most once, which the caller sees to (it is out while it is being
// delivered). O(log n).
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "proto/base/prng.h"
#include "proto/base/time.h"
#include "queue/message_id.h"

namespace mx::queue {

struct Backoff {
  Duration minimal = seconds(300);   // minimal_backoff_time
  Duration maximal = seconds(4000);  // maximal_backoff_time
};

// A message's turn to be tried. It counts only while the message still has had that many attempts:
// what was held, released or tried otherwise since then has another turn.
struct Turn {
  MessageId id;
  uint16_t attempts = 0;
};

class Schedule {
 public:
  Schedule(Backoff backoff, uint64_t seed) : backoff_(backoff), prng_(seed) {}

  void set_backoff(Backoff backoff) { backoff_ = backoff; }

  // How long to wait after this many failed attempts (>= 1): doubles from minimal to maximal,
  // spread by a quarter either way within these bounds.
  Duration delay(uint32_t attempts);

  void add_ready(Turn turn) { ready_.push_back(turn); }
  void defer(Turn turn, Instant due);
  // After a restart: the wall-clock time becomes a waiting time of at most `maximal`, whatever the
  // clock did.
  void restore(Turn turn, WallTime next_attempt, WallTime wall_now, Instant now);

  // The next message to try, taken out.
  std::optional<Turn> next_ready(Instant now);
  // When next_ready() may have something again; nothing when all is empty. `now` when something is
  // ready.
  std::optional<Instant> next_due(Instant now) const;
  // All deferred ones become ready, in the order in which they were due.
  void wake_all();
  // Drops the turns for which stale(id, attempts). O(n).
  template <typename Stale>
  void erase_if(Stale&& stale) {
    std::erase_if(ready_, [&](const Turn& turn) { return stale(turn.id, turn.attempts); });
    std::erase_if(heap_, [&](const Waiting& waiting) {
      return stale(waiting.id, static_cast<uint16_t>(waiting.attempts));
    });
    std::make_heap(heap_.begin(), heap_.end(), later);
  }
  size_t ready_count() const { return ready_.size(); }
  size_t deferred_count() const { return heap_.size(); }

 private:
  struct Waiting {  // 16 bytes: there may be a million
    uint64_t due_ms : 48;
    uint64_t attempts : 16;
    MessageId id;
    Instant due() const { return {static_cast<int64_t>(due_ms) * 1000}; }
  };
  static_assert(sizeof(Waiting) == 16);
  static bool later(const Waiting& a, const Waiting& b) {
    return a.due_ms != b.due_ms ? a.due_ms > b.due_ms : a.id > b.id;
  }

  Backoff backoff_;
  Prng prng_;
  std::deque<Turn> ready_;
  std::vector<Waiting> heap_;
};

}  // namespace mx::queue
