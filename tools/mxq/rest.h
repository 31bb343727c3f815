// tools/mxq/rest.h - a queue whose ringmx does not run (or one that runs, looked at from outside):
// what recovery finds in it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/config/settings.h"
#include "engine/spool/queue_reader.h"
#include "engine/spool/segment_files.h"
#include "queue/recovery.h"

namespace mx::mxq {

// Which messages an option is about.
struct Choice {
  std::vector<std::string> ids;
  std::string domain;
  bool takes_all() const { return ids.empty() && domain.empty(); }
};

class QueueAtRest {
 public:
  using Access = spool::SegmentFiles::Access;
  // Throws Unavailable (client.h) or, for a queue that can't be read, std::runtime_error.
  QueueAtRest(const config::Settings& settings, Access access, queue::Verify verify);

  const queue::Recovered& recovered() const { return recovered_; }
  spool::SegmentFiles& files() { return files_; }
  // visit(message, payload of its COMMIT, envelope and chunks) for each that is chosen.
  void each(const Choice& choice,
            const std::function<void(const spool::QueuedMessage&, Bytes)>& visit);
  // Header block and body, wire form; empty when a part can't be read whole.
  std::optional<std::string> content(const spool::QueuedMessage& message, Bytes commit);
  // Messages whose COMMIT can't be read, met by each().
  uint64_t unreadable() const { return unreadable_; }

 private:
  queue::Life life(uint32_t segment) const { return recovered_.segments[segment].life; }
  spool::SegmentFiles files_;
  queue::Recovered recovered_;
  spool::QueueReader commits_, chunks_;
  uint64_t unreadable_ = 0;
};

}  // namespace mx::mxq
