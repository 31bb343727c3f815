#include "engine/observe/local_zone.h"

#include <ctime>

namespace mx::observe {

mail::TimeZone local_zone(WallTime now) {
  thread_local int64_t checked_minute = -1;
  thread_local mail::TimeZone zone;
  const int64_t minute = now.seconds() / 60;
  if (minute == checked_minute) return zone;
  checked_minute = minute;
  const time_t at = now.seconds();
  tm local;
  if (::localtime_r(&at, &local)) zone = {static_cast<int>(local.tm_gmtoff / 60), local.tm_zone};
  return zone;
}

}  // namespace mx::observe
