// engine/spool/queue_reader.h - reads messages of the queue for people: listings and exports, of a
// running queue or of one at rest.
//
// Blocking, for threads that may wait. Reads ahead by a MiB, since messages lie in the order in
// which they came. What can't be read whole is "not there": in a running queue it may be done by
// now.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/bytes.h"
#include "queue/index.h"
#include "queue/reader.h"
#include "queue/segment_scan.h"

namespace mx::spool {

class QueueReader {
 public:
  QueueReader(queue::SegmentReader& reader, uint32_t segment_bytes)
      : reader_(reader), segment_bytes_(segment_bytes) {}
  // A record's payload, verified. Valid until the next call.
  std::optional<Bytes> record(const queue::Extent& extent, const queue::Life& life,
                              queue::RecordType type, queue::MessageId id);

 private:
  std::optional<Bytes> look(const queue::Extent& extent, const queue::Life& life,
                            queue::RecordType type, queue::MessageId id);
  queue::SegmentReader& reader_;
  uint32_t segment_bytes_;
  uint32_t segment_ = UINT32_MAX;
  std::optional<queue::SegmentView> view_;
};

// One message as it stands in the index.
struct QueuedMessage {
  queue::MessageInfo info;
  std::vector<uint32_t> pending;  // recipients
  std::string reason;
};

// A JSON string (RFC 8259 7); what is not printable becomes '?'.
std::string quoted(std::string_view text);
// Why mail for an address is not tried, though it is its time; empty: nothing is known.
using WaitReason = std::function<std::string(std::string_view address)>;
// One line, LF included, with the keys of postqueue -j. `commit`: the payload of the COMMIT; empty
// or malformed: the line says "damaged". `waits` counts before what the last attempt said.
std::string to_json(const QueuedMessage& message, Bytes commit, const WaitReason& waits = {});
// Whether one of the pending recipients is in this domain.
bool goes_to(const QueuedMessage& message, Bytes commit, std::string_view domain);

}  // namespace mx::spool
