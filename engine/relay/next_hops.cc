#include "engine/relay/next_hops.h"

#include <algorithm>
#include <chrono>

#include "engine/io/clock.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"

namespace mx::relay {
namespace {
constexpr uint64_t seed_step = uint64_t{1} << 32;  // each backend takes one of its own
}  // namespace

NextHops::NextHops(const config::RelaySettings& settings, Self self, uint64_t seed)
    : ordered_(settings.ordered),
      connections_max_(settings.backend_connections),
      lookup_(settings.lookup),
      self_(std::move(self)),
      seed_(seed) {}

NextHop* NextHops::get(const std::vector<config::NextHop>& hosts, bool configured) {
  std::string name;
  for (const config::NextHop& host : hosts) name += (name.empty() ? "" : ", ") + host.text;
  const std::lock_guard lock(mutex_);
  const auto found = hops_.find(name);
  if (found != hops_.end()) {
    if (configured) found->second.hop->set_configured();
    return found->second.hop.get();
  }
  if (hops_.size() == limits::next_hops_max) return nullptr;
  Entry& entry = hops_[name];
  entry.hop = std::make_unique<NextHop>(hosts, ordered_, connections_max_, seed_);
  seed_ += seed_step;
  if (configured) entry.hop->set_configured();
  if (entry.hop->has_names())
    news_.notify_all();
  else
    entry.hop->take(Lookup(hosts, ordered_, lookup_, self_).result());
  return entry.hop.get();
}

std::vector<const NextHop*> NextHops::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<const NextHop*> out;
  for (const auto& [name, entry] : hops_) out.push_back(entry.hop.get());
  return out;
}

std::vector<NextHop*> NextHops::wait_for_due(const std::atomic<bool>& stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    const Instant now = io::now();
    Instant next = now + seconds(3600);
    std::vector<NextHop*> due;
    for (const auto& [name, entry] : hops_) {
      if (!entry.hop->has_names()) continue;
      if (entry.due <= now) due.push_back(entry.hop.get());
      next = std::min(next, entry.due);
    }
    if (!due.empty() || stop) return due;
    news_.wait_for(lock, std::chrono::microseconds((next - now).us));
  }
}

void NextHops::wake_up() {
  const std::lock_guard lock(mutex_);
  news_.notify_all();
}

void NextHops::looked_up(const NextHop& hop, Instant again) {
  const std::lock_guard lock(mutex_);
  const auto found = hops_.find(hop.name());
  MX_ASSERT(found != hops_.end());
  found->second.due = again;
}

}  // namespace mx::relay
