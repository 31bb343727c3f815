// From what recovery found to the pool that the journals begin with.
#include <algorithm>

#include "proto/base/assert.h"
#include "queue/recovery.h"

namespace mx::queue {

void adopt(const Recovered& recovered, SegmentPool& pool) {
  MX_ASSERT(recovered.segments.size() == pool.geometry().segment_count);
  MX_ASSERT(recovered.refusal.empty());
  std::vector<uint32_t> weight(recovered.segments.size(), 0);
  for (const RecoveredMessage& message : recovered.messages) ++weight[message.commit.segment];
  std::vector<uint64_t> load(pool.shard_count(), 0);
  for (uint32_t segment = 0; segment < recovered.segments.size(); ++segment) {
    const RecoveredSegment& found = recovered.segments[segment];
    switch (found.state) {
      case SegmentState::free:
        pool.adopt_free(segment);
        break;
      case SegmentState::sealed: {
        const auto least = std::min_element(load.begin(), load.end());
        *least += weight[segment] + 1;
        pool.adopt_sealed(segment, static_cast<uint32_t>(least - load.begin()), found.life,
                          found.damaged);
        break;
      }
      case SegmentState::poisoned:
        pool.adopt_poisoned(segment);
        break;
      case SegmentState::absent:
      case SegmentState::open:
      case SegmentState::retiring:
        break;
    }
  }
  for (const RecoveredMessage& message : recovered.messages) {
    pool.add_live({message.commit.segment, bytes_of_class(message.size_class)});
    for (const SegmentShare& share : message.other_segments) pool.add_live(share);
    for (const RecoveredCopy& copy : message.copies)
      for (const SegmentShare& share : copy.shares) pool.add_live(share);
  }
  for (const auto& [target, holder] : recovered.pins) pool.pin(target, holder);
  pool.set_next_sequence(recovered.largest_sequence + 1);
}

}  // namespace mx::queue
