// queue/salvage.h - how a journal stands after the device failed: journal_salvage.cc. Values, the
// journal's own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proto/base/time.h"
#include "queue/message_id.h"

namespace mx::queue {

enum class Health : uint8_t {
  well,
  settling,    // failed; what fails together is waited for
  trying,      // the first segment's header is on its way
  marks_only,  // marks become durable in segments begun after the failure; nothing else is written
  stopped,     // nothing is written any more
};

struct Salvage {
  std::optional<Instant> begin_at;  // not before: set by the first pump() after the failure
  std::optional<Instant> owed;      // since then something ought to be durable
  uint32_t failures = 0;            // of the device, that are known
  std::vector<MessageId> done;      // their DONE was in a batch that failed
};

}  // namespace mx::queue
