// mapc - compiles postmap source files into the perfect-hash tables that ringmx reads: the compiled
// form of /path is /path.phm; and asks tables of every type. See tools/man/mapc.1 and
// maps/README.md.
//
// The tables of a run are built in memory one after the other, written beside their final names and
// synced; then they become visible together (tools/mapc/table_run.h). Bad lines are reported as
// postmap does and left out; --strict makes them errors.
#include <sysexits.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/config/host_facts.h"
#include "engine/config/load.h"
#include "engine/config/named_tables.h"
#include "maps/spec.h"
#include "proto/base/limits.h"
#include "tools/mapc/compile.h"
#include "tools/mapc/message.h"
#include "tools/mapc/options.h"
#include "tools/mapc/query.h"

namespace {

using namespace mx;
using namespace mx::mapc;

// A set record holds absolute paths, as main.cf does.
std::string absolute(const std::string& path) {
  std::vector<char> here(limits::table_path_bytes_max + 1);
  if (path.starts_with('/') || ::getcwd(here.data(), here.size()) == nullptr) return path;
  return std::string(here.data()) + "/" + path;
}

// The tables that main.cf names.
int find_jobs(const Options& options, std::vector<Job>& jobs) {
  config::NamedTables found =
      config::find_tables(options.directory, config::disk_reader(), config::read_host_facts());
  bool missed = false;
  for (const config::Diagnostic& diagnostic : found.diagnostics) {
    say(to_string(diagnostic));
    missed = missed || diagnostic.severity == config::Severity::error;
  }
  if (missed) return EX_CONFIG;
  for (config::NamedTable& table : found.tables) {
    std::string place =
        table.file + ":" + std::to_string(table.line) + ": " + table.parameter + ": ";
    jobs.push_back({std::move(table.spec), table.is_aliases, std::move(place)});
  }
  return EX_OK;
}

int run(const Options& options) {
  std::vector<Job> jobs;
  for (const std::string& name : options.tables) {
    auto spec = maps::parse_table_spec(name);
    if (!spec) return report({EX_USAGE, spec.error()});
    if (spec->has_path()) spec->name = absolute(spec->name);
    jobs.push_back({std::move(*spec), options.aliases, {}});
  }
  if (options.query) {
    std::vector<maps::TableSpec> specs;
    for (Job& job : jobs) specs.push_back(std::move(job.spec));
    return query_tables(specs, *options.query, options.directory);
  }
  if (options.dump) return dump_table(jobs.front().spec, options.directory);
  if (options.from_stdin && jobs.front().spec.kind != maps::TableKind::compiled)
    return report({EX_USAGE, "--stdin needs a table that is compiled: hash:/path"});
  if (options.all)
    if (const int found = find_jobs(options, jobs); found != EX_OK) return found;
  return compile_tables(jobs, options);
}

// What is wrong with the combination of options; empty when nothing is.
std::string complaint(const Options& options) {
  const bool asks = options.query || options.dump;
  if (options.all == !options.tables.empty()) return "name tables (hash:/path), or give --all";
  if (options.query && options.dump) return "-q or -s, not both";
  if (asks && (options.all || options.from_stdin)) return "-q and -s ask the tables that are named";
  if ((options.from_stdin || options.dump) && options.tables.size() != 1)
    return "--stdin and -s take one table";
  if (options.aliases && (asks || options.all))
    return "--aliases is for compiling the tables that are named; --all knows which are aliases";
  return {};
}

void add_options(CLI::App& app, Options& options) {
  app.add_option("-c", options.directory,
                 "directory of main.cf (for --all) and of the record of tables that become visible "
                 "together [/etc/ringmx]")
      ->type_name("DIR");
  app.add_flag("--all", options.all, "compile every table that main.cf names");
  app.add_flag("--aliases", options.aliases, "the sources are in aliases(5) form");
  app.add_flag("--stdin", options.from_stdin, "read the source from standard input");
  app.add_flag("--strict", options.strict, "bad and duplicate lines are errors");
  app.add_option("--max-shrink", options.max_shrink_percent,
                 "refuse a table that has more than PERCENT % fewer keys than before")
      ->type_name("PERCENT")
      ->check(CLI::Range(0, 100));
  app.add_option("--seed", options.seed, "hash with seed N instead of a random one")
      ->type_name("N");
  app.add_flag("--stat", options.stat, "print a line about each table that was compiled");
  app.add_option("-q", options.query,
                 "print KEY's value, exit 1 when absent; - reads keys from standard input")
      ->type_name("KEY");
  app.add_flag("-s", options.dump, "print all entries of a table, in the order of its source");
  app.add_option("table", options.tables,
                 "type:path; compiled: hash, btree, lmdb, cdb, texthash; -q asks every type");
  app.footer(
      "Examples:\n"
      "  mapc hash:/etc/ringmx/domains hash:/etc/ringmx/addresses\n"
      "  mapc -c /etc/ringmx --all --max-shrink 20\n"
      "  export-recipients | mapc --stdin hash:/etc/ringmx/addresses\n"
      "  mapc -q user@example.org hash:/etc/ringmx/addresses\n");
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Compile postmap source files for ringmx: /path becomes /path.phm.", "mapc");
  add_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EX_OK : EX_USAGE;
  }
  if (const std::string wrong = complaint(options); !wrong.empty())
    return report({EX_USAGE, wrong});
  return run(options);
}
