// A result of an access table of any content: an action whose views are of the text and whose
// codes are in range.
#include <cstdint>
#include <string_view>

#include "engine/policy/access_action.h"
#include "proto/base/assert.h"

using namespace mx;

namespace {

bool is_part_of(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const policy::AccessAction action = policy::parse_access_action(text);
  MX_ASSERT(is_part_of(action.text, text));
  MX_ASSERT(action.code <= 999);
  MX_ASSERT(action.code == 0 || action.kind == policy::AccessAction::Kind::refuse);
  MX_ASSERT(action.enhanced.subject <= 999 && action.enhanced.detail <= 999);
  return 0;
}
