// maps/rules.h - what cidr, regexp and pcre sources have in common: logical lines, `if` and
// `endif`,
// `!`, and complaints in Postfix's words.
//
// A RuleReader hands out the lines one after the other and keeps the stack of open `if`s. Faults of
// the lines themselves are reported here; the rest is the table's. Rules are numbered by the
// caller. Memory: one logical line, and a number for every open `if`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "maps/source.h"
#include "proto/base/logical_lines.h"

namespace mx::maps {

class RuleReader {
 public:
  // Both must outlive the reader.
  RuleReader(std::string_view source, std::vector<SourceDiagnostic>& diagnostics)
      : lines_(source), diagnostics_(diagnostics) {}

  // The next line; false at the end, when every `if` that is still open has been complained about.
  bool next();
  std::string_view text() const { return line_.text; }  // until next()

  // About the current line.
  void complain(SourceFault fault, std::string text);

  // `rule` is the number of the current line's `if`. False, with a complaint, when too many are
  // open.
  bool open_if(uint32_t rule);
  bool in_if() const { return !open_.empty(); }
  // The number of the `if` that the current line's `endif` closes. Some are open.
  uint32_t close_if();

 private:
  struct Open {
    uint32_t rule, line;
  };
  LogicalLines lines_;
  LogicalLine line_;
  std::vector<SourceDiagnostic>& diagnostics_;
  std::vector<Open> open_;
};

// Takes `keyword` off the front of `text`, in any case; false when it is not there or when a letter
// or digit follows.
bool take_keyword(std::string_view& text, std::string_view keyword);
// Takes `!`s and blanks off the front; whether the pattern that follows has to match.
bool take_negations(std::string_view& text);

}  // namespace mx::maps
