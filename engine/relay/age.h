// engine/relay/age.h - how old a message is, for the end of its life and the warning before it.
//
// The wall clock may be wrong: it is set by hand, by NTP, or starts somewhere on a machine without
// a battery. It may make a message younger, never older:
//  - age is the smaller of what the wall clock and the steady clock since the start say;
//  - what was in the queue at the start is at first no older than the process, since the clock of a
//    machine that has just started may still be set.
// Downside: a clock that was behind at the start and was set later lets mail live longer, by as
// much, until the next start.
#pragma once

#include <algorithm>

#include "engine/io/loop.h"
#include "proto/base/time.h"

namespace mx::relay {

inline constexpr Duration clock_settles = seconds(3600);

inline Duration age_of(WallTime arrival, const io::Loop& loop) {
  const Duration running = loop.now() - loop.began();
  const Duration age = std::min(loop.wall(), loop.began_wall() + running) - arrival;
  return running < clock_settles ? std::min(age, running) : age;
}

}  // namespace mx::relay
