// One line of the control socket.
#include <cstddef>
#include <cstdint>

#include "engine/shard/control_request.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto request = mx::shard::parse_request({reinterpret_cast<const char*>(data), size});
  if (!request) {
    MX_ASSERT(!request.error().empty());
    return 0;
  }
  const mx::shard::Selection& selection = request->selection;
  MX_ASSERT(selection.all + !selection.domain.empty() + !selection.ids.empty() <= 1);
  for (const mx::queue::MessageId id : selection.ids) MX_ASSERT(id.value != 0);
  return 0;
}
