// engine/relay/way.h - where mail leads, for who asks without sending any: listings and notices.
//
// Threads: all functions from any thread. Cost: look-ups in tables and a lock; not for the hot
// path.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/policy/snapshot.h"
#include "engine/relay/next_hops.h"

namespace mx::relay {

// The hosts of a next hop as policy::Route names it, in lower case if it is a domain; an empty
// list: it is none that mail can be sent to. The error says what is wrong with the text of a table.
std::expected<std::vector<config::NextHop>, std::string> hosts_of(
    std::string_view next_hop, bool by_domain, const config::RelaySettings& relay);

// "delivery temporarily suspended: " and why the next hop is down; empty: it is up, or nothing is
// known of it.
std::string suspended(const NextHop& hop);

// Why mail that is not tried waits: its next hop is down. Both arguments outlive it.
class WaitReasons {
 public:
  WaitReasons(const policy::Snapshot& snapshot, const NextHops& next_hops);
  // `address` in wire form. Empty: as suspended().
  std::string of(std::string_view address) const;

 private:
  using Pointer = std::shared_ptr<const NextHop>;
  Pointer next_hop(std::string_view address) const;

  const policy::Snapshot& snapshot_;
  const NextHops& next_hops_;
  Pointer relay_, default_;
};

}  // namespace mx::relay
