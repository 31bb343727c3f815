// engine/relay/lanes.h - the backends of a next hop as one shard sees them: its own connections to
// each, and which backend gets the next message.
//
// Eligible are the backends that are up, of the best preference among those; one that lets a
// connection wait for its greeting counts only when there is no other. Among the eligible a message
// goes to the one that is delivering least, in turns when that is equal; a connection is opened to
// the one with the fewest, over all shards. A message never waits for one backend while there is an
// idle connection to another.
//
// Owner and threads: one shard. Cost: a look at each backend (a few) for a message; with one
// backend none.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/relay/next_hop.h"
#include "proto/base/limits.h"
#include "proto/base/small_vector.h"

namespace mx::relay {

struct Lane {
  explicit Lane(std::shared_ptr<Backend> to) : backend(std::move(to)) {}
  std::shared_ptr<Backend> backend;
  std::vector<uint32_t> idle;  // slots of connections
  // Connections that are not ready yet, the part of them that waits unusually long, and those that
  // are ready; deliveries.
  uint32_t opening = 0, stalled = 0, ready = 0, busy = 0;
  bool retired = false;  // its next hop has it no more
  uint32_t hopeful() const { return opening - stalled; }
};

class Lanes {
 public:
  using Choice = SmallVector<Lane*, limits::backends_max>;

  // The list is another. Those that are gone are retired and given to `gone`; their connections
  // keep them alive.
  template <typename Gone>
  void set(const Backends& backends, bool ipv4, bool ipv6, Gone&& gone);

  bool empty() const { return lanes_.empty(); }
  bool up() const;
  // Whether its connections may take the next message.
  bool is_eligible(const Lane& lane) const;
  // While the next hop has no connection left: whether another backend should have one of its.
  bool has_too_many(const Lane& lane) const;
  // Whose idle connection takes the next message; nullptr: none. `warm`: a connection to this one
  // should be opened besides, it is its turn.
  Lane* take_turn(Lane** warm);
  // To whom the next connection is opened, in this order until one has room.
  void order_to_open(Choice& out) const;
  uint32_t hopeful() const;  // connections that will be ready soon
  uint32_t connections() const;
  const std::vector<std::shared_ptr<Lane>>& all() const { return lanes_; }

 private:
  void eligible(Choice& out) const;

  std::vector<std::shared_ptr<Lane>> lanes_;
  uint32_t turn_ = 0;
};

template <typename Gone>
void Lanes::set(const Backends& backends, bool ipv4, bool ipv6, Gone&& gone) {
  std::vector<std::shared_ptr<Lane>> next;
  for (const auto& backend : backends) {
    if (!(backend->endpoint().is_ipv6() ? ipv6 : ipv4)) continue;
    std::shared_ptr<Lane> lane;
    for (const auto& old : lanes_)
      if (old->backend == backend) lane = old;
    next.push_back(lane ? lane : std::make_shared<Lane>(backend));
  }
  lanes_.swap(next);
  for (const auto& old : next) {
    bool stays = false;
    for (const auto& lane : lanes_) stays |= lane == old;
    if (stays) continue;
    old->retired = true;
    gone(*old);
  }
}

}  // namespace mx::relay
