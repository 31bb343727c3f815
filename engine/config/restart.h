// engine/config/restart.h - the parameters that are read at the start only: a reload leaves them as
// they were, and says so.
#pragma once

#include "engine/config/diagnostic.h"
#include "engine/config/settings.h"

namespace mx::config {

// One warning for each that `next` has changed from `started`, at its line of main.cf. Where there
// are defaults from others (listen from inet_interfaces), the parameter that decides is named.
void report_restart_needed(const Settings& started, const Settings& next, Diagnostics& diagnostics);

}  // namespace mx::config
