// queue/journal_stats.h - what a journal tells its owner: the result of each commit, and counts
// since its construction. Values.
#pragma once

#include <cstdint>

#include "queue/message_id.h"

namespace mx::queue {

struct CommitResult {
  uint64_t cookie = 0;
  MessageId id;
  bool ok = false;
};

struct JournalStats {
  uint64_t bulk_batches = 0;  // where streams are summed up
  uint64_t batches = 0, flushes = 0, bytes_written = 0, payload_bytes = 0;
  uint64_t messages = 0, marks = 0, relocated = 0;
  uint64_t moved = 0, moved_bytes = 0;  // to the cold stream
  uint64_t segments_claimed = 0, segments_retired = 0;
  uint64_t refused_later = 0, refused_no_space = 0;
  uint32_t messages_in_batch_max = 0;
  uint64_t messages_in_batch[16] = {};  // [k]: batches with 2^k .. 2^(k+1)-1 messages
};

}  // namespace mx::queue
