// engine/config/main_cf.h - main.cf as written: its `name = value` entries, unexpanded, with their
// lines (postconf(5)). Which lines form an entry is proto/base/logical_lines.h's business.
//
// A name that comes again replaces the earlier value, with a warning when the values differ. What
// cannot be read (no `=`, no name, a NUL, too long) is an error; all are collected. Limit:
// config_bytes_max.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/diagnostic.h"

namespace mx::config {

struct Entry {
  std::string name, value;
  uint32_t line = 0, last_line = 0;  // physical lines of main.cf, from 1
};

class MainCf {
 public:
  // `file` is the name for diagnostics, which are appended.
  static MainCf parse(std::string text, std::string file, Diagnostics& diagnostics);

  const Entry* find(std::string_view name) const;
  const std::vector<Entry>& entries() const {
    return entries_;
  }  // in the order of their names' first line
  const std::string& file() const { return file_; }

  // The lines of `entry` on which each word of its list stands, in order. The views live as long as
  // this.
  std::map<std::string_view, std::vector<uint32_t>> word_lines(const Entry& entry) const;

 private:
  void add(Entry entry, Diagnostics& diagnostics);
  std::string_view physical_line(uint32_t number) const;

  std::string text_, file_;
  std::vector<size_t> line_starts_;  // offset of each physical line
  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> by_name_;
};

}  // namespace mx::config
