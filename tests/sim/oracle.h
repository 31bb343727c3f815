// tests/sim/oracle.h - what must be true of a recovered queue, kept beside the journal by the
// simulation.
//
//   - every acknowledged message whose recipients are not all marked done is there, with at least
//   the
//     recipients not marked pending
//   - nothing is there that was never committed, was abandoned, or is gone (its end was durable, or
//   an
//     earlier recovery no longer had it)
//   - recipients whose mark was durable stay done; attempts never fall behind a durable mark
//   - envelope and content are byte-identical
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "queue/recovery.h"

namespace mx::sim {

struct Content {
  std::string header, body, envelope;
};

enum class Fate : uint8_t { drafting, committed, acknowledged, gone };

struct Tracked {
  Fate fate = Fate::drafting;
  std::shared_ptr<const Content> content;
  std::vector<bool> done;          // marked
  std::vector<bool> durably_done;  // and the mark was flushed
  uint16_t durable_attempts = 0;
  uint16_t attempts = 0;
  bool stuck = false;  // the simulation never delivers it
  bool all_done() const {
    for (const bool d : done)
      if (!d) return false;
    return true;
  }
};

class Oracle {
 public:
  std::map<queue::MessageId, Tracked>& messages() { return messages_; }

  // Empty when all is well, else what is wrong.
  std::string check(const queue::Recovered& recovered, queue::SegmentReader& reader) const;
  // After damage to what had been durable: whatever is there is whole and was really accepted.
  // `unreadable`: counts messages whose parts do not verify when they are read; without it, that is
  // wrong.
  std::string check_rotten(const queue::Recovered& recovered, queue::SegmentReader& reader,
                           uint64_t* unreadable = nullptr) const;
  // Acknowledged messages with recipients left that are not there.
  uint64_t count_missing(const queue::Recovered& recovered) const;
  // Takes what was recovered as the truth from now on.
  void settle(const queue::Recovered& recovered);

 private:
  std::string check_message(const queue::RecoveredMessage& found, const queue::Recovered& recovered,
                            queue::SegmentReader& reader) const;
  std::string check_content(const queue::RecoveredMessage& found, const Tracked& tracked,
                            const queue::Recovered& recovered, queue::SegmentReader& reader,
                            bool& readable) const;
  std::map<queue::MessageId, Tracked> messages_;
};

// The same unfinished messages in the same state? For recovering by footers and record by record.
bool same_messages(const queue::Recovered& a, const queue::Recovered& b);
// The same queue? For recovering twice.
bool same(const queue::Recovered& a, const queue::Recovered& b);

}  // namespace mx::sim
