// queue/recovery.h - reads all segments after a start and says what is in the queue. Reads only: a
// second recovery gives the same. Run by the main thread before the shards; all shards' segments at
// once.
//
// Every record that verifies is used, whatever is broken before it. A COMMIT whose chunks all
// verify is a message, acknowledged or not. Damage (a hole before something that was written later,
// a chunk or a segment that can't be read) is told, counted, and its segment is kept from being
// recycled; the torn end of the last batch before a crash is told as such and is no damage. Cost:
// the footers of full segments, and every byte of those that were open at the end of a life.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "proto/base/time.h"
#include "queue/device.h"
#include "queue/format.h"
#include "queue/segment_pool.h"

namespace mx::queue {

// Another unfinished COMMIT of a message: a crash fell between a copy and its mark. The journal
// ends it.
struct RecoveredCopy {
  Extent commit = {};
  uint64_t sequence = 0;             // of the life of commit.segment
  std::vector<SegmentShare> shares;  // of all segments with something of it
  bool operator==(const RecoveredCopy&) const = default;
};

struct RecoveredMessage {
  MessageId id = {};
  Extent commit = {};
  uint8_t size_class = 0;                    // of what it has in commit.segment
  std::vector<SegmentShare> other_segments;  // that hold chunks of it
  std::vector<RecoveredCopy> copies;
  uint16_t recipient_count = 0;
  uint16_t attempts = 0;
  WallTime arrival;
  WallTime next_attempt;
  bool marked = false;  // a state record exists
  bool warned = false;  // the sender knows of the delay
  std::vector<std::pair<uint32_t, uint32_t>>
      pending;  // [first, count) ranges of unfinished recipients
  std::string reason;
};

struct RecoveredSegment {
  SegmentState state = SegmentState::absent;  // absent, free, sealed or poisoned
  uint32_t shard = 0;                         // that wrote it
  Life life;
  bool damaged = false;
};

struct Damage {
  uint32_t segment = 0;
  uint32_t offset = 0;
  bool torn_tail = false;  // the unfinished end of the last batch: expected after a crash
  MessageId id = {};       // the message concerned, when known
  std::string text = {};
};

struct Recovered {
  std::vector<RecoveredMessage> messages;  // by (sequence of the segment, offset): oldest first
  std::vector<RecoveredSegment> segments;  // one for each of the geometry
  std::vector<std::pair<uint32_t, uint32_t>> pins;  // (target, holder)
  std::vector<Damage> damage;                       // the first 1,000
  uint64_t damage_count = 0;                        // without torn tails
  uint64_t torn_tails = 0;
  uint64_t messages_lost = 0;  // a COMMIT is there, a chunk is not (damage, not a torn tail)
  uint64_t records = 0;
  uint32_t segments_by_footer = 0;
  MessageId largest_id;
  uint64_t largest_sequence = 0;
  std::string refusal;  // not empty: do not start (other version or geometry)
  uint32_t refused_segment = 0;
};

// What to look at: full segments by their footers, the others record by record; or everything
// record by record (for finding damage, which else comes to light when a message is read).
enum class Verify : uint8_t { open_segments, all };
Recovered recover(SegmentReader& reader, const Geometry& geometry,
                  Verify verify = Verify::open_segments);

// Puts the state into a fresh pool and deals the segments out to its shards, whatever number wrote
// them; a message belongs to the shard that owns its COMMIT's segment:
// pool.owner(message.commit.segment).
void adopt(const Recovered& recovered, SegmentPool& pool);

}  // namespace mx::queue
