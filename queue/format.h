// queue/format.h - what is on disk: segment, batch, record. Pure functions; the grammar and a
// worked example are in README.md.
//
// A segment is a fixed-size file that lives many lives. Block 0 (4 KiB) is the grave: the sequence
// of the last life that ended. Block 1 is the header of the present life. Batches follow from block
// 2 on, each a whole number of blocks, so that no later write touches a sector with acknowledged
// data. Every record is checked against (epoch, sequence, offset): bytes of an earlier life, or of
// another place, never verify. Each batch ends in a trailer that also says epoch and sequence in
// clear, so that a segment whose header block is lost can still be read.
#pragma once

#include <cstdint>
#include <optional>

#include "proto/base/bytes.h"
#include "proto/base/time.h"
#include "queue/message_id.h"

namespace mx::queue {

inline constexpr uint32_t format_version = 2;  // 2: MOVED, and the cold stream
inline constexpr uint32_t block_bytes = 4096;
inline constexpr uint32_t record_alignment = 8;
inline constexpr uint32_t grave_offset = 0;
inline constexpr uint32_t header_offset = block_bytes;
inline constexpr uint32_t records_offset = 2 * block_bytes;
inline constexpr uint32_t segment_bytes_min = 64U << 10;
inline constexpr uint32_t segment_bytes_max = 1U << 30;

// A shard writes three streams, each its own chain of segments and batches.
enum class Stream : uint16_t {
  mail = 0,  // header blocks, small bodies, COMMITs, marks
  bulk = 1,  // pieces of large bodies
  cold = 2,  // messages that have lived long, moved here by compaction
};

struct Geometry {
  uint32_t segment_bytes = 64U << 20;  // a power of two
  uint32_t segment_count = 0;
  bool operator==(const Geometry&) const = default;
};
[[nodiscard]] bool is_valid(const Geometry& geometry);

// One life of a segment. sequence is unique and increasing over all shards and restarts (0: no
// life); epoch is random, drawn by the owner at every start.
struct Life {
  uint64_t epoch = 0;
  uint64_t sequence = 0;
  bool operator==(const Life&) const = default;
};

// Where a record lies: `offset` is that of its header, `length` that of its payload.
struct Extent {
  uint32_t segment = 0;
  uint32_t offset = 0;
  uint32_t length = 0;
  bool operator==(const Extent&) const = default;
};

enum class RecordType : uint8_t {
  none = 0,          // zeros are never a record
  header_chunk = 1,  // our header block, wire form
  body_chunk = 2,    // a piece of the body, wire form
  commit = 3,        // the message: recipient count, chunk list, envelope
  done = 4,          // every recipient is finished; no payload
  state = 5,         // the recipients that are still pending, attempts, next attempt, reason
  survivors =
      6,       // of the commits in a stretch of an older segment only those listed are unfinished
  pad = 7,     // fills a batch up to its trailer
  batch = 8,   // trailer
  footer = 9,  // record index of a full segment
  moved = 10,  // one COMMIT of the message has ended: the message stands elsewhere
  hold = 11,   // reserved: held by an operator
  envelope_part = 12  // reserved: envelope too large for one batch
};

struct RecordHeader {
  uint32_t length = 0;  // of the payload
  RecordType type = RecordType::none;
  uint8_t flags = 0;
  uint32_t batch = 0;  // low 32 bits of the batch number: a later batch proves this one was flushed
  MessageId id = {};
  uint64_t payload_hash = 0;
};
inline constexpr uint32_t record_header_bytes = 32;

// What a record occupies, padding included.
constexpr uint32_t record_bytes(uint32_t payload_length) {
  return (record_header_bytes + payload_length + record_alignment - 1) & ~(record_alignment - 1);
}

// Writes a record (header, copy of payload, zero padding) at `to`, which has room for
// record_bytes(). Returns the payload's hash, as stored.
uint64_t write_record(std::byte* to, const Life& life, uint32_t offset, const RecordHeader& header,
                      Bytes payload);
// The same for a payload that the caller has put at to + record_header_bytes itself.
uint64_t seal_record(std::byte* to, const Life& life, uint32_t offset, const RecordHeader& header);

// False for most of what is none, without its check: no type, or bytes that are zero in every one.
// There are record_header_bytes at `at`.
inline bool may_be_record_header(const std::byte* at) {
  return at[8] != std::byte{0} && at[10] == std::byte{0} && at[11] == std::byte{0};
}
// The header at the front of `at`, if its check holds for this life and offset. The payload is not
// looked at. Types above the known ones are given as they are.
std::optional<RecordHeader> read_record_header(Bytes at, const Life& life, uint32_t offset);
// Whether the payload is what was written there. `padded` reaches to the record's end, zero padding
// included: every byte of a record is covered by a check.
[[nodiscard]] bool payload_verifies(const RecordHeader& header, Bytes padded, const Life& life,
                                    uint32_t offset);

// Block 1. All that matters lies in the first sector, so that it is never torn; the rest is zeros.
// These fields keep their place in later versions.
struct SegmentHeader {
  uint32_t version = format_version;
  uint32_t segment = 0;
  uint16_t shard = 0;
  Stream stream = Stream::mail;
  Geometry geometry = {};
  Life life = {};
  uint64_t previous_sequence = 0;  // of the segment that this stream wrote before, 0: none
  uint64_t first_batch = 0;  // number of the first batch here; the one before ends the previous one
};
void write_segment_header(MutableBytes block, const SegmentHeader& header);
std::optional<SegmentHeader> read_segment_header(Bytes block);

// Block 0; a copy goes over block 1 when it is durable. Segments that never lived are all zeros.
void write_grave(MutableBytes block, uint32_t segment, uint64_t ended_sequence);
std::optional<uint64_t> read_grave(Bytes block, uint32_t segment);
// Blocks 0 and 1 outside their fields. Not needed to read them; a difference is damage worth
// telling.
[[nodiscard]] bool unused_bytes_are_zero(Bytes block, bool is_grave);

struct BatchTrailer {
  uint32_t version = format_version;
  uint32_t segment = 0;
  uint16_t shard = 0;
  Stream stream = Stream::mail;
  uint32_t begin = 0;  // offset of the batch's first record
  Life life = {};
  uint64_t number = 0;         // counts up within (epoch, shard, stream)
  uint64_t previous_hash = 0;  // payload hash of the trailer before this one, 0 for the first
};
inline constexpr uint32_t trailer_payload_bytes = 56;
inline constexpr uint32_t trailer_bytes = record_header_bytes + trailer_payload_bytes;
static_assert(record_bytes(trailer_payload_bytes) == trailer_bytes);
// Returns the trailer's payload hash.
uint64_t write_trailer(std::byte* to, uint32_t offset, const BatchTrailer& trailer);
// The trailer at the end of `block`, which begins at `block_offset`, by what it says of itself.
std::optional<BatchTrailer> read_trailer(Bytes block, uint32_t segment, uint32_t block_offset);
std::optional<BatchTrailer> parse_trailer(Bytes payload);

}  // namespace mx::queue
