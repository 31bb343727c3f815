#include "engine/relay/next_hop.h"

#include <netdb.h>

#include <algorithm>
#include <cstring>

namespace mx::relay {
namespace {

constexpr uint32_t window_initial = 5;        // initial_destination_concurrency
constexpr Duration probe_first = seconds(1);  // doubles up to
constexpr Duration probe_last = seconds(60);

std::string candidate_text(const config::NextHop& host, const io::Endpoint& endpoint) {
  std::string text = host.host + "[";
  text += endpoint.ip_text().view();
  return text + "]:" + std::to_string(host.port);
}

std::string resolve_name(const config::NextHop& host, std::vector<Candidate>* into) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(host.host.c_str(), std::to_string(host.port).c_str(), &hints, &found);
  if (error != 0) return host.text + ": " + ::gai_strerror(error);
  for (const addrinfo* at = found; at; at = at->ai_next) {
    Candidate candidate;
    std::memcpy(&candidate.endpoint.address, at->ai_addr, at->ai_addrlen);
    candidate.endpoint.length = at->ai_addrlen;
    candidate.text = candidate_text(host, candidate.endpoint);
    into->push_back(std::move(candidate));
  }
  ::freeaddrinfo(found);
  return "";
}

}  // namespace

NextHop::NextHop(std::vector<config::NextHop> hosts, uint32_t connections_max, uint64_t seed)
    : hosts_(std::move(hosts)),
      connections_max_(connections_max),
      candidates_(std::make_shared<const std::vector<Candidate>>()),
      window_(window_initial),
      jitter_(seed) {
  for (const config::NextHop& host : hosts_) {
    name_ += (name_.empty() ? "" : ", ") + host.text;
    has_names_ |= !host.is_address;
  }
}

std::string NextHop::resolve() {
  auto list = std::make_shared<std::vector<Candidate>>();
  std::string errors;
  for (const config::NextHop& host : hosts_) {
    if (!host.is_address) {
      const std::string error = resolve_name(host, list.get());
      if (!error.empty()) errors += (errors.empty() ? "" : "; ") + error;
      continue;
    }
    const auto endpoint = io::parse_endpoint(host.host, host.port);
    if (endpoint)
      list->push_back({*endpoint, candidate_text(host, *endpoint)});
    else
      errors += endpoint.error();
  }
  if (!list->empty()) candidates_.store(Candidates(std::move(list)));
  return errors;
}

NextHop::Lease NextHop::lease(Instant now) {
  const int64_t until = down_until_us_.load(std::memory_order_acquire);
  if (until != 0) {
    if (now.us < until || probing_.exchange(true)) return Lease::none;
    connections_.fetch_add(1, std::memory_order_relaxed);
    return Lease::probe;
  }
  const uint32_t limit = std::min(connections_max_, window_.load(std::memory_order_relaxed));
  if (connections_.fetch_add(1, std::memory_order_relaxed) >= limit) {
    connections_.fetch_sub(1, std::memory_order_relaxed);
    return Lease::none;
  }
  return Lease::connection;
}

bool NextHop::reached() {
  failures_.store(0, std::memory_order_relaxed);
  probing_.store(false);
  return down_until_us_.exchange(0) != 0;
}

// Connections that were opened together fail together: that is one failure, and the timer that the
// first of them has set stays. Only a probe's failure lengthens it.
bool NextHop::failed(Instant now, Lease lease) {
  if (lease == Lease::connection && !up()) return false;
  const uint32_t failures = failures_.fetch_add(1, std::memory_order_relaxed);
  const Duration wait = std::min(probe_first * (int64_t{1} << std::min(failures, 6U)), probe_last);
  Prng prng(jitter_.fetch_add(1, std::memory_order_relaxed));
  const int64_t spread = static_cast<int64_t>(prng.below(static_cast<uint64_t>(wait.us / 4) + 1));
  window_.store(window_initial, std::memory_order_relaxed);
  const int64_t before = down_until_us_.exchange((now + wait).us + spread);
  probing_.store(false);
  return before == 0;
}

void NextHop::probe_now(Instant now) {
  int64_t until = down_until_us_.load(std::memory_order_relaxed);
  if (until > now.us) down_until_us_.compare_exchange_strong(until, now.us);
}

void NextHop::delivered() {
  const uint32_t window = window_.load(std::memory_order_relaxed);
  if (window < connections_max_) window_.store(window + 1, std::memory_order_relaxed);
}

}  // namespace mx::relay
