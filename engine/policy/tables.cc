#include "engine/policy/tables.h"

#include <cerrno>

#include "maps/spec.h"

namespace mx::policy {

namespace {

constexpr uint64_t table_file_bytes_max = 64ULL << 30;

}  // namespace

std::expected<TablePointer, std::string> TableStore::open(std::string_view text) {
  const auto spec = maps::parse_table_spec(text);
  if (!spec) return std::unexpected(spec.error());
  const std::string source(spec->name);
  const std::string name = std::string(spec->type) + ":" + source;
  const std::string compiled = source + std::string(maps::compiled_suffix);
  const std::string remedy = "; run: mapc " + name;
  for (const TablePointer& table : tables_)
    if (table->name() == name) return table;

  auto file = io::read_file(compiled, table_file_bytes_max);
  if (!file) {
    if (file.error().error_number == ENOENT)
      return std::unexpected("table " + name + " is not compiled (" + compiled + " is missing)" +
                             remedy);
    return std::unexpected("table " + name + ": " + file.error().text + remedy);
  }
  const auto table = maps::Table::open(file->buffer.bytes());
  if (!table) {
    return std::unexpected("table " + name + ": " + compiled + " is " +
                           std::string(describe(table.error())) + remedy);
  }
  // The source changed after it was read for compiling. A copy of both files without their times
  // (cp) makes the source newer than recorded too; then the order of the copies and the size
  // decide.
  if (const auto facts = io::file_facts(source)) {
    if (facts->mtime_ns > table->source_mtime_ns() &&
        (facts->mtime_ns > file->facts.mtime_ns || facts->size != table->source_size()))
      warnings_.push_back("table " + compiled + " is older than its source " + source + remedy);
  }
  tables_.push_back(std::make_shared<const MapTable>(name, std::move(*file), *table));
  return tables_.back();
}

}  // namespace mx::policy
