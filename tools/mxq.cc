// tools/mxq.cc - the operator's view of the queue: of a running ringmx over its control socket, of
// one that does not run from its files.

#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>

#include "engine/config/load.h"
#include "tools/mxq/client.h"
#include "tools/mxq/command.h"

namespace {

using mx::mxq::Options;

std::optional<mx::config::Settings> read_settings(const std::string& directory) {
  auto loaded =
      mx::config::load(directory, mx::config::disk_reader(), mx::config::read_host_facts());
  if (loaded.settings) return *loaded.settings;
  for (const mx::config::Diagnostic& d : loaded.settings.error())
    std::fprintf(stderr, "%s\n", mx::config::to_string(d).c_str());
  return std::nullopt;
}

// An empty value is a script's unset variable: never "no restriction".
std::string not_empty(const std::string& value) {
  return value.empty() ? "must not be empty" : "";
}

void add_options(CLI::App& app, Options& o) {
  app.set_help_flag("--help", "print this");  // -h is to hold a message, as with postsuper
  app.add_option("-c,--config", o.directory, "directory with main.cf")->capture_default_str();
  CLI::Option_group* what = app.add_option_group("what to do (without one: -p)");
  what->add_flag("-p", o.listing, "list the queue as postqueue -p does");
  what->add_flag("-j", o.json_lines, "list the queue as JSON lines with the keys of postqueue -j");
  what->add_flag("--qshape", o.shape, "recipients by domain and age, as qshape does");
  what->add_flag("--status", o.status, "counters and alarms");
  what->add_flag("-f", o.flush, "try all deferred mail now, or that of --destination");
  what->add_option("-s", o.flush_domain, "try mail for this domain now")
      ->type_name("DOMAIN")
      ->check(not_empty);
  const char* ids = "ID|ALL|-";
  what->add_option("-i", o.kick, "try this message now")->type_name("ID");
  what->add_option("-h", o.hold, "hold: it waits until it is released")->type_name(ids);
  what->add_option("-H", o.release, "release from hold")->type_name(ids);
  what->add_option("-r", o.requeue, "requeue: try it now, held or not")->type_name(ids);
  what->add_option("-d", o.remove, "delete")->type_name(ids);
  what->add_flag("--fsck", o.fsck, "verify every record; say what is damaged. Writes nothing");
  what->add_option("--export", o.export_directory, "write ID.eml and ID.json for each message")
      ->type_name("DIR")
      ->check(not_empty);
  what->add_option("--mbox", o.export_mbox, "write all messages to one mbox file")
      ->type_name("FILE")
      ->check(not_empty);
  what->add_option("--drain-to", o.drain_to,
                   "hand the queue to another MTA by SMTP, held and quarantined mail too; "
                   "ringmx must not run")
      ->type_name("HOST:PORT")
      ->check(not_empty);
  what->require_option(0, 1);
  app.add_option("--destination", o.destination, "only messages for this domain")
      ->type_name("DOMAIN")
      ->check(not_empty);
  app.add_option("--id", o.only, "only these messages, when listing, exporting or draining")
      ->type_name("ID")
      ->check(not_empty);
  app.add_flag("--json", o.as_json, "with --status: one JSON object");
  app.footer(
      "ID may be given several times; - reads ids from standard input; ALL with --destination: all "
      "of that domain.");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"mxq: lists and steers ringmx's queue."};
  Options options;
  add_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EX_OK : EX_USAGE;
  }
  try {
    auto settings = read_settings(options.directory);
    if (!settings) return EX_CONFIG;
    return mx::mxq::Command(std::move(options), std::move(*settings)).run();
  } catch (const mx::mxq::Unavailable& error) {
    std::fprintf(stderr, "mxq: fatal: %s\n", error.what());
    return EX_UNAVAILABLE;
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "mxq: %s\n", error.what());
    return EX_USAGE;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mxq: fatal: %s\n", error.what());
    return EX_IOERR;
  }
}
