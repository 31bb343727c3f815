// engine/shard/control.h - the control socket QUEUE_DIRECTORY/ringmx.sock, for mxq.
//
// One request a connection (control_request.h); the answer is JSON lines, the last of which is
// {"end":true} when it is whole, then end of file. A thread of its own waits for the requests of
// all clients and serves one at a time, with time-outs; it asks a shard for a bounded page
// at a time through its mailbox and reads envelopes from the segments itself, so that a listing of
// a million messages costs the shards little. Who may connect is decided by the file's mode (0660,
// mail_owner).
//
// Threads: start() and stop() by the main thread; the rest is the control thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/io/fd.h"
#include "engine/observe/alarms.h"
#include "engine/observe/log.h"
#include "engine/policy/publisher.h"
#include "engine/relay/next_hops.h"
#include "engine/shard/control_request.h"
#include "engine/shard/shard.h"
#include "engine/spool/queue_reader.h"
#include "engine/spool/segment_files.h"
#include "queue/segment_pool.h"

namespace mx::shard {

class Control {
 public:
  Control(std::string queue_directory, observe::Log& log, observe::Alarms& alarms,
          spool::SegmentFiles& files, queue::SegmentPool& pool, const relay::NextHops& next_hops,
          const policy::Publisher& publisher, std::vector<std::unique_ptr<Shard>>& shards);
  ~Control();
  // Makes the socket: from then on clients can connect, and wait. Empty, or why not.
  std::string bind();
  // Serves them; the shards run.
  void start();
  void stop();

 private:
  struct Waiting {
    io::Fd fd;
    std::string line;  // its request as far as it is there
    Instant until;
  };
  void run();
  void accept_clients(std::vector<Waiting>& waiting);
  bool take_request(Waiting& client);
  bool serve(int client, std::string_view line);
  bool status(int client);
  std::string next_hop() const;
  std::string next_hops() const;
  bool list(int client, const Selection& selection);
  bool flush(int client);
  bool steer(int client, const Request& request);
  // visit(shard, message, commit) for each that is selected; it answers whether to go on.
  using Visit = std::function<bool(Shard&, const spool::QueuedMessage&, Bytes)>;
  bool each(const Selection& selection, const Visit& visit);
  bool page(Shard& shard, uint32_t& cursor, std::vector<spool::QueuedMessage>& into);
  bool find(Shard& shard, queue::MessageId id, std::vector<spool::QueuedMessage>& into);
  std::optional<Bytes> commit_of(Shard& shard, spool::QueuedMessage& row);

  std::string path_;
  observe::LogStream& log_;
  observe::Alarms& alarms_;
  spool::SegmentFiles& files_;
  queue::SegmentPool& pool_;
  const relay::NextHops& next_hops_;
  const policy::Publisher& publisher_;
  std::vector<std::unique_ptr<Shard>>& shards_;
  spool::QueueReader reader_;
  io::Fd socket_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> client_{-1};  // being served
  std::thread thread_;
};

}  // namespace mx::shard
