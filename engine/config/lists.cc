#include "engine/config/lists.h"

#include <fmt/format.h>

#include <utility>

#include "engine/config/values.h"
#include "maps/spec.h"
#include "proto/base/limits.h"
#include "proto/base/logical_lines.h"
#include "proto/base/text.h"

namespace mx::config {

List ListReader::match_list(std::string_view name) {
  const List written = values_.list(name);
  List result{written.parameter, written.line, {}};
  for (const Word& word : written.words) {
    if (word.text.starts_with('#')) {
      values_.report(
          word, Severity::warning,
          fmt::format("{}: #comment after other text is not allowed; the rest of the list "
                      "is ignored",
                      name));
      break;
    }
    add(word, false, 0, result);
  }
  return result;
}

List ListReader::restriction_list(std::string_view name) {
  List result = values_.list(name);
  for (size_t i = 0; i < result.words.size(); ++i) {
    const Word& word = result.words[i];
    const bool is_service =
        i > 0 && equals_ignoring_case(result.words[i - 1].text, "check_policy_service");
    if (!is_service && maps::looks_like_table(word.text)) add_table(word, word.text, name);
  }
  return result;
}

List ListReader::table_list(std::string_view name) {
  List result = values_.list(name);
  for (const Word& word : result.words) add_table(word, word.text, name);
  return result;
}

void ListReader::add(const Word& word, bool negated, uint32_t depth, List& out) {
  std::string_view pattern = word.text;
  for (; pattern.starts_with('!'); pattern.remove_prefix(1)) negated = !negated;
  if (pattern.empty()) {
    values_.report(word, Severity::error, fmt::format("{}: no pattern after '!'", out.parameter));
    return;
  }
  if (pattern.starts_with('/')) {
    add_file({std::string(pattern), word.file, word.line}, negated, depth, out);
    return;
  }
  if (maps::looks_like_table(pattern)) add_table(word, pattern, out.parameter);
  out.words.push_back({(negated ? "!" : "") + std::string(pattern), word.file, word.line});
}

void ListReader::add_file(const Word& word, bool negated, uint32_t depth, List& out) {
  if (depth >= limits::config_list_file_depth_max) {
    values_.report(word, Severity::error,
                   fmt::format("{}: files are nested too deep", out.parameter));
    return;
  }
  const auto content = reader_(word.text);
  if (!content) {
    values_.report(word, Severity::error,
                   fmt::format("{}: {}: {}", out.parameter, printable(word.text), content.error()));
    return;
  }
  if (files_left_ == 0 || content->size() > bytes_left_) {
    values_.report(word, Severity::error, "the files that lists name are too many or too large");
    return;
  }
  --files_left_;
  bytes_left_ -= content->size();
  LogicalLines lines(*content);
  for (LogicalLine line; lines.next(line);) {
    Word element{{}, word.text, line.line};
    const auto words = split_list(line.text);
    if (line.fault != LogicalLine::Fault::none || !words) {
      values_.report(element, Severity::error,
                     fmt::format("{}: this line cannot be read", out.parameter));
      continue;
    }
    for (const std::string_view text : *words) {
      if (text.starts_with('#')) {
        values_.report(element, Severity::warning, "#comment after other text is not allowed");
        break;
      }
      element.text = text;
      add(element, negated, depth + 1, out);
    }
  }
}

// What an element of proxy_read_maps approves: the table behind proxy:, and with a union the tables
// in it that are spelled so. Other elements approve nothing, also those that are not read here.
void ListReader::approve(const maps::TableSpec& table) {
  if (table.proxied) {
    approved_->insert(table.text());
    return;
  }
  for (const maps::TableSpec& part : table.parts) approve(part);
}

bool ListReader::is_approved(const maps::TableSpec& table) {
  if (!approved_) {
    approved_.emplace();
    for (const Word& word : values_.list("proxy_read_maps").words)
      if (const auto approved = maps::parse_table_spec(word.text)) approve(*approved);
  }
  return approved_->contains(table.text());
}

// Inside a union that is itself behind proxy: Postfix asks no more.
const maps::TableSpec* ListReader::find_unapproved(const maps::TableSpec& table) {
  if (table.proxied) return is_approved(table) ? nullptr : &table;
  for (const maps::TableSpec& part : table.parts)
    if (const maps::TableSpec* unapproved = find_unapproved(part)) return unapproved;
  return nullptr;
}

void ListReader::add_table(const Word& word, std::string_view spec, std::string_view parameter) {
  const auto table = maps::parse_table_spec(spec);
  if (!table) {
    values_.report(word, Severity::error, fmt::format("{}: {}", parameter, table.error()));
    return;
  }
  if (const maps::TableSpec* unapproved = find_unapproved(*table))
    values_.report(word, Severity::error,
                   fmt::format("{}: proxy:{} is not in proxy_read_maps: Postfix would answer every "
                               "look-up with a temporary error; add it there",
                               parameter, printable(unapproved->text())));
  if (!table_names_.insert(fmt::format("{}:{}", table->type, table->name)).second) return;
  tables_.push_back(
      {std::string(table->type), std::string(table->name), std::string(parameter), word.line});
}

}  // namespace mx::config
