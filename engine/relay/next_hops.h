// engine/relay/next_hops.h - all next hops of the process: those of the configuration and those
// that transport_maps names, each with its state over all shards.
//
// Made when a route first leads there, never freed; at most limits::next_hops_max. Names are looked
// up by the main thread (refresh()), addresses at once. Threads: all functions from any thread,
// refresh() from one, on_change() before the shards run.
#pragma once

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
  NextHops(bool ordered, uint32_t connections_max, uint64_t seed)
      : ordered_(ordered), connections_max_(connections_max), seed_(seed) {}

  // Called when mail that waits may find a way now: wakes all shards.
  void on_change(std::function<void()> wake) { wake_ = std::move(wake); }
  void changed() const {
    if (wake_) wake_();
  }

  // The one for these hosts; nullptr when there are too many.
  NextHop* get(const std::vector<config::NextHop>& hosts);
  // Looks up the names that were not yet, or all (blocking). What went wrong, empty when all is
  // well.
  std::string refresh(bool all);
  bool has_names() const;
  std::vector<const NextHop*> all() const;

 private:
  struct Entry {
    std::unique_ptr<NextHop> hop;
    bool resolved = false;
  };
  // constant while the shards run
  bool ordered_;
  uint32_t connections_max_;
  std::function<void()> wake_;
  // under the mutex
  mutable std::mutex mutex_;
  uint64_t seed_;
  std::map<std::string, Entry> hops_;  // by name
};

}  // namespace mx::relay
