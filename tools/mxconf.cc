// tools/mxconf.cc - shows and explains a configuration: what main.cf sets, what the defaults are,
// and what ringmx makes of every line. Reads files only; starts and changes nothing.
#include <fmt/format.h>
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "engine/config/checks.h"
#include "engine/config/load.h"
#include "engine/config/main_cf.h"
#include "engine/config/master_cf.h"
#include "engine/config/parameters.h"
#include "engine/policy/snapshot.h"
#include "proto/base/text.h"

namespace {

using mx::config::Diagnostic;
using mx::config::Diagnostics;

const std::string config_directory = "config_directory";

struct Options {
  std::string directory = "/etc/ringmx";
  bool directory_given = false;  // with -c
  bool set = false, defaults = false, expanded = false;
  std::vector<std::string> names;
};

struct Context {
  const Options& options;
  mx::config::MainCf main_cf;
  mx::config::MasterCf master_cf;  // the names that it uses
  mx::config::HostFacts host;
  Diagnostics diagnostics;
};

void print_diagnostics(const Diagnostics& diagnostics) {
  for (const Diagnostic& one : diagnostics) fmt::print(stderr, "{}\n", mx::config::to_string(one));
}

bool has_errors(const Diagnostics& diagnostics) {
  return std::ranges::any_of(diagnostics, [](const Diagnostic& one) {
    return one.severity == mx::config::Severity::error;
  });
}

// On one line, with single spaces: a value of several lines keeps its indentation until here.
std::string on_one_line(std::string_view value) {
  std::string line;
  for (auto word = mx::take_word(value, " \t\r\n"); !word.empty();
       word = mx::take_word(value, " \t\r\n"))
    line += (line.empty() ? "" : " ") + mx::printable(word);
  return line;
}

void print_value(std::string_view name, std::string_view value) {
  fmt::print("{} ={}{}\n", name, value.empty() ? "" : " ", on_one_line(value));
}

// What main.cf sets and something uses, as postconf has it; the rest is warned of.
std::vector<std::string> names_set(Context& context) {
  Diagnostics ignored;
  mx::config::Evaluator values(context.main_cf, context.host, ignored);
  mx::config::Checker checker(context.main_cf, context.master_cf, context.host, values);
  std::vector<std::string> names;
  for (const auto& entry : context.main_cf.entries()) {
    const auto judgement = checker.judge(entry);
    using enum mx::config::Standing;
    if (judgement.standing != unused && judgement.standing != misspelt) {
      names.push_back(entry.name);
      continue;
    }
    context.diagnostics.push_back(
        {context.main_cf.file(), entry.line, mx::config::Severity::warning,
         judgement.standing == unused
             ? judgement.text
             : fmt::format("{}: {}", mx::printable(entry.name), judgement.text)});
  }
  std::ranges::sort(names);
  return names;
}

// The names asked for; without any, all that main.cf sets (-n), or all there are.
std::vector<std::string> names_to_show(Context& context) {
  if (!context.options.names.empty()) return context.options.names;
  std::vector<std::string> names;
  if (context.options.set) {
    names = names_set(context);
  } else {
    for (const auto& row : mx::config::all_parameters()) names.emplace_back(row.name);
  }
  return names;
}

// As postconf: a directory that was given with -c stands among what is set.
void add_directory(const Options& options, std::vector<std::string>& names) {
  if (options.set && options.directory_given && options.names.empty())
    names.insert(std::ranges::lower_bound(names, config_directory), config_directory);
}

int show_values(Context& context) {
  const mx::config::MainCf nothing;
  const auto& source = context.options.defaults ? nothing : context.main_cf;
  Diagnostics problems;
  mx::config::Evaluator values(source, context.host, problems);
  int code = EX_OK;
  std::vector<std::string> names = names_to_show(context);
  add_directory(context.options, names);
  for (const std::string& name : names) {
    if (name == config_directory && context.options.directory_given) {
      print_value(name, context.options.directory);
      continue;
    }
    const auto raw = values.raw(name);
    if (!raw) {
      fmt::print(stderr, "mxconf: warning: {}: unknown parameter\n", mx::printable(name));
      code = EX_DATAERR;
      continue;
    }
    print_value(name, context.options.expanded ? std::string_view(values.text(name)) : *raw);
  }
  print_diagnostics(context.diagnostics);
  print_diagnostics(problems);
  return has_errors(problems) || has_errors(context.diagnostics) ? EX_CONFIG : code;
}

// Every line of main.cf with what it does, then everything that keeps ringmx from starting,
// restrictions and tables included.
int explain(Context& context) {
  Diagnostics ignored;
  mx::config::Evaluator values(context.main_cf, context.host, ignored);
  mx::config::Checker checker(context.main_cf, context.master_cf, context.host, values);
  for (const auto& entry : context.main_cf.entries()) {
    const auto judgement = checker.judge(entry);
    fmt::print("{}:{}: {} = {}\n    {}{}{}\n", context.main_cf.file(), entry.line,
               mx::printable(entry.name), on_one_line(entry.value),
               mx::config::to_string(judgement.standing), judgement.text.empty() ? "" : ": ",
               judgement.text);
  }
  std::fflush(stdout);
  const auto result =
      mx::policy::load_snapshot(context.options.directory, mx::config::disk_reader(), context.host);
  print_diagnostics(result.errors);
  print_diagnostics(result.warnings);
  return result.snapshot ? EX_OK : EX_CONFIG;
}

int run(const Options& options) {
  Context context{options, {}, {}, mx::config::read_host_facts(), {}};
  const std::string path = mx::config::main_cf_path(options.directory);
  if (!options.defaults) {
    auto text = mx::config::disk_reader()(path);
    if (!text) {
      fmt::print(stderr, "mxconf: {}\n", text.error());
      return EX_NOINPUT;
    }
    context.main_cf = mx::config::MainCf::parse(std::move(*text), path, context.diagnostics);
    Diagnostics said_by_load;
    context.master_cf =
        mx::config::read_master_cf(options.directory, mx::config::disk_reader(), said_by_load);
  }
  if (options.set || options.defaults || options.expanded || !options.names.empty())
    return show_values(context);
  return explain(context);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Shows and explains a ringmx configuration."};
  const auto* directory =
      app.add_option("-c", options.directory, "directory of main.cf")->capture_default_str();
  auto* set = app.add_flag("-n", options.set, "what main.cf sets");
  app.add_flag("-d", options.defaults, "defaults")->excludes(set);
  app.add_flag("-x", options.expanded, "with $name expanded");
  app.add_option("names", options.names, "parameters to show");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EX_OK : EX_USAGE;
  }
  options.directory_given = directory->count() > 0;
  return run(options);
}
