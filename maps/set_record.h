// maps/set_record.h - the set record: which compiled tables one run of mapc wrote, so that they
// become visible together (a domain never without its recipients). Grammar, protocol and what a
// crash leaves are in maps/README.md.
//
// mapc writes every table of a run as PATH.phm.new-RUN, then the record (one rename: the commit),
// then renames the tables to PATH.phm. A reader reads the record, opens each table by the names
// that candidates() gives, the first that exists, and reads the record again when all are loaded:
// when it changed the reader starts over. No record (no such file) is an empty one. Pure: bytes in,
// bytes out; values, any thread; cost linear in the record.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace mx::maps {

inline constexpr std::string_view set_record_name = "tables.set";  // in the configuration directory
inline constexpr std::string_view set_lock_name = "tables.lock";   // flock: one mapc at a time

enum class SetRecordError : uint8_t {
  too_large,      // over limits::table_set_bytes_max or limits::table_set_paths_max
  not_a_record,   // first line
  other_version,  // of a later version of the format
  damaged,        // checksum, or a line that cannot be
};
std::string_view describe(SetRecordError error);

struct SetRecord {
  uint64_t run = 0;                // 0 in a record that is not there
  std::vector<std::string> paths;  // of compiled tables, "/etc/ringmx/domains.phm", in any order

  static std::expected<SetRecord, SetRecordError> parse(std::string_view text);
  // REQUIRES: can_hold() for each path, and not over the limits.
  std::string format() const;

  // Whether a path can stand in a record: absolute, no newline, no NUL.
  static bool can_hold(std::string_view path);
  bool lists(std::string_view compiled_path) const;
  // The names under which `compiled_path` (PATH.phm) is to be opened, the first that exists.
  std::vector<std::string> candidates(const std::string& compiled_path) const;
  bool operator==(const SetRecord&) const = default;
};

// What stands between a compiled path and the run id: PATH.phm.new-RUN.
inline constexpr std::string_view pending_infix = ".new-";

// "0123456789abcdef".
std::string run_text(uint64_t run);
// PATH.phm.new-RUN.
std::string pending_path(std::string_view compiled_path, uint64_t run);
// Whether `name` is a pending name of `compiled_name` of any run: a left-over, when it is not the
// record's.
bool is_pending_name(std::string_view name, std::string_view compiled_name);

}  // namespace mx::maps
