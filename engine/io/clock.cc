#include "engine/io/clock.h"

#include <time.h>

namespace mx::io {

Instant now() {
  timespec ts;
  ::clock_gettime(CLOCK_MONOTONIC, &ts);
  return {ts.tv_sec * 1'000'000 + ts.tv_nsec / 1000};
}

WallTime wall_now() {
  timespec ts;
  ::clock_gettime(CLOCK_REALTIME, &ts);
  return {ts.tv_sec * 1'000'000 + ts.tv_nsec / 1000};
}

}  // namespace mx::io
