#include "engine/config/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/config/checks.h"
#include "engine/config/evaluator.h"
#include "engine/config/lists.h"
#include "engine/config/main_cf.h"
#include "engine/config/master_cf.h"
#include "engine/config/quirks.h"
#include "engine/config/sections.h"
#include "engine/io/file.h"
#include "proto/base/limits.h"

namespace mx::config {

namespace {

// Postfix runs its server with stress=yes when all processes are busy, and ${stress?…} in main.cf
// says what is different then.
void read_stressed(const MainCf& main_cf, const HostFacts& host, Settings& settings,
                   Diagnostics& diagnostics) {
  Diagnostics found;
  Evaluator values(main_cf, host, found);
  values.set_default("stress", "yes");
  Settings stressed;
  stressed.hostname = settings.hostname;
  read_server(values, stressed);
  settings.stressed_server = stressed.server;
  settings.stressed_timeout = stressed.smtpd_timeout;
  for (const Diagnostic& one : found) {
    const bool known = std::ranges::any_of(diagnostics, [&](const Diagnostic& other) {
      return other.line == one.line && other.text == one.text;
    });
    if (!known && one.severity == Severity::error) diagnostics.push_back(one);
  }
}

}  // namespace

FileReader disk_reader() {
  return [](std::string_view path) -> std::expected<std::string, std::string> {
    const auto file = io::read_file(std::string(path), limits::config_bytes_max);
    if (!file) return std::unexpected(file.error().text);
    std::string text(file->buffer.bytes().size(), '\0');
    if (!text.empty()) std::memcpy(text.data(), file->buffer.bytes().data(), text.size());
    return text;
  };
}

std::string main_cf_path(std::string_view directory) {
  return fmt::format("{}{}main.cf", directory, directory.ends_with('/') ? "" : "/");
}

LoadResult load(std::string_view directory, const FileReader& reader, const HostFacts& host) {
  const std::string path = main_cf_path(directory);
  auto text = reader(path);
  if (!text)
    return {std::unexpected(Diagnostics{{path, 0, Severity::error, text.error()}}), {}, {}};

  Diagnostics diagnostics;
  const MainCf main_cf = MainCf::parse(std::move(*text), path, diagnostics);
  Evaluator values(main_cf, host, diagnostics);
  const MasterCf master_cf = read_master_cf(directory, reader, diagnostics);
  report_master_cf(master_cf, diagnostics);
  Checker checker(main_cf, master_cf, host, values);
  checker.report(diagnostics);
  ListReader lists(values, reader);

  Settings settings;
  settings.config_directory = directory;
  read_identity(values, settings);
  read_listen(values, settings);
  read_server(values, settings);
  read_stressed(main_cf, host, settings, diagnostics);
  read_relay(values, settings);
  read_delivery(values, settings);
  read_lookup(values, settings);
  read_domains(values, lists, settings);
  check_written_routes(values, settings);
  read_restrictions(values, lists, settings);
  read_codes(values, settings.codes);
  read_queue(values, settings);
  read_bounces(values, settings.bounces);
  read_resources(values, settings);
  settings.tables = lists.tables();
  for (const Entry& entry : main_cf.entries()) settings.lines.emplace(entry.name, entry.line);
  report_quirks(values, reader, settings);

  sort_by_place(diagnostics);
  const bool refused = std::ranges::any_of(
      diagnostics, [](const Diagnostic& one) { return one.severity == Severity::error; });
  if (refused) return {std::unexpected(std::move(diagnostics)), {}, std::move(settings)};
  return {std::move(settings), std::move(diagnostics), {}};
}

}  // namespace mx::config
