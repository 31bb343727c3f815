// engine/relay/next_hop.h - a next hop: the backends that mail for it may go to, and how many
// connections there may be to all of them together. Shared by all shards.
//
// Each backend has its own state (backend.h). The next hop is down when none of them is up. Mail
// is spread over those of the best preference that are up; which one gets a message is the shard's
// to decide (lanes.h).
//
// When connections are scarce, a shard that has work and fewer than its equal share (or none) is
// hungry: one of a shard that has more is handed over once it has been used for a while, and
// meanwhile only the hungry get one. So new mail has its half of the turns on every shard.
//
// Where the backends come from is lookup.h; take() brings what was found. A backend that stays
// keeps its state and its connections, and while look-ups fail the old ones stay.
//
// Threads: all functions from any thread; take() from one at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/relay/backend.h"
#include "engine/relay/lookup.h"

namespace mx::relay {

using Backends = std::vector<std::shared_ptr<Backend>>;
using BackendList = std::shared_ptr<const Backends>;

// What the next hop of these hosts is called: they, as they are tried.
std::string name_of(const std::vector<config::NextHop>& hosts);

class NextHop {
 public:
  // `ordered`: hosts are tried as listed; else they share the load.
  NextHop(std::vector<config::NextHop> hosts, bool ordered, uint32_t connections_max,
          uint64_t seed);

  bool has_names() const { return has_names_; }
  const std::vector<config::NextHop>& hosts() const { return hosts_; }
  bool ordered() const { return ordered_; }
  // What a look-up has found. True: something is another.
  bool take(const Targets& targets);
  void set_backends(const std::vector<Candidate>& found);
  // main.cf names it: what a look-up says for good may be a slip there, and bounces nothing.
  void set_configured(bool is);
  bool is_configured() const { return configured_; }
  // Shards that have it as a destination. True: that was the last.
  void hold() { holders_.fetch_add(1); }
  bool let_go() { return holders_.fetch_sub(1) == 1; }
  // The look-up thread's that has it just now: failures in a row, and the last warning.
  struct Lookups {
    uint32_t failures = 0;
    std::string said;
  };
  Lookups& lookups() { return lookups_; }

  // Why there are no backends; nullptr: there are, or nothing is known yet. Status 5: mail for it
  // can't be delivered.
  struct Trouble {
    smtp::EnhancedCode code;
    std::string why;
    bool operator==(const Trouble&) const = default;
  };
  std::shared_ptr<const Trouble> trouble() const { return trouble_.load(); }
  bool refuses() const { return refuses_.load(std::memory_order_acquire); }  // status 5

  BackendList backends() const { return backends_.load(); }
  // Is another when backends() or trouble() is another.
  uint32_t version() const { return version_.load(std::memory_order_acquire); }
  bool up() const;
  // Why it is down, for people; empty: it is up, or nothing is known yet.
  std::string why_down() const;
  const std::string& name() const { return name_; }

  // What the transport that leads here says.
  void set_limits(const config::TransportLimits& limits);
  // One more connection for mail, over all backends. What is given must be returned.
  bool lease(bool hungry);
  void got_one();  // a hungry shard, and its connection is being opened
  void give_back() { connections_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t connections() const { return connections_.load(std::memory_order_relaxed); }
  uint32_t limit() const { return limit_.load(std::memory_order_relaxed); }  // 0: none
  bool is_full() const { return limit() != 0 && connections() >= limit(); }
  // Shards that have connections or work that found none, and those of them that are hungry.
  void set_user(bool is) { users_.fetch_add(is ? 1 : -1, std::memory_order_relaxed); }
  void set_hungry(bool is);
  // Of the connections that there are now, each user's part; may be 0.
  uint32_t share() const;
  // The asking shard has `own` connections, one has been used for a while: is it to be closed for
  // a hungry shard?
  bool hand_over(uint32_t own);

  // Destination rate delay: when the next delivery may begin.
  Duration rate_delay() const { return {rate_delay_us_.load(std::memory_order_relaxed)}; }
  Instant next_delivery() const { return {next_delivery_us_.load(std::memory_order_relaxed)}; }
  void delivered(Instant now);

  // What all backends take, as far as their EHLO was heard.
  bool lacks_smtputf8() const;
  uint64_t size_limit() const;  // 0: none

 private:
  void put_backends(const std::vector<Candidate>& found);
  void put_trouble(std::shared_ptr<const Trouble> trouble);

  // constant after construction
  std::vector<config::NextHop> hosts_;
  std::string name_;
  bool ordered_, has_names_ = false;
  Lookups lookups_;
  // under the mutex
  mutable std::mutex mutex_;
  BackendLimits backend_limits_;
  uint64_t seed_;
  // shared
  std::atomic<BackendList> backends_;
  std::atomic<std::shared_ptr<const Trouble>> trouble_;
  std::atomic<bool> configured_{false}, refuses_{false};
  std::atomic<uint32_t> version_{0}, holders_{0};
  std::atomic<uint32_t> limit_{0}, connections_{0};
  std::atomic<int32_t> users_{0};
  std::atomic<int32_t> hungry_{0}, handed_{0};  // handed_: on their way to the hungry
  std::atomic<int64_t> rate_delay_us_{0}, next_delivery_us_{0};
};

}  // namespace mx::relay
