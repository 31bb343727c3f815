// engine/relay/next_hops.h - all next hops of the process: those of the configuration and those
// that transport_maps names, each with its state over all shards.
//
// Made when a route first leads there, never freed; at most limits::next_hops_max. Names are looked
// up by the look-up thread (lookups.h), addresses at once. Threads: all functions from any thread,
// but wait_for_due() and looked_up() from one, on_change() before the shards run.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/relay/next_hop.h"

namespace mx::relay {

class NextHops {
 public:
  NextHops(const config::RelaySettings& settings, Self self, uint64_t seed);

  // Called when mail that waits may find a way now: wakes all shards.
  void on_change(std::function<void()> wake) { wake_ = std::move(wake); }
  void changed() const {
    if (wake_) wake_();
  }

  // The one for these hosts; nullptr when there are too many. `configured`: main.cf names them.
  NextHop* get(const std::vector<config::NextHop>& hosts, bool configured);
  std::vector<const NextHop*> all() const;
  const config::LookupSettings& lookup_settings() const { return lookup_; }
  const Self& self() const { return self_; }

  // Those that have to be looked up now; waits for one until `stop` and wake_up().
  std::vector<NextHop*> wait_for_due(const std::atomic<bool>& stop);
  void wake_up();
  void looked_up(const NextHop& hop, Instant again);

 private:
  struct Entry {
    std::unique_ptr<NextHop> hop;
    Instant due;  // to be looked up (again)
  };
  // constant while the shards run
  bool ordered_;
  uint32_t connections_max_;
  config::LookupSettings lookup_;
  Self self_;
  std::function<void()> wake_;
  // under the mutex
  mutable std::mutex mutex_;
  std::condition_variable news_;
  uint64_t seed_;
  std::map<std::string, Entry> hops_;  // by name
};

}  // namespace mx::relay
