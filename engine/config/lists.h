// engine/config/lists.h - match lists and lists of tables, ready for policy: /file elements
// replaced by what is in the file, tables checked for a type that works and, behind `proxy:`, for
// being in proxy_read_maps.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/evaluator.h"
#include "engine/config/load.h"
#include "engine/config/settings.h"
#include "maps/spec.h"
#include "proto/base/limits.h"

namespace mx::config {

class ListReader {
 public:
  ListReader(Evaluator& values, const FileReader& reader) : values_(values), reader_(reader) {}

  // pattern, !pattern, /file, !/file, type:table, !type:table.
  List match_list(std::string_view name);
  // smtpd_*_restrictions and restriction classes: names, and tables among them.
  List restriction_list(std::string_view name);
  // type:table only.
  List table_list(std::string_view name);
  // Every table met so far, each once.
  const std::vector<TableName>& tables() const { return tables_; }

 private:
  void add(const Word& word, bool negated, uint32_t depth, List& out);
  void add_file(const Word& word, bool negated, uint32_t depth, List& out);
  void approve(const maps::TableSpec& table);
  bool is_approved(const maps::TableSpec& table);
  const maps::TableSpec* find_unapproved(const maps::TableSpec& table);
  void add_table(const Word& word, std::string_view spec, std::string_view parameter);

  Evaluator& values_;
  const FileReader& reader_;
  std::vector<TableName> tables_;
  std::set<std::string, std::less<>> table_names_;
  std::optional<std::set<std::string, std::less<>>> approved_;  // by proxy_read_maps
  uint32_t files_left_ = limits::config_list_files_max;
  size_t bytes_left_ = limits::config_list_bytes_max;
};

}  // namespace mx::config
