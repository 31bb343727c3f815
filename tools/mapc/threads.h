// tools/mapc/threads.h - lends the cores of the machine to maps::TableBuilder.
#pragma once

#include "maps/builder.h"

namespace mx::mapc {

// A thread a core takes task after task; returns when all are done.
void run_on_all_cores(size_t count, const maps::Task& task);

}  // namespace mx::mapc
