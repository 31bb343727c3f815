// A set record of any content is refused, or means what its own format says: what was read is
// written as the same bytes. The second round makes the checksum agree.
#include <cstdint>
#include <string>
#include <string_view>

#include "maps/hash.h"
#include "maps/set_record.h"
#include "proto/base/assert.h"

namespace {

using namespace mx;

void read(std::string_view text) {
  const auto record = maps::SetRecord::parse(text);
  if (!record) return;
  MX_ASSERT(record->format() == text);
  for (const std::string& path : record->paths) {
    const auto names = record->candidates(path);
    MX_ASSERT(names.size() == 2);
    MX_ASSERT(maps::is_pending_name(names.front(), path));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  read(text);
  std::string body(text.substr(0, text.rfind("checksum ")));
  body += "checksum " + maps::run_text(maps::checksum(as_bytes(body))) + "\n";
  read(body);
  return 0;
}
