// engine/relay/backend.h - one address of a next hop: whether it is up, how many connections there
// may be, and what its EHLO said. Shared by all shards.
//
//   up       connections are leased, up to a window that ramps up with each success
//   down     none, until its timer is over; queued messages cost nothing meanwhile
//   probing  one connection sees whether it is back
//
// A connection that fails takes it down, unless it was heard from while that was tried: then it has
// all the connections that it wants, and the window shrinks to those. A failed probe doubles the
// time to the next one, with jitter. A period is the time in one of up or down: what was begun in
// an earlier one says nothing about this one when it fails.
//
// Threads: all functions from any thread. Changes of state under a mutex (rare), all else atomics.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "engine/config/settings.h"
#include "engine/io/endpoint.h"
#include "proto/base/time.h"
#include "proto/smtp/client.h"

namespace mx::relay {

// What a look-up finds: one address.
struct Candidate {
  io::Endpoint endpoint;
  std::string text;         // "host[1.2.3.4]:25", as in log lines
  uint32_t preference = 0;  // lower is tried first; equal ones share the load
};

// Connections to one backend.
struct BackendLimits {
  uint32_t connections_max = 100;  // ringmx_backend_connections
  uint32_t initial = 5;            // initial_destination_concurrency: where the window begins
  config::Feedback growth;         // default_destination_concurrency_positive_feedback
};

class Backend {
 public:
  enum class State : uint8_t { up, down, probing };
  using Period = uint32_t;

  Backend(Candidate candidate, const BackendLimits& limits, uint64_t seed);
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  const io::Endpoint& endpoint() const { return candidate_.endpoint; }
  const std::string& text() const { return candidate_.text; }
  // Among those of its next hop; never 0. (After 255 backends they come again.)
  uint8_t number() const { return number_; }
  uint32_t preference() const { return preference_.load(std::memory_order_relaxed); }
  void set_preference(uint32_t preference) { preference_ = preference; }
  void set_limits(const BackendLimits& limits);

  // Each asks for one connection; what is given must be returned by give_back().
  std::optional<Period> lease();                   // for mail: it is up, and there is room
  std::optional<Period> lease_probe(Instant now);  // it is down, and its time has come
  // It is up, and nothing was heard of it for so long: one asker gets it.
  std::optional<Period> lease_check(Instant now, Duration silence);
  void give_back(bool was_ready);

  // Greeting and EHLO are done; see give_back(). True: it was not up until now.
  bool ready(Instant now, const smtp::Capabilities& said);
  // It answered. True: it was not up until now.
  bool heard(Instant now);
  // A message has been dealt with: the ramp goes on.
  void delivered(Instant now);
  // A connection of that period was begun at `begun` and did not get as far as EHLO; `why` is for
  // people. True: it was up until now, and `by` is the one who has its timer.
  bool failed(Instant now, Period period, Instant begun, const void* by, std::string_view why = {});
  // Of the last that failed, while it is down.
  std::string why_down() const;
  // While down: the next probe may go at once, and is `by`'s. The waits begin anew: each shard asks
  // for one of its own, and who asked for them all is there to see it come up.
  void probe_now(Instant now, const void* by);
  // Connections that wait unusually long for its greeting: others are tried first.
  void stalled(bool more) { stalled_.fetch_add(more ? 1 : -1, std::memory_order_relaxed); }

  State state() const { return state_.load(std::memory_order_relaxed); }
  bool up() const { return state() == State::up; }
  bool is_stalled() const { return stalled_.load(std::memory_order_relaxed) > 0; }
  // While down: when the next probe may go, and whose it is.
  Instant probe_at() const { return {probe_at_us_.load(std::memory_order_relaxed)}; }
  bool is_timed_by(const void* by) const { return by_.load(std::memory_order_relaxed) == by; }
  // When lease_check() may give one.
  Instant silent_since() const;
  Instant since() const { return {since_us_.load(std::memory_order_relaxed)}; }
  uint32_t connections() const { return connections_.load(std::memory_order_relaxed); }
  uint32_t window() const { return window_.load(std::memory_order_relaxed); }
  // In a row, since probe_now().
  uint32_t failures() const { return failures_.load(std::memory_order_relaxed); }

  // What its last EHLO said; before the first: that it takes everything.
  bool lacks_smtputf8() const { return lacks_smtputf8_.load(std::memory_order_relaxed); }
  uint64_t size_limit() const { return size_limit_.load(std::memory_order_relaxed); }  // 0: none

 private:
  void go_up(Instant now);
  void go_down(Instant now, const void* by, std::string_view why);
  uint32_t window_initial() const;

  // constant after construction
  Candidate candidate_;
  uint8_t number_;
  // under the mutex
  mutable std::mutex mutex_;
  uint64_t jitter_;
  std::string why_;
  // shared
  std::atomic<uint32_t> preference_;
  std::atomic<uint32_t> connections_max_, initial_;
  std::atomic<config::Feedback> growth_;
  std::atomic<State> state_{State::up};
  std::atomic<Period> period_{0};
  std::atomic<const void*> by_{nullptr};
  std::atomic<int64_t> probe_at_us_{0}, since_us_{0};
  std::atomic<int64_t> heard_us_, checked_us_{0}, growth_from_us_{0};
  std::atomic<uint32_t> connections_{0}, ready_{0}, window_, growth_credit_{0}, failures_{0};
  std::atomic<int32_t> stalled_{0};
  std::atomic<bool> lacks_smtputf8_{false};
  std::atomic<uint64_t> size_limit_{0};
};

}  // namespace mx::relay
