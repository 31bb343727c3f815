// engine/io/clock.h - the only place where time is read. A loop reads it once a turn.
#pragma once

#include <time.h>

#include "proto/base/time.h"

namespace mx::io {

inline Instant now() {
  timespec ts;
  ::clock_gettime(CLOCK_MONOTONIC, &ts);
  return {ts.tv_sec * 1'000'000 + ts.tv_nsec / 1000};
}
inline WallTime wall_now() {
  timespec ts;
  ::clock_gettime(CLOCK_REALTIME, &ts);
  return {ts.tv_sec * 1'000'000 + ts.tv_nsec / 1000};
}

}  // namespace mx::io
