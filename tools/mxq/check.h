// tools/mxq/check.h - `mxq --fsck`: verifies every record of the queue and says exactly what is
// damaged and what is recovered. Writes nothing.
#pragma once

#include "tools/mxq/rest.h"

namespace mx::mxq {

// The exit status: 0, or 65 when something is damaged.
int check(QueueAtRest& queue, bool running);

}  // namespace mx::mxq
