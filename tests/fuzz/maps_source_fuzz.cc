// A table source of any content, compiled: every entry that the reader gives is found with the
// value of the first entry of its key, every later one is named as a duplicate, and what is not
// there is not found.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "maps/builder.h"
#include "maps/source.h"
#include "maps/table.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mx;
  maps::SourceReader reader({reinterpret_cast<const char*>(data), size});
  maps::TableBuilder builder;
  std::map<std::string, std::string, std::less<>> model;
  size_t duplicates = 0;
  uint32_t line = 0;
  for (auto item = reader.next(); item != maps::SourceReader::Item::end; item = reader.next()) {
    if (item == maps::SourceReader::Item::diagnostic) {
      MX_ASSERT(reader.diagnostic().line >= line);
      line = reader.diagnostic().line;
      continue;
    }
    const maps::SourceEntry& entry = reader.entry();
    MX_ASSERT(entry.line >= line);
    MX_ASSERT(!entry.key.empty() && !entry.value.empty());
    line = entry.line;
    builder.add(entry.key, entry.value);
    if (!model.emplace(entry.key, entry.value).second) ++duplicates;
  }
  const auto built = std::move(builder).build(size, {});
  MX_ASSERT(built.has_value());
  MX_ASSERT(built->key_count == model.size());
  MX_ASSERT(built->duplicates.size() == duplicates);
  const auto table = maps::Table::open(built->bytes);
  MX_ASSERT(table.has_value());
  for (const auto& [key, value] : model) {
    const maps::Lookup found = table->find(key);
    MX_ASSERT(found.is_hit() && found.value == value);
    const std::string other = key + "\n";  // no key has a newline
    MX_ASSERT(table->find(other).outcome == maps::Outcome::miss);
  }
  return 0;
}
