#include "engine/io/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "proto/base/assert.h"

namespace mx::io {

TimerWheel::~TimerWheel() {
  for (auto& level : lists_)
    for (List& list : level)
      while (Timer* timer = list.pop_front()) timer->armed = false;
}

// The level is the highest digit (base 64) in which the tick differs from the current one.
TimerWheel::List& TimerWheel::list_of(uint64_t tick, int* level, uint64_t* slot) {
  const uint64_t differing = tick ^ current_;
  const int highest = differing == 0 ? 0 : (63 - std::countl_zero(differing)) / slot_bits;
  *level = std::min(highest, levels - 1);
  *slot = (tick >> (slot_bits * *level)) & (slots - 1);
  return lists_[*level][*slot];
}

void TimerWheel::file(Timer& timer) {
  // One tick late rather than early: the deadline may lie inside its tick.
  uint64_t tick = std::max(tick_of(timer.deadline) + 1, current_);
  // Beyond the last level's reach: as far as it reaches, and looked at again there.
  const uint64_t reach = current_ + (slots - 1) * (uint64_t{1} << (slot_bits * (levels - 1)));
  tick = std::min(tick, reach);
  timer.tick = tick;
  int level = 0;
  uint64_t slot = 0;
  list_of(tick, &level, &slot).push_back(timer);
  occupied_[level] |= uint64_t{1} << slot;
}

// A timer stays where list_of() put it until its slot is moved down, and only that changes the
// answer.
void TimerWheel::unfile(Timer& timer) {
  int level = 0;
  uint64_t slot = 0;
  List& list = list_of(timer.tick, &level, &slot);
  list.remove(timer);
  if (list.empty()) occupied_[level] &= ~(uint64_t{1} << slot);
}

void TimerWheel::arm(Timer& timer, Instant deadline) {
  const bool later = timer.armed && deadline >= timer.deadline;
  timer.deadline = deadline;
  if (later) return;  // stays filed where it is; next_due() puts it on
  if (timer.armed) {
    unfile(timer);
  } else {
    ++armed_;
    timer.armed = true;
  }
  file(timer);
}

void TimerWheel::cancel(Timer& timer) {
  if (!timer.armed) return;
  unfile(timer);
  timer.armed = false;
  --armed_;
}

// Moves the lists of the higher levels down whose first tick has come.
void TimerWheel::cascade() {
  for (int level = 1; level < levels; ++level) {
    const uint64_t below = (uint64_t{1} << (slot_bits * level)) - 1;
    if ((current_ & below) != 0) return;
    const uint64_t slot = (current_ >> (slot_bits * level)) & (slots - 1);
    List& list = lists_[level][slot];
    occupied_[level] &= ~(uint64_t{1} << slot);
    for (size_t n = list.size(); n > 0; --n) file(*list.pop_front());
  }
}

Timer* TimerWheel::next_due(uint64_t target) {
  while (true) {
    List& list = lists_[0][current_ & (slots - 1)];
    while (Timer* timer = list.front()) {
      unfile(*timer);
      if (tick_of(timer->deadline) >= current_) {  // was moved later
        file(*timer);
        continue;
      }
      timer->armed = false;
      --armed_;
      return timer;
    }
    if (current_ >= target) return nullptr;
    ++current_;
    cascade();
  }
}

Duration TimerWheel::until_next(Instant now, Duration most) const {
  if (armed_ == 0) return most;
  for (int level = 0; level < levels; ++level) {
    const uint64_t position = (current_ >> (slot_bits * level)) & (slots - 1);
    const uint64_t ahead = std::rotr(occupied_[level], static_cast<int>(position));
    if (ahead == 0) continue;
    // On a higher level the current slot has been moved down, so a bit there means a whole round
    // later.
    uint64_t distance = static_cast<uint64_t>(std::countr_zero(ahead));
    if (level > 0 && distance == 0) distance = 1;
    const uint64_t unit = uint64_t{1} << (slot_bits * level);
    const uint64_t tick = (current_ / unit + distance) * unit;
    const Instant at = start_ + Duration{static_cast<int64_t>(tick) * tick_us};
    return std::clamp(at - now, Duration{0}, most);
  }
  return most;
}

}  // namespace mx::io
