// A table file of any content: open() accepts or refuses it, find() stays inside the bytes. The
// second round makes the checksums agree, so that the checks behind them are reached.
#include <cstdint>
#include <string_view>
#include <vector>

#include "maps/table.h"
#include "proto/base/assert.h"

namespace {

using namespace mx;

void look_up(Bytes file) {
  const auto table = maps::Table::open(file);
  if (!table) return;
  for (const std::string_view key : {"a@b", "c@d", "e@f", "", "x"}) {
    const maps::Lookup found = table->find(key);
    if (!found.is_hit()) continue;
    const auto* const value = reinterpret_cast<const std::byte*>(found.value.data());
    MX_ASSERT(value >= file.data());
    MX_ASSERT(value + found.value.size() <= file.data() + file.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maps::format;
  const auto* const first = reinterpret_cast<const std::byte*>(data);
  look_up({first, size});
  if (size < header_bytes) return 0;
  std::vector<std::byte> file(first, first + size);
  store_le(file.data() + at_body_checksum, maps::checksum(Bytes(file).subspan(header_bytes)));
  store_le(file.data() + at_header_checksum, maps::checksum(Bytes(file).first(at_header_checksum)));
  look_up(file);
  return 0;
}
