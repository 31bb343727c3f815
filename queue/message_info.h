// queue/message_info.h - an unfinished message as the program sees it. A value.
#pragma once

#include <cstdint>

#include "proto/base/time.h"
#include "queue/format.h"
#include "queue/message_id.h"

namespace mx::queue {

// The next attempt of a message that waits for a person.
inline constexpr WallTime held_until{INT64_MAX};

struct MessageInfo {
  MessageId id = {};
  Extent commit = {};  // read it back for envelope and chunk list
  WallTime arrival = {};
  WallTime next_attempt = {};  // 0: at once
  uint16_t recipient_count = 0;
  uint16_t pending_count = 0;
  uint16_t attempts = 0;
  bool warned = false;      // the sender knows of the delay
  bool has_sender = false;  // its sender is known not to be the null one; false after a start
  uint8_t size_class = 0;   // of its records in the segment of its COMMIT (share.h)
};

}  // namespace mx::queue
