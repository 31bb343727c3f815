// A regexp and a pcre table of any content: compiles or complains, and the first lines of the
// source as keys get an answer within the limits; a value that was made is as long as may be.
#include <cstdint>
#include <string_view>
#include <vector>

#include "maps/pattern.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mx;
  if (size > 4096) return 0;  // long patterns only make it slow
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  for (const auto syntax : {maps::PatternSyntax::regexp, maps::PatternSyntax::pcre}) {
    std::vector<maps::SourceDiagnostic> diagnostics;
    const auto table = maps::PatternTable::compile(source, syntax, diagnostics);
    for (const maps::SourceDiagnostic& diagnostic : diagnostics) {
      MX_ASSERT(diagnostic.line > 0);
      MX_ASSERT(!diagnostic.text.empty());
    }
    maps::ValueText made;
    size_t keys = 0;
    for (std::string_view rest = source; keys < 5; ++keys) {
      const size_t end = rest.find('\n');
      const std::string_view key = rest.substr(0, end);
      const maps::Lookup found = table.find(key, made);
      MX_ASSERT(found.is_hit() || found.value.empty());
      MX_ASSERT(table.rule_count() > 0 || found.outcome == maps::Outcome::miss ||
                found.outcome == maps::Outcome::tempfail);
      const maps::Lookup again = table.find(key, made);
      MX_ASSERT(again.outcome == found.outcome);
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
  }
  return 0;
}
