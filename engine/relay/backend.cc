#include "engine/relay/backend.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/base/prng.h"

namespace mx::relay {
namespace {

constexpr Duration probe_first = seconds(1);  // doubles up to
constexpr Duration probe_last = seconds(60);
constexpr uint32_t doublings_max = 6;
// One that was heard from so shortly before a connection failed is not down.
constexpr Duration heard_margin = seconds(2);
// heard_us_ is not written more often than this: many shards read it.
constexpr Duration heard_step = milliseconds(100);
// After the window shrank nothing more is asked for so long.
constexpr Duration growth_pause = seconds(1);
constexpr uint32_t credit_unit = 1000;  // of Feedback::thousandths

// The part of one more connection that a success is worth.
uint32_t credit_of(config::Feedback growth, uint32_t window) {
  switch (growth.by) {
    case config::Feedback::By::number:
      return growth.thousandths;
    case config::Feedback::By::concurrency:
      return growth.thousandths / std::max(window, 1U);
    case config::Feedback::By::sqrt_concurrency:
      return static_cast<uint32_t>(growth.thousandths / std::sqrt(std::max(window, 1U)));
  }
  MX_ASSERT(false);
}

}  // namespace

Backend::Backend(Candidate candidate, const BackendLimits& limits, uint64_t seed)
    : candidate_(std::move(candidate)),
      number_(static_cast<uint8_t>(seed % UINT8_MAX + 1)),
      jitter_(seed),
      preference_(candidate_.preference),
      connections_max_(limits.connections_max),
      initial_(limits.initial),
      growth_(limits.growth),
      heard_us_(INT64_MIN / 2),
      window_(0) {
  window_ = window_initial();
}

void Backend::set_limits(const BackendLimits& limits) {
  connections_max_ = limits.connections_max;
  initial_ = limits.initial;
  growth_ = limits.growth;
  // One that had no traffic yet begins with what is said now.
  if (connections() == 0 && heard_us_ < 0) window_ = window_initial();
}

uint32_t Backend::window_initial() const {
  return std::max(1U, std::min(initial_.load(), connections_max_.load()));
}

std::optional<Backend::Period> Backend::lease() {
  const Period period = period_.load(std::memory_order_acquire);
  if (!up()) return std::nullopt;
  const uint32_t limit = std::min(connections_max_.load(std::memory_order_relaxed), window());
  if (connections_.fetch_add(1, std::memory_order_relaxed) >= limit) {
    connections_.fetch_sub(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return period;
}

std::optional<Backend::Period> Backend::lease_probe(Instant now) {
  if (state() != State::down || now < probe_at()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (state() != State::down || now < probe_at()) return std::nullopt;
  state_ = State::probing;
  connections_.fetch_add(1, std::memory_order_relaxed);
  return period_.load(std::memory_order_relaxed);
}

std::optional<Backend::Period> Backend::lease_check(Instant now, Duration silence) {
  const Period period = period_.load(std::memory_order_acquire);
  if (!up() || now < silent_since() + silence) return std::nullopt;
  int64_t checked = checked_us_.load(std::memory_order_relaxed);
  if (now < Instant{checked} + silence) return std::nullopt;
  if (!checked_us_.compare_exchange_strong(checked, now.us)) return std::nullopt;
  connections_.fetch_add(1, std::memory_order_relaxed);
  return period;
}

void Backend::give_back(bool was_ready) {
  if (was_ready) ready_.fetch_sub(1, std::memory_order_relaxed);
  const uint32_t before = connections_.fetch_sub(1, std::memory_order_relaxed);
  MX_ASSERT(before > 0);
}

Instant Backend::silent_since() const {
  return {std::max(heard_us_.load(std::memory_order_relaxed),
                   checked_us_.load(std::memory_order_relaxed))};
}

bool Backend::ready(Instant now, const smtp::Capabilities& said) {
  ready_.fetch_add(1, std::memory_order_relaxed);
  // Read at every EHLO of ours, written when it is another.
  if (lacks_smtputf8() == said.smtputf8) lacks_smtputf8_ = !said.smtputf8;
  if (size_limit() != said.size_limit) size_limit_ = said.size_limit;
  return heard(now);
}

bool Backend::heard(Instant now) {
  if (now.us - heard_us_.load(std::memory_order_relaxed) >= heard_step.us) heard_us_ = now.us;
  if (up()) return false;
  const std::lock_guard lock(mutex_);
  if (up()) return false;
  go_up(now);
  return true;
}

void Backend::delivered(Instant now) {
  if (now.us - heard_us_.load(std::memory_order_relaxed) >= heard_step.us) heard_us_ = now.us;
  const uint32_t window = this->window();
  if (window >= connections_max_.load(std::memory_order_relaxed)) return;
  // It grows only as far as it is used.
  if (window >= connections() + initial_.load(std::memory_order_relaxed)) return;
  if (now.us < growth_from_us_.load(std::memory_order_relaxed)) return;
  const uint32_t credit = growth_credit_.load(std::memory_order_relaxed) +
                          credit_of(growth_.load(std::memory_order_relaxed), window);
  growth_credit_.store(credit % credit_unit, std::memory_order_relaxed);
  // Two at once may count as one: it is a ramp, not an account.
  if (credit >= credit_unit) window_.store(window + 1, std::memory_order_relaxed);
}

bool Backend::failed(Instant now, Period period, Instant begun, const void* by,
                     std::string_view why) {
  const std::lock_guard lock(mutex_);
  if (period != period_.load(std::memory_order_relaxed)) return false;
  if (state() == State::up) {
    const uint32_t ready = ready_.load(std::memory_order_relaxed);
    if (ready > 0 && heard_us_.load(std::memory_order_relaxed) >= (begun - heard_margin).us) {
      window_ = std::min(window(), ready);
      growth_from_us_ = (now + growth_pause).us;
      return false;
    }
    go_down(now, by, why);
    return true;
  }
  if (state() == State::probing) go_down(now, by, why);
  return false;
}

void Backend::go_up(Instant now) {
  failures_ = 0;
  why_.clear();
  window_ = window_initial();
  growth_credit_ = 0;
  growth_from_us_ = 0;
  probe_at_us_ = 0;
  since_us_ = now.us;
  period_.fetch_add(1, std::memory_order_release);
  state_ = State::up;
}

// Also from down to down, by a probe that failed: the same period, a longer wait.
void Backend::go_down(Instant now, const void* by, std::string_view why) {
  why_ = why.substr(0, limits::defer_reason_bytes_max);
  const uint32_t failures = failures_.fetch_add(1, std::memory_order_relaxed);
  const Duration wait =
      std::min(probe_first * (int64_t{1} << std::min(failures, doublings_max)), probe_last);
  Prng prng(jitter_++);
  const auto spread = static_cast<int64_t>(prng.below(static_cast<uint64_t>(wait.us / 4) + 1));
  const bool was_up = up();
  by_ = by;
  probe_at_us_ = (now + wait).us + spread;
  state_.store(State::down, std::memory_order_release);
  if (!was_up) return;
  since_us_ = now.us;
  // Behind the state: who sees this period in lease() sees that it is down.
  period_.fetch_add(1, std::memory_order_release);
}

std::string Backend::why_down() const {
  const std::lock_guard lock(mutex_);
  return why_;
}

void Backend::probe_now(Instant now, const void* by) {
  if (up()) return;
  const std::lock_guard lock(mutex_);
  if (state() != State::down) return;
  by_ = by;
  failures_ = 0;
  if (probe_at() > now) probe_at_us_ = now.us;
}

}  // namespace mx::relay
