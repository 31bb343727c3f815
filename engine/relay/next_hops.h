// engine/relay/next_hops.h - all next hops of the process: those of the configuration and those
// that transport_maps names, each with its state over all shards.
//
// Made when a route first leads there, never freed; at most limits::next_hops_max. Names are looked
// up by the main thread (refresh()), addresses at once. Threads: all functions from any thread,
// refresh() from one.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/relay/next_hop.h"

namespace mx::relay {

class NextHops {
 public:
  NextHops(uint32_t connections_max, uint64_t seed)
      : connections_max_(connections_max), seed_(seed) {}

  // The one for these hosts, tried in order; nullptr when there are too many.
  NextHop* get(const std::vector<config::NextHop>& hosts);
  // Looks up the names that were not yet, or all (blocking). What went wrong, empty when all is
  // well.
  std::string refresh(bool all);
  bool has_names() const;

 private:
  struct Entry {
    std::unique_ptr<NextHop> hop;
    bool resolved = false;
  };
  uint32_t connections_max_;
  uint64_t seed_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> hops_;  // by name
};

}  // namespace mx::relay
