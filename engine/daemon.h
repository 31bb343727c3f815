// engine/daemon.h - the daemon from start to end, as a list of steps: configuration, probe,
// listeners, privileges, queue, shards, signals, orderly end.
#pragma once

#include <string>

namespace mx {

struct DaemonOptions {
  std::string config_directory = "/etc/ringmx";
  bool check_only = false;
  void (*give_back_memory)() = nullptr;  // called once, when what the start needed is free
};

// Returns the exit code (sysexits.h). Messages for the operator go to stderr until the log is open.
int run_daemon(const DaemonOptions& options);

}  // namespace mx
