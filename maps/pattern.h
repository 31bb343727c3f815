// maps/pattern.h - regexp and pcre tables (regexp_table(5), pcre_table(5)): patterns in the order
// of the source, the first that matches the whole key decides, `$1` in its text is what it matched.
//
// Both kinds run in PCRE2: compiled to machine code where the system allows that, else in its
// interpreter. A look-up tries the patterns one after the other and allocates nothing once a thread
// has made its first; what it costs in one pattern is bounded (limits::pattern_match_steps_max).
// Owner and threads: immutable, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "maps/lookup.h"
#include "maps/source.h"

namespace mx::maps {

enum class PatternSyntax : uint8_t { regexp, pcre };

class PatternTable {
 public:
  // Rules that Postfix ignores are ignored, with its words in `diagnostics`.
  static PatternTable compile(std::string_view source, PatternSyntax syntax,
                              std::vector<SourceDiagnostic>& diagnostics);
  PatternTable(PatternTable&&) noexcept;
  PatternTable& operator=(PatternTable&&) noexcept;
  ~PatternTable();

  // tempfail: a pattern ran into a limit or can't be applied to the key (a `(*UTF)` pattern to
  // bytes that are no UTF-8), or the value does not fit. The value may be empty.
  Lookup find(std::string_view key, ValueText& made) const;
  size_t rule_count() const;  // without `if`s

  // Whether patterns become machine code here; a system may forbid it.
  static bool jit_available();

 private:
  PatternTable();
  struct Rules;
  std::unique_ptr<Rules> rules_;
};

}  // namespace mx::maps
