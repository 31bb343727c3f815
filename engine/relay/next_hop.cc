#include "engine/relay/next_hop.h"

#include <algorithm>
#include <ranges>

#include "proto/base/assert.h"
#include "proto/base/limits.h"

namespace mx::relay {
namespace {

Candidate candidate_of(const Target& target) {
  Candidate candidate;
  const std::string ip = to_string(target.address);
  const auto endpoint = io::parse_endpoint(ip, target.port);
  MX_ASSERT(endpoint.has_value());
  candidate.endpoint = *endpoint;
  candidate.text = target.host + "[" + ip + "]:" + std::to_string(target.port);
  candidate.preference = target.rank;
  return candidate;
}

}  // namespace

std::string name_of(const std::vector<config::NextHop>& hosts) {
  std::string name;
  for (const config::NextHop& host : hosts) name += (name.empty() ? "" : ", ") + host.text;
  return name;
}

NextHop::NextHop(std::vector<config::NextHop> hosts, bool ordered, uint32_t connections_max,
                 uint64_t seed)
    : hosts_(std::move(hosts)),
      name_(name_of(hosts_)),
      ordered_(ordered),
      seed_(seed),
      backends_(std::make_shared<const Backends>()) {
  backend_limits_.connections_max = connections_max;
  for (const config::NextHop& host : hosts_) has_names_ |= !host.is_address;
}

bool NextHop::take(const Targets& targets) {
  const std::lock_guard lock(mutex_);
  const uint32_t before = version();
  std::shared_ptr<const Trouble> trouble;
  if (targets.list.empty()) {
    if (targets.code.status == 4 && !backends()->empty()) return false;
    trouble = std::make_shared<const Trouble>(Trouble{targets.code, targets.why});
  }
  std::vector<Candidate> found;
  for (const Target& target : targets.list) found.push_back(candidate_of(target));
  put_backends(found);
  put_trouble(std::move(trouble));
  return version() != before;
}

void NextHop::set_configured(bool is) {
  const std::lock_guard lock(mutex_);
  configured_ = is;
  put_trouble(trouble());
}

// Under the mutex.
void NextHop::put_trouble(std::shared_ptr<const Trouble> trouble) {
  if (configured_ && trouble != nullptr && trouble->code.status == 5)
    trouble = std::make_shared<const Trouble>(Trouble{{4, 3, 5}, trouble->why});
  const auto old = trouble_.exchange(trouble);
  refuses_.store(trouble != nullptr && trouble->code.status == 5, std::memory_order_release);
  const bool same = old == nullptr ? trouble == nullptr : trouble != nullptr && *old == *trouble;
  if (!same) version_.fetch_add(1, std::memory_order_release);
}

void NextHop::set_backends(const std::vector<Candidate>& found) {
  const std::lock_guard lock(mutex_);
  put_backends(found);
}

// Under the mutex. The text says address and port, and so who it is. The first of several alike
// counts.
void NextHop::put_backends(const std::vector<Candidate>& found) {
  const BackendList old = backends();
  auto list = std::make_shared<Backends>();
  for (const Candidate& candidate : found) {
    const auto is_it = [&](const auto& b) { return b->text() == candidate.text; };
    if (list->size() == limits::backends_max) break;
    if (std::ranges::any_of(*list, is_it)) continue;
    if (const auto kept = std::ranges::find_if(*old, is_it); kept != old->end()) {
      (*kept)->set_preference(candidate.preference);
      list->push_back(*kept);
    } else {
      list->push_back(std::make_shared<Backend>(candidate, backend_limits_, ++seed_));
    }
  }
  if (*list == *old) return;
  backends_.store(BackendList(std::move(list)));
  version_.fetch_add(1, std::memory_order_release);
}

bool NextHop::up() const {
  return std::ranges::any_of(*backends(), [](const auto& b) { return b->up(); });
}

std::string NextHop::why_down() const {
  if (up()) return {};
  for (const auto& backend : *backends())
    if (std::string why = backend->why_down(); !why.empty()) return why;
  const auto trouble = this->trouble();
  return trouble == nullptr ? "" : trouble->why;
}

// With one recipient a transaction Postfix's limits are for each mailbox, not for the host.
void NextHop::set_limits(const config::TransportLimits& limits) {
  const bool by_mailbox = limits.recipients == 1;
  limit_ = limits.rate_delay.us > 0 ? 1 : by_mailbox ? 0 : limits.concurrency;
  rate_delay_us_ = limits.rate_delay.us;
  const std::lock_guard lock(mutex_);
  backend_limits_.initial = limits.initial;
  backend_limits_.growth = limits.growth;
  for (const auto& backend : *backends()) backend->set_limits(backend_limits_);
}

bool NextHop::lease(bool hungry) {
  if (!hungry && handed_.load(std::memory_order_relaxed) > 0) return false;
  const uint32_t most = limit();
  if (connections_.fetch_add(1, std::memory_order_relaxed) >= (most == 0 ? UINT32_MAX : most)) {
    connections_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  return true;
}

void NextHop::got_one() {
  const std::lock_guard lock(mutex_);
  handed_ = std::max(handed_ - 1, 0);
}

void NextHop::set_hungry(bool is) {
  const std::lock_guard lock(mutex_);
  hungry_ += is ? 1 : -1;
  handed_ = std::min(handed_.load(), hungry_.load());
}

uint32_t NextHop::share() const {
  return connections() / static_cast<uint32_t>(std::max(1, users_.load(std::memory_order_relaxed)));
}

bool NextHop::hand_over(uint32_t own) {
  if (hungry_.load(std::memory_order_relaxed) <= handed_.load(std::memory_order_relaxed))
    return false;
  if (own <= share()) return false;
  const std::lock_guard lock(mutex_);
  if (hungry_ <= handed_) return false;
  ++handed_;
  return true;
}

void NextHop::delivered(Instant now) {
  if (const Duration delay = rate_delay(); delay.us > 0) next_delivery_us_ = (now + delay).us;
}

bool NextHop::lacks_smtputf8() const {
  return std::ranges::any_of(*backends(), [](const auto& b) { return b->lacks_smtputf8(); });
}

uint64_t NextHop::size_limit() const {
  uint64_t least = 0;
  for (const auto& backend : *backends()) {
    const uint64_t limit = backend->size_limit();
    if (limit != 0 && (least == 0 || limit < least)) least = limit;
  }
  return least;
}

}  // namespace mx::relay
