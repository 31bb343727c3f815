// engine/session/client_table.h - how many connections, messages and recipients each client has
// brought: what smtpd_client_*_limit are compared with. One table for the process: a client's
// connections are spread over all shards.
//
// A client is an address prefix. Rates are counted as Postfix's anvil(8) does: in windows that
// begin with the first event after the one before is over. The table has a fixed size: sets of
// entries found by a keyed hash, and a lock for a group of sets. An entry without open connections
// whose window is over is free again. When a set is full of others, a further client is not
// counted, and so never refused: the limits are against one client that does too much, not against
// many.
//
// Threads: any. Cost: one uncontended lock and at most 16 comparisons an event; no allocation.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "proto/base/ip_address.h"
#include "proto/base/time.h"

namespace mx::session {

class ClientTable {
 public:
  enum class Event : uint8_t { connection, message, recipient };

  // For at least `clients` at once; `seed` keeps others from choosing addresses that share a set.
  ClientTable(size_t clients, uint64_t seed);

  // What is counted of the client, with this one; zeros: it is not counted.
  struct Figures {
    uint32_t open = 0;  // connections now
    uint32_t rate = 0;  // of the event, in this window
  };
  // Event::connection opens one; each that has open > 0 is ended by close().
  Figures count(const IpAddress& client, Event event, Duration window, Instant now);
  void close(const IpAddress& client);

  uint64_t not_counted() const { return not_counted_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    IpAddress client;
    uint32_t open = 0;
    std::array<uint32_t, 3> events{};
    Instant window_start;
    bool used = false;
  };
  static constexpr size_t set_entries = 16;
  static constexpr size_t locks = 64;
  using Set = std::array<Entry, set_entries>;

  size_t set_of(const IpAddress& client) const;
  static Entry* find(Set& set, const IpAddress& client);
  static Entry* free_entry(Set& set, Duration window, Instant now);

  uint64_t seed_;
  std::vector<Set> sets_;  // a power of two
  std::array<std::mutex, locks> mutexes_;
  std::atomic<uint64_t> not_counted_{0};
};

}  // namespace mx::session
