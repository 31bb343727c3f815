// queue/mark_format.h - payloads of the marks: what became of the recipients of a message, or of a
// stretch of a segment. Recovery reads them, the journal writes them.
//
// STATE is absolute: it names the recipients still pending, whatever was said before. Applying it
// only ever takes recipients away, so a stale one can't bring a delivered recipient back.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/bytes.h"
#include "proto/base/time.h"
#include "queue/message_id.h"

namespace mx::queue {

// STATE: i64 next attempt, u16 attempts, u16 recipients, u16 reason length, u16 flags (1: the
// sender was warned of the delay), bitmap of pending recipients in u64 words, reason.
struct StateMark {
  WallTime next_attempt = {};
  uint16_t attempts = 0;
  uint16_t recipient_count = 0;
  bool warned = false;
  Bytes pending = {};  // words of 64 recipients, little-endian
  std::string_view reason = {};
};
inline constexpr uint32_t state_head_bytes = 16;
constexpr uint32_t pending_bytes(uint32_t recipient_count) {
  return (recipient_count + 63) / 64 * 8;
}
constexpr uint32_t state_bytes(uint32_t recipient_count, uint32_t reason_length) {
  return state_head_bytes + pending_bytes(recipient_count) + reason_length;
}
// `to` has room for state_bytes().
void write_state(std::byte* to, const StateMark& mark);
[[nodiscard]] bool parse_state(Bytes payload, StateMark& mark);

// SURVIVORS: u64 sequence and u32 number of the segment, u32 from, u32 to, u32 count, then the ids
// of the unfinished messages whose COMMIT lies at from <= offset < to.
struct SurvivorsMark {
  uint64_t target_sequence = 0;
  uint32_t target_segment = 0;
  uint32_t from = 0;
  uint32_t to = 0;
  uint32_t count = 0;
  Bytes ids = {};
  MessageId id(uint32_t i) const;
};
inline constexpr uint32_t survivors_head_bytes = 24;
constexpr uint32_t survivors_bytes(uint32_t count) {
  return survivors_head_bytes + 8 * count;
}
void write_survivors_head(std::byte* to, const SurvivorsMark& mark);
[[nodiscard]] bool parse_survivors(Bytes payload, SurvivorsMark& mark);

// MOVED: u64 sequence and u32 number of a segment, u32 offset: the COMMIT of the message there has
// ended, and with it that instance. Then the same of the COMMIT where the message stands instead,
// which was durable before: when it is not there though its segment's life goes on, it was lost.
struct Place {
  uint64_t sequence = 0;
  uint32_t segment = 0;
  uint32_t offset = 0;
  friend bool operator==(const Place&, const Place&) = default;
};
struct MovedMark {
  Place from, to;
};
inline constexpr uint32_t moved_bytes = 32;
void write_moved(std::byte* to, const MovedMark& mark);
[[nodiscard]] bool parse_moved(Bytes payload, MovedMark& mark);

}  // namespace mx::queue
