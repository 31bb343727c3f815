// engine/shard/shard.h - one thread that does everything for its connections: accepts, takes mail
// in, makes it durable, delivers it. Shards share nothing but the segment pool, the next hop's
// state, alarms and immutable snapshots; others speak to a shard through its mailbox.
//
// Threads: the constructor and post() from any thread; run() is the thread's body and owns all
// else.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/io/fd.h"
#include "engine/io/loop.h"
#include "engine/observe/alarms.h"
#include "engine/observe/counters.h"
#include "engine/observe/log.h"
#include "engine/policy/snapshot.h"
#include "engine/relay/next_hops.h"
#include "engine/relay/outbound.h"
#include "engine/session/inbound.h"
#include "engine/spool/spool.h"
#include "queue/recovery.h"

namespace mx::shard {

// Completion and timer kinds of this folder.
inline constexpr uint8_t op_accept = 64;
inline constexpr uint8_t op_wake = 65;
inline constexpr uint8_t timer_journal = 64;
inline constexpr uint8_t timer_accept = 65;
inline constexpr uint8_t timer_shutdown = 66;

// What all shards use together; outlives them.
struct Shared {
  observe::Log& log;
  observe::Alarms& alarms;
  relay::NextHops& next_hops;
  session::ClientTable& clients;
  queue::SegmentPool& pool;
  const spool::SegmentFiles& files;
  bool dsync = false;                    // how the journals write
  spool::FlushGroup* flushes = nullptr;  // they flush together
  uint64_t epoch = 0;                    // of this start of the process
  queue::MessageId largest_known_id;
  // ETRN: all shards try what they have deferred. From any shard's thread.
  std::function<void()> request_queue_run;
};

class Shard {
 public:
  Shard(uint32_t number, const Shared& shared, policy::SnapshotPointer snapshot,
        std::vector<io::Fd> listeners, std::vector<const queue::RecoveredMessage*> messages);
  ~Shard();

  // Runs until shut down. `ready` is called once: with an empty text when the shard serves, else
  // with why it can't (then run() returns).
  void run(const std::function<void(std::string)>& ready);

  // Has `task` run by the shard's thread, soon. False: the shard has ended, the task is dropped.
  bool post(std::function<void(Shard&)> task);

  // --- for tasks
  void publish(const policy::SnapshotPointer& snapshot);
  // Transactions under way give up the older snapshots that they began with.
  void renew_snapshots();
  void begin_shutdown();
  void flush_queue();
  // What an operator wants of one message.
  relay::Outbound::Steered steer(relay::Outbound::Steer what, queue::MessageId id);
  queue::Index& index();
  // A letter to the postmaster. False: it can't be taken now.
  [[nodiscard]] bool post_letter(relay::Letter letter);

  const observe::Counters& counters() const { return counters_; }
  uint32_t number() const { return number_; }

 private:
  struct Runtime;
  friend struct Runtime;
  void wake();  // from any thread

  uint32_t number_;
  Shared shared_;
  observe::LogStream& log_;
  observe::Counters counters_;
  policy::SnapshotPointer snapshot_;  // under a count of this shard
  std::vector<io::Fd> listeners_;
  std::vector<const queue::RecoveredMessage*> messages_;
  std::unique_ptr<Runtime> runtime_;  // made by run(), on its thread
  io::Fd wake_;
  std::mutex mailbox_mutex_;
  std::vector<std::function<void(Shard&)>> mailbox_;
  bool ended_ = false;
};

}  // namespace mx::shard
