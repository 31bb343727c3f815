// queue/draft.h - a message on its way into a journal, and what the journal says to each step.
#pragma once

#include <cstdint>

#include "proto/base/small_vector.h"
#include "proto/base/time.h"
#include "queue/format.h"
#include "queue/message_id.h"
#include "queue/segment_pool.h"
#include "queue/share.h"

namespace mx::queue {

enum class Status : uint8_t {
  ok,
  later,      // both buffers are full, or bulk chunks not durable yet: pump(), and try again after
              // the next on_flush() of either stream
  no_space,   // no segment free (452 4.3.1), or the index is full
  failed,     // the device failed (451 4.3.0); final
  too_large,  // envelope or chunk list larger than a batch; final for this message
};

enum class ChunkKind : uint8_t { header, body };

// A message under construction; a value of the session. Ends by commit() (ok) or abandon(), else it
// keeps its segments from being recycled.
class Draft {
 public:
  MessageId id() const { return id_; }
  WallTime arrival() const { return arrival_; }
  bool open() const { return static_cast<bool>(id_); }

 private:
  friend class Journal;
  struct Chunk {
    RecordType type;
    Extent extent;
    uint64_t sequence;
    uint64_t payload_hash;
  };
  MessageId id_;
  WallTime arrival_;
  uint64_t bulk_batch_ = 0;  // the last batch of the bulk stream with a chunk of it
  SegmentPool::Purpose purpose_ = SegmentPool::Purpose::messages;
  SmallVector<Chunk, 3> chunks_;
  SmallVector<SegmentShare, 2> segments_;  // each once; the draft holds one live count on each
};

}  // namespace mx::queue
