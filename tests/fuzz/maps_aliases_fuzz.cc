// An aliases(5) source of any content: lines come in order, keys and values keep to the limits, and
// an entry written out again (its key quoted) reads as the same entry.
#include <cstdint>
#include <string>
#include <string_view>

#include "maps/aliases.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"

namespace {

// The value of the only entry that `text` holds, or nothing when the key is not `key`.
void expect_same(const std::string& text, std::string_view key, std::string_view value) {
  mx::maps::AliasReader reader(text);
  MX_ASSERT(reader.next() == mx::maps::AliasReader::Item::entry);
  MX_ASSERT(reader.entry().key == key);
  MX_ASSERT(reader.entry().value == value);
  MX_ASSERT(reader.next() == mx::maps::AliasReader::Item::end);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mx;
  using Item = maps::AliasReader::Item;
  maps::AliasReader reader({reinterpret_cast<const char*>(data), size});
  uint32_t line = 0;
  for (Item item = reader.next(); item != Item::end; item = reader.next()) {
    if (item == Item::diagnostic) {
      MX_ASSERT(reader.diagnostic().line >= line && !reader.diagnostic().text.empty());
      line = reader.diagnostic().line;
      continue;
    }
    const maps::SourceEntry& entry = reader.entry();
    MX_ASSERT(entry.line >= line);
    line = entry.line;
    MX_ASSERT(!entry.key.empty() && entry.key.size() <= limits::table_key_bytes_max);
    MX_ASSERT(entry.value.size() <= limits::table_value_bytes_max);
    // A comment keeps its tabs and may end in a backslash, a literal may have had its bracket
    // protected, and a backslash at the end of a line is an empty word: these read as something
    // else.
    const bool reads_as_the_same =
        !entry.value.empty() && entry.value.find_first_of("([") == std::string_view::npos &&
        entry.key.find('(') == std::string_view::npos && !entry.value.ends_with(' ') &&
        entry.value.size() < limits::table_value_bytes_max / 4;
    if (!reads_as_the_same) continue;
    std::string text = "\"";
    for (const char c : entry.key) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += "\": ";
    text += entry.value;
    expect_same(text, entry.key, entry.value);
  }
  return 0;
}
