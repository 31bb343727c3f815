// tools/mxq/rest.h - a queue whose ringmx does not run (or one that runs, looked at from outside):
// what recovery finds in it.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "engine/config/settings.h"
#include "engine/spool/queue_reader.h"
#include "engine/spool/segment_files.h"
#include "queue/recovery.h"

namespace mx::mxq {

// Which messages an option is about.
struct Choice {
  std::set<queue::MessageId> ids;
  std::string domain;
};

// Reading takes no lock.
inline constexpr const char* running_remark =
    "ringmx is running: what it writes at this moment may look unfinished or damaged";

class QueueAtRest {
 public:
  using Access = spool::SegmentFiles::Access;
  // Throws Unavailable (client.h) or, for a queue that can't be read, std::runtime_error.
  QueueAtRest(const config::Settings& settings, Access access, queue::Verify verify);

  const queue::Recovered& recovered() const { return recovered_; }
  spool::SegmentFiles& files() { return files_; }
  // visit(message, payload of its COMMIT, envelope and chunks) for each that is chosen, oldest
  // first. Once.
  void each(const Choice& choice,
            const std::function<void(const spool::QueuedMessage&, Bytes)>& visit);
  // From within visit: no more of them.
  void stop() { stopping_ = true; }
  bool cut_short() const { return cut_short_; }  // there were more
  // Header block and body, wire form; empty when a part can't be read whole.
  std::optional<std::string> content(const spool::QueuedMessage& message, Bytes commit);
  // Messages that each() did not visit: their COMMIT can't be read now, or recovery missed a part
  // of them. Where they go is not known, so they count for any domain.
  uint64_t unreadable() const { return unreadable_; }
  // Chosen ids that each() did not find.
  const std::set<queue::MessageId>& missing() const { return missing_; }

 private:
  queue::Life life(uint32_t segment) const { return recovered_.segments[segment].life; }
  spool::SegmentFiles files_;
  queue::Recovered recovered_;
  spool::QueueReader commits_, chunks_;
  uint64_t unreadable_ = 0;
  std::set<queue::MessageId> missing_;
  bool stopping_ = false, cut_short_ = false;
};

}  // namespace mx::mxq
