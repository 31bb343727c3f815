// engine/io/clock.h - the only place where time is read. A loop reads it once a turn.
#pragma once

#include "proto/base/time.h"

namespace mx::io {

Instant now();
WallTime wall_now();

}  // namespace mx::io
