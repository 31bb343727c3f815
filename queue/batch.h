// queue/batch.h - what a journal is filling or has under way, and what happens when it is durable.
// Values, the journal's own.
#pragma once

#include <cstdint>
#include <vector>

#include "proto/base/bytes.h"
#include "proto/base/small_vector.h"
#include "queue/format.h"
#include "queue/journal_stats.h"
#include "queue/mark_format.h"
#include "queue/message_info.h"
#include "queue/share.h"

namespace mx::queue {

// Who reads messages back from their segments.
class Readers {
 public:
  virtual bool reads(MessageId id) = 0;

 protected:
  ~Readers() = default;
};

struct StagedCommit {
  CommitResult result;
  MessageInfo info;
  bool spans = false;
};

// A COMMIT that is to end though its message goes on: its place before a move, or a copy that a
// crash left over.
struct Ending {
  MessageId id;
  MovedMark mark;
  SmallVector<SegmentShare, 2> places;
};

struct Batch {
  MutableBytes buffer;
  uint32_t segment = 0;
  uint32_t offset = 0;  // in the segment, of the buffer's first byte
  bool open = false;    // has a place; records in it unless it was just begun
  bool due = false;     // its marks are in: it goes next
  uint32_t used = 0;
  uint32_t capacity = 0;  // end of the room for records
  Life life;
  uint64_t number = 0;
  std::vector<StagedCommit> commits;
  // When it is durable:
  std::vector<SegmentShare> released;  // lose a live count
  std::vector<Ending> ended;           // let go, once nobody reads them
};

// Marks of an older segment being written anew, so that the segments which hold the old ones get
// free.
struct Relocation {
  uint32_t target = UINT32_MAX;
  uint32_t next_offset = 0;  // COMMITs before it are done with
  uint32_t end = 0;          // there are none from here on, or none with marks that are replaced
  uint64_t below = 0;        // marks in segments older than this are replaced
};

// A segment being left: its footer goes out in parts, one a batch.
struct Closing {
  bool active = false;
  uint32_t part = 0;
  uint32_t at = 0;        // in the entries
  uint32_t previous = 0;  // offset of the part before
};

}  // namespace mx::queue
