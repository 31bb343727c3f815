#include "maps/set_record.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

#include "maps/hash.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"
#include "proto/base/limits.h"

namespace mx::maps {

namespace {

constexpr std::string_view title = "ringmx table set ";
constexpr std::string_view version = "1";
constexpr std::string_view run_word = "run ", checksum_word = "checksum ";
constexpr size_t hex_digits = 16;

std::optional<uint64_t> parse_hex(std::string_view text) {
  if (text.size() != hex_digits) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    value = value << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return value;
}

// Takes a line off the front, without its newline; nothing when there is no whole one.
std::optional<std::string_view> take_line(std::string_view& rest) {
  const size_t newline = rest.find('\n');
  if (newline == std::string_view::npos) return std::nullopt;
  const std::string_view line = rest.substr(0, newline);
  rest.remove_prefix(newline + 1);
  return line;
}

uint64_t checksum_of(std::string_view text) {
  return checksum(std::as_bytes(std::span(text)));
}

}  // namespace

std::string_view describe(SetRecordError error) {
  switch (error) {
    case SetRecordError::too_large:
      return "too large";
    case SetRecordError::not_a_record:
      return "not a set record";
    case SetRecordError::other_version:
      return "written by another version";
    case SetRecordError::damaged:
      return "damaged";
  }
  return "";
}

std::expected<SetRecord, SetRecordError> SetRecord::parse(std::string_view text) {
  if (text.size() > limits::table_set_bytes_max) return std::unexpected(SetRecordError::too_large);
  std::string_view rest = text;
  const auto first = take_line(rest);
  if (!first || !first->starts_with(title)) return std::unexpected(SetRecordError::not_a_record);
  if (first->substr(title.size()) != version) return std::unexpected(SetRecordError::other_version);

  const auto second = take_line(rest);
  if (!second || !second->starts_with(run_word)) return std::unexpected(SetRecordError::damaged);
  const auto run = parse_hex(second->substr(run_word.size()));
  if (!run || *run == 0) return std::unexpected(SetRecordError::damaged);

  SetRecord record{*run, {}};
  while (true) {
    const size_t at = text.size() - rest.size();
    const auto line = take_line(rest);
    if (!line) return std::unexpected(SetRecordError::damaged);
    if (line->starts_with(checksum_word)) {
      const auto sum = parse_hex(line->substr(checksum_word.size()));
      if (!rest.empty() || sum != checksum_of(text.substr(0, at)))
        return std::unexpected(SetRecordError::damaged);
      return record;
    }
    if (!can_hold(*line)) return std::unexpected(SetRecordError::damaged);
    if (record.paths.size() == limits::table_set_paths_max)
      return std::unexpected(SetRecordError::too_large);
    record.paths.emplace_back(*line);
  }
}

std::string SetRecord::format() const {
  MX_ASSERT(run != 0);
  MX_ASSERT(paths.size() <= limits::table_set_paths_max);
  std::string text;
  const auto line = [&](std::string_view word, std::string_view rest) {
    text.append(word).append(rest).push_back('\n');
  };
  line(title, version);
  line(run_word, run_text(run));
  for (const std::string& path : paths) {
    MX_ASSERT(can_hold(path));
    line(path, {});
  }
  line(checksum_word, run_text(checksum_of(text)));
  MX_ASSERT(text.size() <= limits::table_set_bytes_max);
  return text;
}

bool SetRecord::can_hold(std::string_view path) {
  return path.starts_with('/') && path.find_first_of(std::string_view("\n\0", 2)) == path.npos &&
         path.size() <= limits::table_path_bytes_max;
}

bool SetRecord::lists(std::string_view compiled_path) const {
  return std::ranges::find(paths, compiled_path) != paths.end();
}

std::vector<std::string> SetRecord::candidates(const std::string& compiled_path) const {
  if (!lists(compiled_path)) return {compiled_path};
  return {pending_path(compiled_path, run), compiled_path};
}

std::string run_text(uint64_t run) {
  std::string text(hex_digits, '0');
  for (size_t i = hex_digits; i-- > 0; run >>= 4) text[i] = "0123456789abcdef"[run & 15];
  return text;
}

std::string pending_path(std::string_view compiled_path, uint64_t run) {
  std::string path(compiled_path);
  return path.append(pending_infix).append(run_text(run));
}

bool is_pending_name(std::string_view name, std::string_view compiled_name) {
  if (!name.starts_with(compiled_name)) return false;
  name.remove_prefix(compiled_name.size());
  return name.starts_with(pending_infix) && parse_hex(name.substr(pending_infix.size()));
}

}  // namespace mx::maps
