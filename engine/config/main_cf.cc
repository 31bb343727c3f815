#include "engine/config/main_cf.h"

#include <fmt/format.h>

#include <utility>

#include "engine/config/values.h"
#include "proto/base/limits.h"
#include "proto/base/logical_lines.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr size_t shown_bytes_max = 60;  // of a line in a message

// As Postfix's split_nameval(): the name ends at white space or '=', and '=' must follow.
const char* split(std::string_view line, std::string_view& name, std::string_view& value) {
  line = trim(line);
  size_t end = 0;
  while (end < line.size() && !is_space(line[end]) && line[end] != '=') ++end;
  if (end == 0) return "missing attribute name";
  name = line.substr(0, end);
  std::string_view rest = trim_front(line.substr(end));
  if (rest.empty() || rest.front() != '=') return "missing '=' after attribute name";
  rest.remove_prefix(1);
  value = trim(rest);
  return nullptr;
}

const char* fault_text(LogicalLine::Fault fault) {
  switch (fault) {
    case LogicalLine::Fault::none:
      break;
    case LogicalLine::Fault::continuation_without_start:
      return "logical line must not start with white space; ignored";
    case LogicalLine::Fault::nul_byte:
      return "the line contains a NUL byte";
    case LogicalLine::Fault::too_long:
      return "the line is too long";
  }
  return nullptr;
}

}  // namespace

MainCf MainCf::parse(std::string text, std::string file, Diagnostics& diagnostics) {
  MainCf result;
  result.text_ = std::move(text);
  result.file_ = std::move(file);
  if (result.text_.size() > limits::config_bytes_max) {
    diagnostics.push_back(
        {result.file_, 0, Severity::error,
         fmt::format("the file is larger than {} bytes", limits::config_bytes_max)});
    return result;
  }
  for (size_t at = 0; at < result.text_.size();) {
    result.line_starts_.push_back(at);
    const size_t newline = result.text_.find('\n', at);
    at = newline == std::string::npos ? result.text_.size() : newline + 1;
  }
  LogicalLines lines(result.text_);
  for (LogicalLine line; lines.next(line);) {
    if (const char* fault = fault_text(line.fault)) {
      const bool ignorable = line.fault == LogicalLine::Fault::continuation_without_start;
      diagnostics.push_back(
          {result.file_, line.line, ignorable ? Severity::warning : Severity::error, fault});
      continue;
    }
    std::string_view name, value;
    if (const char* error = split(line.text, name, value)) {
      diagnostics.push_back(
          {result.file_, line.line, Severity::error,
           fmt::format("{}: \"{}\"", error, printable(trim(line.text), shown_bytes_max))});
      continue;
    }
    if (result.entries_.size() == limits::config_entries_max) {
      diagnostics.push_back({result.file_, line.line, Severity::error, "too many parameters"});
      break;
    }
    result.add({std::string(name), std::string(value), line.line, line.last_line}, diagnostics);
  }
  return result;
}

void MainCf::add(Entry entry, Diagnostics& diagnostics) {
  const auto [found, fresh] = by_name_.try_emplace(entry.name, entries_.size());
  if (fresh) {
    entries_.push_back(std::move(entry));
    return;
  }
  Entry& earlier = entries_[found->second];
  if (earlier.value != entry.value)
    diagnostics.push_back(
        {file_, entry.line, Severity::warning,
         fmt::format("overriding earlier entry: {} = {}", printable(entry.name, shown_bytes_max),
                     printable(earlier.value, shown_bytes_max))});
  earlier = std::move(entry);
}

const Entry* MainCf::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

std::string_view MainCf::physical_line(uint32_t number) const {
  const size_t start = line_starts_[number - 1];
  const size_t end = number < line_starts_.size() ? line_starts_[number] : text_.size();
  return std::string_view(text_).substr(start, end - start);
}

std::map<std::string_view, std::vector<uint32_t>> MainCf::word_lines(const Entry& entry) const {
  std::map<std::string_view, std::vector<uint32_t>> result;
  for (uint32_t number = entry.line; number <= entry.last_line; ++number) {
    std::string_view line = trim(physical_line(number));
    if (line.empty() || line.front() == '#') continue;
    if (number == entry.line) line.remove_prefix(line.find('=') + 1);
    for (std::string_view word = take_word(line, list_separators); !word.empty();
         word = take_word(line, list_separators))
      result[word].push_back(number);
  }
  return result;
}

}  // namespace mx::config
