// queue/reader.h - reading a message back: which blocks to read for a record, the check of what was
// read, and the parts of a COMMIT. Pure functions over bytes that the owner has read.
//
//   MessageInfo -> commit extent -> window -> decode_record -> CommitView -> chunks -> window ->
//   payloads
//
// Segments that hold something of an unfinished message are not recycled, so a record that does not
// verify means damage (or a read error): the message stays queued, is not delivered, and an alarm
// is due.
#pragma once

#include <cstdint>
#include <optional>

#include "proto/base/bytes.h"
#include "proto/base/time.h"
#include "queue/format.h"

namespace mx::queue {

// The whole blocks around a record.
struct Window {
  uint32_t offset = 0;
  uint32_t length = 0;
};
Window window_of(const Extent& extent);

// `window` holds the bytes of window_of(extent). The payload, when the record is that of this life,
// place, type and message and its checks hold.
std::optional<Bytes> decode_record(Bytes window, const Extent& extent, const Life& life,
                                   RecordType type, MessageId id);

struct ChunkRef {
  RecordType type = RecordType::none;  // header_chunk or body_chunk
  Extent extent = {};
  uint64_t sequence = 0;      // of the life of extent.segment
  uint64_t payload_hash = 0;  // as in the chunk's record header
};

// The payload of a COMMIT record. Views live as long as the bytes.
class CommitView {
 public:
  // False when malformed.
  [[nodiscard]] bool open(Bytes payload);
  uint16_t recipient_count() const { return recipient_count_; }
  WallTime arrival() const { return arrival_; }
  uint32_t chunk_count() const { return chunk_count_; }
  ChunkRef chunk(uint32_t i) const;  // in the order of the message: header first
  Bytes envelope() const { return envelope_; }

 private:
  uint16_t recipient_count_ = 0;
  WallTime arrival_;
  uint32_t chunk_count_ = 0;
  Bytes chunks_;
  Bytes envelope_;
};
inline constexpr uint32_t commit_head_bytes = 24;
inline constexpr uint32_t commit_chunk_bytes = 32;
void write_commit_head(std::byte* to, uint16_t recipient_count, uint32_t chunk_count,
                       WallTime arrival, uint32_t envelope_length);
void write_commit_chunk(std::byte* to, const ChunkRef& chunk);

}  // namespace mx::queue
