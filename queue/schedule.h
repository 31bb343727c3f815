// queue/schedule.h - when the messages of one shard are tried: a FIFO of ready ones and a heap of
// deferred ones. Holds ids only; an id whose message is gone is dropped by the caller when it comes
// up.
//
// Time is monotonic: a step of the wall clock neither starts a storm nor stalls the queue. Each
// message is in here at most once, which the caller sees to (it is out while it is being
// delivered). O(log n).
#pragma once

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

class Schedule {
 public:
  Schedule(Backoff backoff, uint64_t seed) : backoff_(backoff), prng_(seed) {}

  void set_backoff(Backoff backoff) { backoff_ = backoff; }

  // How long to wait after this many failed attempts (>= 1): doubles from minimal to maximal,
  // spread by a quarter either way within these bounds.
  Duration delay(uint32_t attempts);

  void add_ready(MessageId id) { ready_.push_back(id); }
  void defer(MessageId id, Instant due);
  // After a restart: the wall-clock time becomes a waiting time of at most `maximal`, whatever the
  // clock did.
  void restore(MessageId id, WallTime next_attempt, WallTime wall_now, Instant now);

  // The next message to try, taken out.
  std::optional<MessageId> next_ready(Instant now);
  // When next_ready() may have something again; nothing when all is empty. `now` when something is
  // ready.
  std::optional<Instant> next_due(Instant now) const;
  // All deferred ones become ready, in the order in which they were due.
  void wake_all();
  size_t ready_count() const { return ready_.size(); }
  size_t deferred_count() const { return heap_.size(); }

 private:
  struct Waiting {
    Instant due;
    MessageId id;
  };
  static bool later(const Waiting& a, const Waiting& b) {
    return a.due != b.due ? a.due > b.due : a.id > b.id;
  }

  Backoff backoff_;
  Prng prng_;
  std::deque<MessageId> ready_;
  std::vector<Waiting> heap_;
};

}  // namespace mx::queue
