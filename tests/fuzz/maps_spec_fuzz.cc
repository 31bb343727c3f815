// A table name of any content: it is refused with a text, or read within the limits; and what is
// read has a normal form that reads as the same table.
#include <cstdint>
#include <string>
#include <string_view>

#include "maps/spec.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"

namespace {

using namespace mx;

uint32_t check(const maps::TableSpec& spec, uint32_t depth) {
  MX_ASSERT(depth <= limits::table_spec_depth_max);
  MX_ASSERT(!spec.type.empty() && !spec.name.empty());
  MX_ASSERT(spec.parts.empty() == (spec.kind != maps::TableKind::union_of));
  MX_ASSERT(spec.entries.empty() == (spec.kind != maps::TableKind::inline_entries));
  for (const auto& [key, value] : spec.entries)
    MX_ASSERT(!key.empty() && key.size() <= limits::table_key_bytes_max);
  MX_ASSERT(spec.source.size() <= spec.name.size());
  uint32_t count = 1;
  for (const maps::TableSpec& part : spec.parts) count += check(part, depth + 1);
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)maps::looks_like_table(text);
  const auto spec = maps::parse_table_spec(text);
  if (!spec) {
    MX_ASSERT(!spec.error().empty() && spec.error().size() < 1000);
    return 0;
  }
  MX_ASSERT(check(*spec, 0) <= limits::table_spec_parts_max + 1);
  const auto again = maps::parse_table_spec(spec->text());
  MX_ASSERT(again && again->text() == spec->text());
  MX_ASSERT(again->entries == spec->entries && again->source == spec->source);
  return 0;
}
