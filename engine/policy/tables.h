// engine/policy/tables.h - the tables that a configuration names, read into memory, verified, and
// read again when their files change.
//
// `hash:/path` is answered from /path.phm, which `mapc hash:/path` makes: it is read into memory of
// our own and its checksum verified over that copy. cidr, regexp and pcre are compiled from their
// source here. A table is immutable; snapshots share it by pointer and it goes with the last of
// them.
//
// All tables of a TableStore are of one moment: what one mapc run wrote is taken as a whole
// (maps/set_record.h). The files that are known to be wanted are opened together before any is
// read: mapc never writes into a file, so reading may then take as long as it does. Owner and
// threads: a TableStore is used by the thread that loads; a MapTable by any. Cost: all bytes of the
// files.
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/file.h"
#include "maps/any_table.h"
#include "maps/set_record.h"
#include "maps/spec.h"
#include "proto/base/time.h"

namespace mx::policy {

class MapTable;
using TablePointer = std::shared_ptr<const MapTable>;

class MapTable {
 public:
  struct Facts {
    maps::TableSpec spec;
    std::string name;       // "hash:/path"
    std::string path;       // of the file that it was made of; empty: of none
    uint64_t checksum = 0;  // of that file's contents
    uint64_t keys = 0;      // of a pattern table: rules
    Duration load_time;
    std::vector<TablePointer> members;  // of a union
  };
  MapTable(Facts facts, io::AlignedBuffer memory, maps::AnyTable table)
      : facts_(std::move(facts)), memory_(std::move(memory)), table_(std::move(table)) {}

  // As AnyTable's.
  maps::AnyTable::First find_first(std::span<const maps::Key> keys, maps::ValueText& made) const {
    return table_.find_first(keys, made);
  }
  const Facts& facts() const { return facts_; }
  const std::string& name() const { return facts_.name; }
  const maps::AnyTable& any() const { return table_; }

 private:
  Facts facts_;
  io::AlignedBuffer memory_;  // what `table_` looks at, where it looks at bytes
  maps::AnyTable table_;
};

// What was seen of a file: the state that was read, or that could not be.
struct TableFile {
  std::string path;                   // as in MapTable::Facts
  std::optional<io::FileFacts> seen;  // none: there was no such file
  std::string error;                  // empty: read, and in use
  bool damaged = false;  // the error is in the contents: it will not go away by trying again
};

// What a TableStore starts from.
struct TableOrigin {
  // Where the set record is; empty: there is none.
  std::string directory;
  // Tables in service: one that has not changed is used again.
  std::vector<TablePointer> previous;
  // With a value: only these files (MapTable::Facts::path) are read, and where that fails the
  // previous table stays; the error is in files(). Without: everything is read.
  std::optional<std::set<std::string>> changed;
  // With `changed`: the mapc run that `previous` is of; all tables of another run are read too.
  uint64_t run = 0;
  // Compiled files that will be asked for, as far as they are known.
  std::set<std::string> expected;
};

class TableStore {
 public:
  explicit TableStore(TableOrigin origin = {});
  ~TableStore();
  TableStore(const TableStore&) = delete;
  TableStore& operator=(const TableStore&) = delete;

  // Opens `spec` (type:name, also behind proxy:), or gives the table that an earlier call opened.
  // The error is a text for people.
  std::expected<TablePointer, std::string> open(std::string_view spec);
  // False: a file was opened that was not expected, and mapc made another set of tables visible
  // since the constructor. Start over, with asked() as TableOrigin::expected.
  bool is_of_one_run() const;
  const std::set<std::string>& asked() const { return asked_; }

  const std::vector<TablePointer>& tables() const { return tables_; }  // members before unions
  // That were read, and the set record.
  const std::vector<TableFile>& files() const { return files_; }
  const maps::SetRecord& set_record() const { return record_; }
  // What there is to say about tables that could be opened.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  struct Made;
  struct OpenFile;
  using MadeResult = std::expected<Made, TableFile>;
  using Opened = std::expected<TablePointer, std::string>;

  bool is_to_be_read(const std::string& path) const;
  void read_record(const std::string& path);
  OpenFile open_compiled(const std::string& path) const;
  Opened open(const maps::TableSpec& spec);
  Opened open_union(const maps::TableSpec& spec, const TablePointer& previous);
  Opened open_file(const maps::TableSpec& spec, const TablePointer& previous);
  MadeResult make(const maps::TableSpec& spec, const std::string& path);
  MadeResult read_compiled(const maps::TableSpec& spec, const std::string& path);
  MadeResult read_rules(const maps::TableSpec& spec, const std::string& path);
  MadeResult read_system(const maps::TableSpec& spec, const std::string& path);
  MadeResult compile_rules(const maps::TableSpec& spec, std::string_view source,
                           const std::string& place);
  void warn_if_older(const maps::TableSpec& spec, const std::string& compiled,
                     const io::FileFacts& facts, const maps::Table& table);
  TablePointer find_previous(const std::string& name) const;

  TableOrigin origin_;
  std::string record_text_;
  bool record_known_ = true;                  // false: it is there and can't be read
  std::map<std::string, OpenFile> expected_;  // opened together, in the constructor
  std::set<std::string> asked_;
  bool opened_more_ = false;
  maps::SetRecord record_;
  std::vector<TablePointer> tables_;
  std::vector<TableFile> files_;
  std::vector<std::string> warnings_;
};

// The set record of a configuration.
std::string set_record_path(std::string_view directory);

}  // namespace mx::policy
