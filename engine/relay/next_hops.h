// engine/relay/next_hops.h - all next hops of the process: those of the configuration, those that
// transport_maps names, and the domains that mail goes to, each with its state over all shards.
//
// Made when a route first leads there; one that no shard has any more is forgotten, unless main.cf
// names it. At most limits::next_hops_max, and those of main.cf. Names are looked up by the look-up
// threads (lookups.h), addresses at once. Threads: all functions from any thread, but on_change()
// before the shards run.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/relay/next_hop.h"
#include "proto/base/limits.h"

namespace mx::relay {

class NextHops {
 public:
  using Pointer = std::shared_ptr<NextHop>;

  NextHops(const config::RelaySettings& settings, Self self, uint64_t seed,
           uint32_t most = limits::next_hops_max);

  // Called when mail that waits may find a way now: wakes all shards.
  void on_change(std::function<void()> wake) { wake_ = std::move(wake); }
  void changed() {
    changes_.fetch_add(1, std::memory_order_release);
    if (wake_) wake_();
  }
  // How often that was; what a shard saw before it may be otherwise when this is another.
  uint64_t changes() const { return changes_.load(std::memory_order_acquire); }

  // A shard has mail and no connection: whoever has idle ones is woken, not more than each 10 ms.
  void hunger(Instant now);
  uint64_t hungers() const { return hungers_.load(std::memory_order_acquire); }

  // The one for these hosts; nullptr when there are too many. `configured`: main.cf names them, and
  // they have a place. A quarter of the places is for `ours`: what else a person named, and our
  // domains.
  // Shards keep what they are given as long as they have mail for it, or had some lately.
  Pointer get(const std::vector<config::NextHop>& hosts, bool configured, bool ours = true);
  // Nobody is given a place by that; nullptr: there is none.
  std::shared_ptr<const NextHop> find(const std::vector<config::NextHop>& hosts) const;
  // A shard let some go: there may be one for another now.
  void gave_back();
  // After a reload: main.cf names these, and no others any more.
  void now_configured(std::initializer_list<const std::vector<config::NextHop>*> these);
  std::vector<std::shared_ptr<const NextHop>> all() const;
  // Few are left, also without those that no shard has: shards should give back what they can do
  // without.
  bool crowded();
  const config::LookupSettings& lookup_settings() const { return lookup_; }
  const Self& self() const { return self_; }

  // Those that have to be looked up now, main.cf's first, then in the order in which they came due;
  // waits for one until `stop` and wake_up(). Nobody else gets them before looked_up().
  std::vector<Pointer> wait_for_due(const std::atomic<bool>& stop);
  void wake_up();
  void looked_up(const NextHop& hop, Instant again);

 private:
  struct Entry {
    Pointer hop;
    Instant due;           // to be looked up (again)
    bool looking = false;  // that is under way
  };
  size_t forget_unused(Instant due);
  size_t places_of_others() const { return most_ / 4 * 3; }
  bool is_crowd() const { return hops_.size() > places_of_others() / 8 * 7; }

  // constant while the shards run
  bool ordered_;
  uint32_t connections_max_;
  size_t most_;
  config::LookupSettings lookup_;
  Self self_;
  std::function<void()> wake_;
  // under the mutex
  mutable std::mutex mutex_;
  std::condition_variable news_;
  uint64_t seed_;
  std::map<std::string, Entry> hops_;  // by name
  Instant forget_again_;               // not before, since none could be forgotten
  // shared
  std::atomic<uint64_t> changes_{0}, hungers_{0};
  std::atomic<int64_t> hunger_again_us_{0};  // not before
  std::atomic<bool> crowded_{false};
};

}  // namespace mx::relay
