// engine/io/loop.h - the turn of a thread: ring, timers, receive buffers and the time, and the
// order in which things happen. The daemon's shards and the load tools all run this.
//
// Rules of a turn:
//  1. Completions are copied out of the ring first; handlers run after, so none runs while the ring
//  is read.
//  2. Handlers change state and prepare operations; they never submit, block or allocate on the
//  usual path.
//  3. After the completions: timers that are due, then handler.end_of_turn() (bounded deferred
//  work).
//  4. Receive buffers that came back are published once; then one system call submits all and
//  waits.
//  5. It waits only when nothing is runnable, and no longer than to the next timer.
#pragma once

#include <array>
#include <cstdint>

#include "engine/io/buffer_ring.h"
#include "engine/io/clock.h"
#include "engine/io/ring.h"
#include "engine/io/timer_wheel.h"

namespace mx::io {

class Loop {
 public:
  Loop(Ring&& r, BufferRing* receive_buffers)
      : ring(std::move(r)), timers(io::now()), buffers(receive_buffers) {
    read_clock();
    began_ = now_;
    began_wall_ = wall_;
  }

  Ring ring;
  TimerWheel timers;
  BufferRing* buffers;

  Instant now() const { return now_; }  // of this turn
  WallTime wall() const { return wall_; }
  // The moment at which the loop began, by both clocks.
  Instant began() const { return began_; }
  WallTime began_wall() const { return began_wall_; }
  // Asks for another turn without waiting: there is runnable work left.
  void run_again() { runnable_ = true; }

  // Handler: void on_completion(const Completion&); void on_timer(Timer&); void end_of_turn().
  template <typename Handler>
  void turn(Handler& handler, Duration most) {
    if (buffers) buffers->publish();
    const Duration wait = runnable_ ? Duration{0} : timers.until_next(now_, most);
    runnable_ = false;
    const size_t count = ring.turn(wait, completions_);
    if (count == completions_.size()) runnable_ = true;  // there may be more
    read_clock();
    for (size_t i = 0; i < count; ++i)
      if (completions_[i].op.kind != op_ignored) handler.on_completion(completions_[i]);
    timers.advance(now_, [&](Timer& timer) { handler.on_timer(timer); });
    handler.end_of_turn();
  }

 private:
  void read_clock() {
    now_ = io::now();
    wall_ = io::wall_now();
  }

  Instant now_, began_;
  WallTime wall_, began_wall_;
  bool runnable_ = false;
  std::array<Completion, 256> completions_;
};

}  // namespace mx::io
