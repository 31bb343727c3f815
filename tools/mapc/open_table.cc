#include "tools/mapc/open_table.h"

#include <fmt/format.h>
#include <sysexits.h>

#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "engine/policy/system_tables.h"
#include "maps/builder.h"
#include "proto/base/limits.h"
#include "tools/mapc/input.h"
#include "tools/mapc/table_run.h"

namespace mx::mapc {

namespace {

using maps::AnyTable;
using maps::TableKind;
using Shared = std::shared_ptr<const AnyTable>;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// A table and the memory that it looks into.
struct Owner {
  io::AlignedBuffer file;
  std::vector<std::byte> built;
  std::optional<AnyTable> table;
};

Shared share(const std::shared_ptr<Owner>& owner) {
  return {owner, &*owner->table};
}

Result<Shared> open_compiled(const maps::TableSpec& spec, const std::string& directory) {
  const auto owner = std::make_shared<Owner>();
  std::string path;
  auto file = read_compiled(spec, directory, path);
  if (!file) return std::unexpected(file.error());
  owner->file = std::move(*file);
  auto table = maps::Table::open(owner->file.bytes());
  if (!table) return failure(EX_DATAERR, fmt::format("{} is {}", path, describe(table.error())));
  owner->table.emplace(std::move(*table));
  return share(owner);
}

Result<Shared> build_in_memory(const maps::TableSpec& spec, const Pairs& pairs) {
  maps::TableBuilder builder;
  for (const auto& [key, value] : pairs) {
    if (key.empty() || key.size() > limits::table_key_bytes_max ||
        value.size() > limits::table_value_bytes_max)
      return failure(EX_DATAERR, spec.text() + ": a key or value is empty or too long");
    builder.add(key, value);
  }
  const auto owner = std::make_shared<Owner>();
  auto built = std::move(builder).build(1, {});
  if (!built) return failure(EX_SOFTWARE, spec.text() + ": no seed settles");
  owner->built = std::move(built->bytes);
  auto table = maps::Table::open(owner->built);
  if (!table) return failure(EX_SOFTWARE, spec.text() + ": built badly");
  owner->table.emplace(std::move(*table));
  return share(owner);
}

Result<Shared> open_system(const maps::TableSpec& spec) {
  const auto entries = policy::read_system_table(spec.name);
  if (!entries) return failure(EX_UNAVAILABLE, spec.text() + ": " + entries.error());
  return build_in_memory(spec, *entries);
}

Result<Shared> open_rules(const maps::TableSpec& spec) {
  std::string text = spec.source;
  if (spec.has_path()) {
    const auto source = read_source(spec.name);
    if (!source) return std::unexpected(source.error());
    text = source->text();
  }
  std::vector<maps::SourceDiagnostic> diagnostics;
  const auto owner = std::make_shared<Owner>();
  if (spec.kind == TableKind::cidr) {
    owner->table.emplace(maps::CidrTable::compile(text, diagnostics));
  } else {
    const auto syntax =
        spec.kind == TableKind::pcre ? maps::PatternSyntax::pcre : maps::PatternSyntax::regexp;
    owner->table.emplace(maps::PatternTable::compile(text, syntax, diagnostics));
  }
  for (const maps::SourceDiagnostic& one : diagnostics) warn(spec.name, one.line, one.text);
  for (const maps::SourceDiagnostic& one : diagnostics)
    if (one.fault == maps::SourceFault::limit)  // the table would lack that rule
      return failure(EX_DATAERR, fmt::format("{}, line {}: {}", spec.name, one.line, one.text));
  return share(owner);
}

Result<Shared> open_union(const maps::TableSpec& spec, const std::string& directory) {
  maps::UnionTable members;
  for (const maps::TableSpec& part : spec.parts) {
    auto table = open_table(part, directory);
    if (!table) return table;
    members.tables.push_back(std::move(*table));
  }
  return std::make_shared<const AnyTable>(std::move(members));
}

}  // namespace

Result<io::AlignedBuffer> read_compiled(const maps::TableSpec& spec, const std::string& directory,
                                        std::string& path) {
  const auto record = read_set_record(directory);
  if (!record) return std::unexpected(record.error());
  io::FileError error;
  for (const std::string& candidate :
       record->candidates(spec.name + std::string(maps::compiled_suffix))) {
    path = candidate;
    auto file = io::read_file(candidate, limits::table_source_bytes_max);
    if (file) return std::move(file->buffer);
    error = file.error();
    if (error.error_number != ENOENT) break;
  }
  return failure(EX_NOINPUT, error.text);
}

Result<Shared> open_table(const maps::TableSpec& spec, const std::string& directory) {
  switch (spec.kind) {
    case TableKind::compiled:
      return open_compiled(spec, directory);
    case TableKind::cidr:
    case TableKind::regexp:
    case TableKind::pcre:
      return open_rules(spec);
    case TableKind::inline_entries:
      return build_in_memory(spec, spec.entries);
    case TableKind::constant:
      return std::make_shared<const AnyTable>(maps::StaticTable{spec.value});
    case TableKind::failing:
      return std::make_shared<const AnyTable>(maps::FailTable{});
    case TableKind::union_of:
      return open_union(spec, directory);
    case TableKind::system:
      return open_system(spec);
  }
  return failure(EX_SOFTWARE, spec.text() + ": no such kind");
}

}  // namespace mx::mapc
