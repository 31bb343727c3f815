#include "maps/rules.h"

#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::maps {

namespace {

constexpr size_t quoted_text_max = 30;  // of a line in a diagnostic, as in Postfix's readllines

}  // namespace

void RuleReader::complain(SourceFault fault, std::string text) {
  // What makes the table unusable is always said.
  if (diagnostics_.size() >= limits::table_diagnostics_max && fault != SourceFault::limit) return;
  diagnostics_.push_back({fault, line_.line, std::move(text)});
}

bool RuleReader::next() {
  while (lines_.next(line_)) {
    switch (line_.fault) {
      case LogicalLine::Fault::none:
        return true;
      case LogicalLine::Fault::continuation_without_start:
        complain(SourceFault::ignored, "logical line must not start with whitespace: \"" +
                                           printable(line_.text, quoted_text_max) +
                                           (line_.text.size() > quoted_text_max ? "...\"" : "\""));
        break;
      case LogicalLine::Fault::nul_byte:
        complain(SourceFault::ignored, "NUL byte in the line: skipping this rule");
        break;
      case LogicalLine::Fault::too_long:
        complain(SourceFault::limit,
                 "line longer than " + std::to_string(limits::config_line_bytes_max) + " bytes");
        break;
    }
  }
  for (; !open_.empty(); open_.pop_back()) {
    diagnostics_.push_back({SourceFault::warning, open_.back().line, "IF has no matching ENDIF"});
  }
  return false;
}

bool RuleReader::open_if(uint32_t rule) {
  if (open_.size() == limits::table_if_depth_max) {
    complain(SourceFault::limit,
             "more than " + std::to_string(limits::table_if_depth_max) + " IF inside one another");
    return false;
  }
  open_.push_back({rule, line_.line});
  return true;
}

uint32_t RuleReader::close_if() {
  MX_ASSERT(!open_.empty());
  const uint32_t rule = open_.back().rule;
  open_.pop_back();
  return rule;
}

bool take_keyword(std::string_view& text, std::string_view keyword) {
  if (!starts_with_ignoring_case(text, keyword)) return false;
  const std::string_view rest = text.substr(keyword.size());
  if (!rest.empty() && is_alnum(rest.front())) return false;
  text = rest;
  return true;
}

bool take_negations(std::string_view& text) {
  bool affirmative = true;
  while (!text.empty() && (text.front() == '!' || is_space(text.front()))) {
    if (text.front() == '!') affirmative = !affirmative;
    text.remove_prefix(1);
  }
  return affirmative;
}

}  // namespace mx::maps
