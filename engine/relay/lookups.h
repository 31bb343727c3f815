// engine/relay/lookups.h - the look-up thread: keeps the backends of next hops that have names as
// DNS has them.
//
// A next hop is looked up when it is new, and again when the smallest TTL on the way is over,
// within bounds. While look-ups fail, its old backends stay and it is asked for again soon. All
// that are due are asked for at once, so that a name server that is slow for one holds up the
// others by its time limit at most. A thread of its own: waiting for DNS must not hold up signals,
// reloads or mail. Threads: start() and stop() from the
// main thread.
#pragma once

#include <atomic>
#include <map>
#include <string>
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
  void look_up(const std::vector<NextHop*>& due);
  std::vector<dns::Answer> ask(const std::vector<dns::Question>& questions);
  void finish(NextHop& hop, const Targets& targets);

  NextHops& next_hops_;
  observe::LogStream& log_;
  std::map<const NextHop*, uint32_t> failures_;  // in a row
  std::map<const NextHop*, std::string> said_;   // the last warning
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace mx::relay
