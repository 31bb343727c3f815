// engine/relay/lookups.h - a look-up thread: keeps the backends of next hops that have names as
// DNS has them.
//
// A next hop is looked up when it is new, and again when the smallest TTL on the way is over,
// within bounds. While look-ups fail, its old backends stay and it is asked for again soon. Those
// that are due are asked for together, so that a name server that is slow for one holds up the
// others by its time limit at most; there are a few of these threads, for where mail goes by
// domains that anybody can make up. Threads of their own: waiting for DNS must not hold up signals,
// reloads or mail. Threads: start() and stop() from the main thread.
#pragma once

#include <atomic>
#include <thread>

#include "engine/observe/log.h"
#include "engine/relay/next_hops.h"

namespace mx::relay {

class Lookups {
 public:
  // Both outlive it; nobody else writes to the log's stream.
  Lookups(NextHops& next_hops, observe::LogStream& log) : next_hops_(next_hops), log_(log) {}
  ~Lookups() { stop(); }

  void start();
  void stop();

 private:
  void look_up(const std::vector<NextHops::Pointer>& due);
  std::vector<dns::Answer> ask(const std::vector<dns::Question>& questions);
  void finish(NextHop& hop, const Targets& targets);

  NextHops& next_hops_;
  observe::LogStream& log_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace mx::relay
