// queue/segment_scan.h - recovery's walk through one segment: finds the life it is in, gives every
// record that verifies, and the stretches between that do not.
//
// Where a record does not verify, the walk goes on at the next multiple of 8 that begins one which
// does; the seeded checks keep it from taking body bytes or an earlier life for one. Blocks that
// can't be read count as bytes that do not verify. Memory: a window of 1 MiB, or of the largest
// record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/base/bytes.h"
#include "queue/device.h"
#include "queue/format.h"

namespace mx::queue {

// A sliding view of a segment. Beyond the end of a short file, and where reading fails, there are
// zeros.
class SegmentView {
 public:
  SegmentView(SegmentReader& reader, uint32_t segment, uint32_t segment_bytes,
              uint32_t window_bytes = 1U << 20)
      : reader_(reader),
        segment_(segment),
        segment_bytes_(segment_bytes),
        window_bytes_(window_bytes) {}
  // offset + length <= segment size. Valid until the next call.
  Bytes at(uint32_t offset, uint32_t length);
  uint32_t unreadable_blocks() const { return unreadable_blocks_; }

 private:
  void fill(uint32_t begin, uint32_t end);

  SegmentReader& reader_;
  uint32_t segment_;
  uint32_t segment_bytes_;
  uint32_t window_bytes_;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
  uint32_t unreadable_blocks_ = 0;
  std::vector<std::byte> memory_;
};

// What the first blocks say.
struct SegmentFace {
  enum class Kind : uint8_t {
    absent,      // no file, or an empty one
    free,        // blank, or its last life has ended
    alive,       // `header` is its life
    refused,     // another version or geometry: `text`
    unreadable,  // the device does not give its first blocks
  } kind = Kind::absent;
  SegmentHeader header = {};
  bool header_lost = false;  // the life is known from a trailer only
  bool may_be_torn = false;  // `text` tells what a crash in writing the header leaves, too
  uint64_t largest_sequence = 0;
  std::string text;  // damage, or why refused
};
SegmentFace read_face(SegmentReader& reader, uint32_t segment, const Geometry& geometry);

struct FoundRecord {
  RecordHeader header;
  uint32_t offset = 0;
  Bytes payload;  // valid until the next step
};
// A stretch where nothing verifies, between (or after, or before) records.
struct Gap {
  uint32_t begin = 0;
  uint32_t end = 0;
  bool after_trailer = true;       // what stands before it is a whole batch, or nothing
  std::optional<uint32_t> before;  // batch of the record before it
  std::optional<uint32_t> after;   // batch of the record after it; nothing: up to the segment's end
  MessageId id = {};               // from the record header at its begin, when that still verifies
};

class SegmentWalk {
 public:
  SegmentWalk(SegmentReader& reader, uint32_t segment, uint32_t segment_bytes, const Life& life)
      : view_(reader, segment, segment_bytes), segment_bytes_(segment_bytes), life_(life) {}
  // The next record; false at the end.
  [[nodiscard]] bool next(FoundRecord& record);
  const std::vector<Gap>& gaps() const { return gaps_; }
  const SegmentView& view() const { return view_; }

 private:
  uint32_t next_candidate(uint32_t at);
  bool record_at(uint32_t offset, FoundRecord& record, MessageId& broken);

  SegmentView view_;
  uint32_t segment_bytes_;
  Life life_;
  uint32_t offset_ = records_offset;
  bool after_trailer_ = true;
  std::optional<uint32_t> last_batch_;
  std::vector<Gap> gaps_;
};

}  // namespace mx::queue
