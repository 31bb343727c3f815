// tools/ringmx.cc - the daemon's command line.

#include <sysexits.h>

#include <CLI/CLI.hpp>

#ifdef RINGMX_JEMALLOC
#include <jemalloc/jemalloc.h>
static_assert(MALLCTL_ARENAS_ALL == 4096);
#endif

#include "engine/daemon.h"

namespace {

// What recovery needed goes back to the system at once: the thread that needed it sleeps from then
// on, and jemalloc would keep it (1 M queued messages: 94 bytes each instead of 162).
void give_back_memory() {
#ifdef RINGMX_JEMALLOC
  ::mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "ringmx: accepts mail for the domains of main.cf, makes it durable and relays it to the "
      "backend.\n"
      "TERM ends it in order, HUP reads the configuration again, USR1 opens the log file again."};
  mx::DaemonOptions options;
  options.give_back_memory = give_back_memory;
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
