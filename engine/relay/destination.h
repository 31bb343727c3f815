// engine/relay/destination.h - a next hop as one shard sees it: what waits for it, and its lanes.
//
// Those that the configuration names stay. Others come with the first mail for them and go when
// they have been idle for a while: mail that goes by the domain of its recipient leads to as many
// as there are domains. Owner and threads: one shard.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "engine/relay/lanes.h"
#include "engine/relay/next_hop.h"
#include "queue/message_id.h"
#include "queue/schedule.h"

namespace mx::relay {

// Destination::number of some, sorted: a message may have a thousand.
using Places = SmallVector<uint32_t, 4>;
inline bool contains(const Places& places, uint32_t number) {
  return std::ranges::binary_search(places, number);
}
inline void include(Places& places, uint32_t number) {
  const auto at = std::ranges::lower_bound(places, number);
  if (at != places.end() && *at == number) return;
  const auto offset = at - places.begin();
  places.push_back(number);
  std::rotate(places.begin() + offset, places.end() - 1, places.end());
}

// A message that is to be tried; there may be a million.
struct Work {
  queue::MessageId id;
  uint32_t message_slot = UINT32_MAX;  // in Spool::messages(), or not in memory
  uint16_t attempts = 0;               // see queue::Turn
  // The backend (its number) whose answer was "later" in this attempt, or 0: only another one of
  // the next hop is worth it.
  uint8_t tried = 0;
  bool went_back = false;  // an idle connection was closed when it was given this
  std::unique_ptr<Places> visited = nullptr;  // where it has been in this attempt; null: nowhere
};
static_assert(sizeof(Work) <= 24);

// A message for several next hops of which none was up, and its number among those.
struct Undecided : queue::Turn {
  uint64_t number;
};

struct Destination {
  Destination(std::shared_ptr<NextHop> next_hop, uint32_t own_number)
      : shared(std::move(next_hop)), hop(*shared), number(own_number) {}

  const std::shared_ptr<NextHop> shared;
  NextHop& hop;
  const uint32_t number;  // nobody else's, ever
  std::deque<Work> fresh;
  std::deque<queue::Turn> retries;
  std::deque<Work> waited;  // was new while the next hop was down
  std::deque<Work> again;   // once more at another backend, in the same attempt
  std::deque<Work>* const works[3] = {&fresh, &waited, &again};
  Lanes lanes;
  uint32_t version = 0;  // of the hop's backends, that lanes are of
  uint32_t delivering = 0;
  uint32_t connections = 0;  // also those that are being closed
  Instant used;              // mail was routed to it
  uint64_t awaited = 0;      // the number of the last undecided message that it is a next hop of
  // Named by hand (main.cf, transport_maps): looked after, whether or not there is mail for it.
  bool watched = false;
  bool told = false;    // its alarms are: it is watched, or a domain of relay_domains
  bool active = false;  // has a turn at the end of each turn of the loop
  bool goes = false;    // is being dropped
  Instant waits_since;  // its mail does, because it is down; 0: it is not
  bool fresh_turn = true;
  // Has connections, or work that found none; has less than its share of them.
  bool uses = false, hungry = false;

  // Its names have not been looked up yet.
  bool is_new() const { return hop.version() == 0; }
  bool has_work() const {
    return !fresh.empty() || !retries.empty() || !waited.empty() || !again.empty();
  }
};

}  // namespace mx::relay
