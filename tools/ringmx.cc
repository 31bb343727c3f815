// tools/ringmx.cc - the daemon's command line.

#include <sysexits.h>

#include <CLI/CLI.hpp>

#include "engine/daemon.h"

// jemalloc reads this at its start: what recovery needed goes back to the system, though the thread
// that needed it sleeps from then on (1 M queued messages: 106 bytes each instead of 162).
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0";
}

int main(int argc, char** argv) {
  CLI::App app{
      "ringmx: accepts mail for the domains of main.cf, makes it durable and relays it to the "
      "backend.\n"
      "TERM ends it in order, HUP reads the configuration again, USR1 opens the log file again."};
  mx::DaemonOptions options;
  app.add_option("-c,--config", options.config_directory, "directory with main.cf")
      ->capture_default_str();
  app.add_flag("--check", options.check_only,
               "read the configuration and all tables, bind nothing: exit 0 or 78");
  app.set_version_flag("--version", "ringmx " RINGMX_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EX_OK : EX_USAGE;
  }
  return mx::run_daemon(options);
}
