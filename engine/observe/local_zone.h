// engine/observe/local_zone.h - the time zone that the machine is set to, for dates in headers.
//
// Looked up once a minute at most. Threads: any; each has its own copy.
#pragma once

#include "proto/base/time.h"
#include "proto/mail/received.h"

namespace mx::observe {

mail::TimeZone local_zone(WallTime now);

}  // namespace mx::observe
