// engine/relay/letters.h - letters to the postmaster that are about no message of the queue: the
// digest of quarantined mail, transcripts of sessions that went wrong. They are mail like any other
// once they are in the journal.
//
// Their sender is double_bounce_sender, as in Postfix: when one can't be delivered nobody is told,
// and it is dropped. Owner and threads: one shard. Limits: letters_waiting_max wait, one at a time
// is written; a letter is lost when there is no room for it, and its owner is told.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "engine/io/loop.h"
#include "engine/observe/counters.h"
#include "engine/observe/log.h"
#include "engine/policy/snapshot.h"
#include "engine/relay/posting.h"
#include "engine/spool/spool.h"

namespace mx::relay {

inline constexpr uint8_t op_letter_commit = 46;  // cookie of a commit

struct Letter {
  std::string to;  // an address, or a name to be completed with @myorigin
  std::string subject, text;
  std::string_view what;                // for the log; lives for ever
  std::function<void(bool)> done = {};  // true: it is durable. On the shard's thread
};

class Letters {
 public:
  Letters(io::Loop& loop, spool::Spool& spool, observe::LogStream& log,
          observe::Counters& counters);
  ~Letters();

  void set_snapshot(policy::SnapshotPointer snapshot, policy::SettingsPointer settings);
  // False: too many wait, and `done` is not called.
  [[nodiscard]] bool add(Letter letter);
  void pump();
  void on_commit(const queue::CommitResult& result);
  [[nodiscard]] bool next_generated(queue::MessageId& id);
  // Must end before the journal may stop.
  size_t under_way() const { return waiting_.size(); }

 private:
  bool compose(const Letter& letter);
  void over(bool told);

  io::Loop& loop_;
  spool::Spool& spool_;
  observe::LogStream& log_;
  observe::Counters& counters_;
  policy::SnapshotPointer snapshot_;
  policy::SettingsPointer settings_;
  std::deque<Letter> waiting_;  // the first one is being written
  Posting posting_;
  bool committing_ = false;
  std::deque<queue::MessageId> generated_;
};

}  // namespace mx::relay
