#include "queue/mark_format.h"

#include <cstring>

#include "proto/base/assert.h"
#include "proto/base/endian.h"
#include "proto/base/limits.h"

namespace mx::queue {
namespace {
constexpr uint16_t flag_warned = 1;
constexpr size_t place_bytes = 16;
}  // namespace

void write_state(std::byte* to, const StateMark& mark) {
  MX_ASSERT(mark.pending.size() == pending_bytes(mark.recipient_count));
  MX_ASSERT(mark.reason.size() <= limits::defer_reason_bytes_max);
  store_le(to, mark.next_attempt.us);
  store_le(to + 8, mark.attempts);
  store_le(to + 10, mark.recipient_count);
  store_le(to + 12, static_cast<uint16_t>(mark.reason.size()));
  store_le(to + 14, static_cast<uint16_t>(mark.warned ? flag_warned : 0));
  std::memcpy(to + state_head_bytes, mark.pending.data(), mark.pending.size());
  if (!mark.reason.empty())
    std::memcpy(to + state_head_bytes + mark.pending.size(), mark.reason.data(),
                mark.reason.size());
}

bool parse_state(Bytes payload, StateMark& mark) {
  if (payload.size() < state_head_bytes) return false;
  const std::byte* from = payload.data();
  mark.next_attempt = {load_le<int64_t>(from)};
  mark.attempts = load_le<uint16_t>(from + 8);
  mark.recipient_count = load_le<uint16_t>(from + 10);
  const uint32_t reason_length = load_le<uint16_t>(from + 12);
  mark.warned = (load_le<uint16_t>(from + 14) & flag_warned) != 0;
  if (reason_length > limits::defer_reason_bytes_max ||
      payload.size() != state_bytes(mark.recipient_count, reason_length))
    return false;
  mark.pending = payload.subspan(state_head_bytes, pending_bytes(mark.recipient_count));
  mark.reason = as_text(payload.last(reason_length));
  return true;
}

MessageId SurvivorsMark::id(uint32_t i) const {
  MX_ASSERT(i < count);
  return {load_le<uint64_t>(ids.data() + size_t{i} * 8)};
}

void write_survivors_head(std::byte* to, const SurvivorsMark& mark) {
  store_le(to, mark.target_sequence);
  store_le(to + 8, mark.target_segment);
  store_le(to + 12, mark.from);
  store_le(to + 16, mark.to);
  store_le(to + 20, mark.count);
}

bool parse_survivors(Bytes payload, SurvivorsMark& mark) {
  if (payload.size() < survivors_head_bytes) return false;
  const std::byte* from = payload.data();
  mark.target_sequence = load_le<uint64_t>(from);
  mark.target_segment = load_le<uint32_t>(from + 8);
  mark.from = load_le<uint32_t>(from + 12);
  mark.to = load_le<uint32_t>(from + 16);
  mark.count = load_le<uint32_t>(from + 20);
  mark.ids = payload.subspan(survivors_head_bytes);
  return mark.ids.size() == uint64_t{mark.count} * 8;
}

void write_moved(std::byte* to, const MovedMark& mark) {
  for (const Place& place : {mark.from, mark.to}) {
    store_le(to, place.sequence);
    store_le(to + 8, place.segment);
    store_le(to + 12, place.offset);
    to += place_bytes;
  }
}

bool parse_moved(Bytes payload, MovedMark& mark) {
  if (payload.size() != moved_bytes) return false;
  const std::byte* at = payload.data();
  for (Place* place : {&mark.from, &mark.to}) {
    *place = {load_le<uint64_t>(at), load_le<uint32_t>(at + 8), load_le<uint32_t>(at + 12)};
    at += place_bytes;
  }
  return true;
}

}  // namespace mx::queue
