// engine/relay/next_hop.h - the state of a next hop, shared by all shards: its addresses, whether
// it is up, and how many connections there may be.
//
// Destinations, not messages, wait: while the next hop is down, connections are refused here until
// its timer is over, then one probe is let through; queued messages cost nothing meanwhile. After a
// recovery the number of connections ramps up with each success.
//
// Threads: all functions from any thread; atomics, the address list by atomic pointer.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/config/settings.h"
#include "engine/io/endpoint.h"
#include "proto/base/prng.h"
#include "proto/base/time.h"

namespace mx::relay {

struct Candidate {
  io::Endpoint endpoint;
  std::string text;  // "host[1.2.3.4]:25", as in log lines
};
using Candidates = std::shared_ptr<const std::vector<Candidate>>;

class NextHop {
 public:
  NextHop(std::vector<config::NextHop> hosts, uint32_t connections_max, uint64_t seed);

  // Looks the hosts' addresses up (blocking: the main thread's work, or before the shards run).
  // When nothing is found the old list stays. Returns what went wrong, empty when all is well.
  std::string resolve();
  bool needs_resolving() const { return has_names_; }
  Candidates candidates() const { return candidates_.load(); }

  enum class Lease : uint8_t { none, connection, probe };
  // Asks for one more connection. What is given must be returned by give_back().
  Lease lease(Instant now);
  void give_back() { connections_.fetch_sub(1, std::memory_order_relaxed); }
  // What became of it. True when the state changed (the caller logs).
  bool reached();
  bool failed(Instant now, Lease lease);
  void delivered();  // the ramp goes on
  // While down: the next probe may go at once.
  void probe_now(Instant now);

  bool up() const { return down_until_us_.load(std::memory_order_relaxed) == 0; }
  // When the next probe may go; only meaningful while down.
  Instant retry_at() const { return {down_until_us_.load(std::memory_order_relaxed)}; }
  uint32_t connections() const { return connections_.load(std::memory_order_relaxed); }
  const std::string& name() const { return name_; }

 private:
  // constant after construction
  std::vector<config::NextHop> hosts_;
  uint32_t connections_max_;
  std::string name_;
  bool has_names_ = false;
  // shared
  std::atomic<Candidates> candidates_;
  std::atomic<uint32_t> connections_{0};
  std::atomic<uint32_t> window_;
  std::atomic<uint32_t> failures_{0};
  std::atomic<int64_t> down_until_us_{0};  // 0: up
  std::atomic<bool> probing_{false};
  std::atomic<uint64_t> jitter_;
};

}  // namespace mx::relay
