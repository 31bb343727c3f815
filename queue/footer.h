// queue/footer.h - the record index that ends a full segment: what recovery needs of it, so that
// only segments that were open at the end of a life have to be walked.
//
// FOOTER payload: u32 part (from 0), u32 1 in the last part, u32 offset of the record with the part
// before (0: none), u32 0, u64 largest message id in the segment, u64 entries in this part; then
// entries, each a multiple of 8 bytes, in the order of the records:
//
//   COMMIT             u8 3, u8 size class (share.h) of its bytes in this segment, u16 recipients,
//                      u32 other segments, u64 id, u32 offset, u32 length, i64 arrival; per other
//                      segment u64 sequence, u32 segment, u32 bytes there
//   DONE               u8 4, u8 0, u16 0, u32 0, u64 id
//   STATE, SURVIVORS,  u8 5, 6 or 10, u8 0, u16 0, u32 length, u64 id, payload, zeros to a
//   MOVED              multiple of 8
//
// A footer is written by the journal alone, yet its reader trusts nothing in it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proto/base/bytes.h"
#include "proto/base/time.h"
#include "queue/device.h"
#include "queue/format.h"
#include "queue/message_id.h"
#include "queue/message_info.h"
#include "queue/share.h"

namespace mx::queue {

inline constexpr uint32_t footer_head_bytes = 32;
inline constexpr uint32_t footer_commit_bytes = 32;
inline constexpr uint32_t footer_other_bytes = 16;
inline constexpr uint32_t footer_mark_bytes = 16;  // and the payload

constexpr uint32_t footer_mark_cost(uint32_t payload_length) {
  return footer_mark_bytes + ((payload_length + 7) & ~7U);
}
constexpr uint32_t footer_commit_cost(uint32_t other_segments) {
  return footer_commit_bytes + other_segments * footer_other_bytes;
}

// A segment, besides the COMMIT's own, with chunks of its message.
struct OtherSegment {
  SegmentShare share;
  uint64_t sequence = 0;
};

// The entries of the segment that is open, in the order of its records.
class FooterEntries {
 public:
  void clear();
  void add_commit(const MessageInfo& info, std::span<const OtherSegment> others);
  void add_mark(RecordType type, MessageId id, Bytes payload);
  void saw(MessageId id) { largest_id_ = std::max(largest_id_, id); }
  uint32_t bytes() const { return static_cast<uint32_t>(bytes_.size()); }
  uint32_t largest_entry() const { return largest_entry_; }
  MessageId largest_id() const { return largest_id_; }
  // As many whole entries from `at` on as fit in `room`, and their number.
  Bytes piece(uint32_t at, uint32_t room, uint64_t& count) const;

 private:
  std::byte* grow(uint32_t size);
  std::vector<std::byte> bytes_;
  uint32_t largest_entry_ = 0;
  MessageId largest_id_;
};

struct FooterHead {
  uint32_t part = 0;
  bool last = false;
  uint32_t previous_offset = 0;
  MessageId largest_id;
  uint64_t entries = 0;
};
void write_footer_head(std::byte* to, const FooterHead& head);

struct FooterEntry {
  RecordType type = RecordType::none;
  MessageId id;
  // COMMIT
  uint16_t recipients = 0;
  uint8_t size_class = 0;
  uint32_t offset = 0, length = 0;
  WallTime arrival;
  std::vector<OtherSegment> others;
  // marks
  Bytes payload;
};

// One part; views live as long as the payload.
class FooterPart {
 public:
  [[nodiscard]] bool open(Bytes payload);
  const FooterHead& head() const { return head_; }
  // False at the end; malformed() then says whether it was one.
  [[nodiscard]] bool next(FooterEntry& entry);
  bool malformed() const { return malformed_; }

 private:
  FooterHead head_;
  Bytes rest_;
  uint64_t left_ = 0;
  bool malformed_ = false;
};

// The parts of a segment's footer in order, each verified, and the number of the batch that ends
// the segment. Nothing: there is none, or not a whole one.
struct Footer {
  std::vector<std::vector<std::byte>> parts;
  uint64_t last_batch = 0;
};
std::optional<Footer> read_footer(SegmentReader& reader, uint32_t segment, uint32_t segment_bytes,
                                  const Life& life);

}  // namespace mx::queue
