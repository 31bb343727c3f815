// engine/io/timer_wheel.h - many timers, cheap to arm and to move: a hierarchical wheel of
// intrusive lists.
//
// 4 levels of 64 slots, a tick of 8 ms: half a second, 33 s, 35 min, 37 h (a later deadline waits
// in the last level and is looked at again). A timer fires at its deadline or up to one tick after
// it, never before. To move a timer later is one store: it stays in its slot and is put on when the
// slot comes due, so the usual re-arming for each command of a session costs nothing.
//
// Not one io_uring timeout per session: a session re-arms with every command, and linked time-outs
// cost more than they give (liburing issues 1005, 1390). Owner and threads: one shard. A timer is
// owned by its object and cancelled before that goes.
#pragma once

#include <cstdint>

#include "proto/base/intrusive_list.h"
#include "proto/base/time.h"

namespace mx::io {

struct Timer {
  ListLink link;
  Instant deadline;   // valid while armed
  uint8_t kind = 0;   // the owner's, to tell its timers apart
  uint32_t slot = 0;  // likewise
  bool armed = false;
  uint64_t tick = 0;  // the wheel's: where it is filed
};

class TimerWheel {
 public:
  explicit TimerWheel(Instant start) : start_(start) {}
  ~TimerWheel();

  void arm(Timer& timer, Instant deadline);
  void cancel(Timer& timer);
  // The time until advance() may have something to do, at most `most`.
  Duration until_next(Instant now, Duration most) const;
  // Fires all that is due: `fire(Timer&)` with the timer already disarmed.
  template <typename Fire>
  void advance(Instant now, Fire&& fire) {
    const uint64_t target = tick_of(now);
    while (Timer* timer = next_due(target)) fire(*timer);
  }
  size_t size() const { return armed_; }

 private:
  static constexpr int levels = 4;
  static constexpr int slot_bits = 6;
  static constexpr uint64_t slots = 1U << slot_bits;
  static constexpr int64_t tick_us = 8'000;
  using List = IntrusiveList<Timer, &Timer::link>;

  uint64_t tick_of(Instant t) const {
    return t <= start_ ? 0 : static_cast<uint64_t>((t - start_).us / tick_us);
  }
  void file(Timer& timer);
  void unfile(Timer& timer);
  List& list_of(uint64_t tick, int* level, uint64_t* slot);
  Timer* next_due(uint64_t target);
  void cascade();

  Instant start_;
  uint64_t current_ = 0;  // all ticks before this one are done
  size_t armed_ = 0;
  uint64_t occupied_[levels]{};  // a bit a slot
  List lists_[levels][slots];
};

}  // namespace mx::io
