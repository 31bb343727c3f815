// engine/policy/tables.h - the compiled tables that a configuration names, read into memory and
// verified.
//
// `hash:/path` is answered from /path.phm, which `mapc hash:/path` makes. A file that is missing,
// cut short or damaged is an error that names that command; one older than its source is a warning,
// and is used. A table is immutable; snapshots share it by pointer and it goes with the last of
// them. Owner and threads: TableStore is used by the thread that loads a configuration; a MapTable
// by any.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/file.h"
#include "maps/lookup.h"
#include "maps/table.h"

namespace mx::policy {

class MapTable {
 public:
  MapTable(std::string name, io::FileContent file, maps::Table table)
      : name_(std::move(name)), file_(std::move(file)), table_(table) {}
  maps::Lookup find(std::string_view key) const { return table_.find(key); }
  const std::string& name() const { return name_; }  // "hash:/path"
  uint64_t key_count() const { return table_.key_count(); }

 private:
  std::string name_;
  io::FileContent file_;
  maps::Table table_;
};
using TablePointer = std::shared_ptr<const MapTable>;

class TableStore {
 public:
  // Opens `spec` (type:path, also behind proxy:), or gives the table that an earlier call opened:
  // all tables of one configuration are of one moment. The error is a text for people.
  std::expected<TablePointer, std::string> open(std::string_view spec);
  // What open() had to say about tables that it did open.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::vector<TablePointer> tables_;
  std::vector<std::string> warnings_;
};

}  // namespace mx::policy
