// queue/message_id.h - the queue id: 64 bits, unique over shards and restarts, increasing within a
// shard.
//
// Bits: microseconds of Unix time (54, enough until the year 2540) and the shard that made it (10).
// The clock may stand still or go back: a generator never repeats or goes below what it has given,
// or below the largest id that recovery found in any record. As text it is upper-case hexadecimal
// without leading zeros (16 characters today), which log readers take for Postfix's short queue
// ids.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "proto/base/assert.h"
#include "proto/base/fixed_text.h"
#include "proto/base/time.h"

namespace mx::queue {

struct MessageId {
  uint64_t value = 0;  // 0: none
  constexpr auto operator<=>(const MessageId&) const = default;
  constexpr explicit operator bool() const { return value != 0; }
};

using MessageIdText = FixedText<16>;
MessageIdText to_text(MessageId id);
// Nothing unless the whole text is 1-16 upper- or lower-case hexadecimal digits and the value is
// not 0.
std::optional<MessageId> parse_message_id(std::string_view text);

class MessageIdSource {
 public:
  static constexpr uint32_t shard_bits = 10;

  MessageIdSource(uint32_t shard, MessageId largest_known)
      : shard_(shard), last_us_(largest_known.value >> shard_bits) {
    MX_ASSERT(shard < (1U << shard_bits));
  }
  MessageId next(WallTime now) {
    const uint64_t us = now.us > 0 ? static_cast<uint64_t>(now.us) : 0;
    last_us_ = us > last_us_ ? us : last_us_ + 1;
    return {last_us_ << shard_bits | shard_};
  }

 private:
  uint32_t shard_;
  uint64_t last_us_;
};

}  // namespace mx::queue

template <>
struct std::hash<mx::queue::MessageId> {
  size_t operator()(mx::queue::MessageId id) const {
    const uint64_t z = id.value * 0x9E3779B97F4A7C15ULL;
    return static_cast<size_t>(z ^ (z >> 32));
  }
};
