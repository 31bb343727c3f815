#include "engine/relay/next_hops.h"

#include <algorithm>
#include <chrono>
#include <span>

#include "engine/io/clock.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"

namespace mx::relay {
namespace {
constexpr uint64_t seed_step = uint64_t{1} << 32;  // each backend takes one of its own
constexpr size_t batch_max = 64;                   // looked up at once
constexpr Instant forever{INT64_MAX};
constexpr Duration hunger_pause = milliseconds(10);
constexpr Duration forget_pause = seconds(1);  // with none to spare, they are not gone through
}  // namespace

NextHops::NextHops(const config::RelaySettings& settings, Self self, uint64_t seed, uint32_t most)
    : ordered_(settings.ordered),
      connections_max_(settings.backend_connections),
      most_(most),
      lookup_(settings.lookup),
      self_(std::move(self)),
      seed_(seed) {}

void NextHops::hunger(Instant now) {
  int64_t again = hunger_again_us_.load(std::memory_order_relaxed);
  if (now.us < again) return;
  if (!hunger_again_us_.compare_exchange_strong(again, (now + hunger_pause).us)) return;
  hungers_.fetch_add(1, std::memory_order_release);
  if (wake_) wake_();
}

NextHops::Pointer NextHops::get(const std::vector<config::NextHop>& hosts, bool configured,
                                bool ours) {
  const std::string name = name_of(hosts);
  const size_t most = ours ? most_ : places_of_others();
  const std::lock_guard lock(mutex_);
  const auto found = hops_.find(name);
  if (found != hops_.end()) {
    if (configured) found->second.hop->set_configured(true);
    return found->second.hop;
  }
  if (!configured && hops_.size() >= most) {
    if (io::now() >= forget_again_ && forget_unused(forever) == 0)
      forget_again_ = io::now() + forget_pause;
    if (hops_.size() >= most) return nullptr;
  }
  Entry& entry = hops_[name];
  entry.due = io::now();
  entry.hop = std::make_shared<NextHop>(hosts, ordered_, connections_max_, seed_);
  seed_ += seed_step;
  crowded_ = is_crowd();
  if (configured) entry.hop->set_configured(true);
  if (entry.hop->has_names())
    news_.notify_one();
  else
    entry.hop->take(Lookup(hosts, ordered_, lookup_, self_).result());
  return entry.hop;
}

std::shared_ptr<const NextHop> NextHops::find(const std::vector<config::NextHop>& hosts) const {
  const std::lock_guard lock(mutex_);
  const auto found = hops_.find(name_of(hosts));
  return found == hops_.end() ? nullptr : found->second.hop;
}

void NextHops::gave_back() {
  const std::lock_guard lock(mutex_);
  forget_again_ = {};
}

void NextHops::now_configured(std::initializer_list<const std::vector<config::NextHop>*> these) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : hops_) {
    const auto is_it = [&](const auto* hosts) { return name_of(*hosts) == name; };
    if (entry.hop->is_configured() && std::ranges::none_of(these, is_it))
      entry.hop->set_configured(false);
  }
}

bool NextHops::crowded() {
  if (!crowded_.load(std::memory_order_relaxed)) return false;
  const std::lock_guard lock(mutex_);
  forget_unused(forever);
  return crowded_;
}

// Under the mutex: those due until then that no shard has, and only here could one be given them.
size_t NextHops::forget_unused(Instant due) {
  const size_t count = std::erase_if(hops_, [&](const auto& each) {
    const Entry& entry = each.second;
    return entry.hop.use_count() == 1 && !entry.hop->is_configured() && entry.due <= due;
  });
  crowded_ = is_crowd();
  return count;
}

std::vector<std::shared_ptr<const NextHop>> NextHops::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const NextHop>> out;
  for (const auto& [name, entry] : hops_) out.push_back(entry.hop);
  return out;
}

std::vector<NextHops::Pointer> NextHops::wait_for_due(const std::atomic<bool>& stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    const Instant now = io::now();
    Instant next = now + seconds(3600);
    forget_unused(now);
    std::vector<Entry*> due;
    for (auto& [name, entry] : hops_) {
      if (!entry.hop->has_names() || entry.looking) continue;
      if (entry.due <= now)
        due.push_back(&entry);
      else
        next = std::min(next, entry.due);
    }
    if (!due.empty() || stop) {
      const size_t count = std::min(due.size(), batch_max);
      std::ranges::partial_sort(due, due.begin() + static_cast<std::ptrdiff_t>(count), {},
                                [](const Entry* entry) {
                                  return std::pair(!entry->hop->is_configured(), entry->due.us);
                                });
      std::vector<Pointer> out;
      for (Entry* const entry : std::span(due).first(count)) {
        entry->looking = true;
        out.push_back(entry->hop);
      }
      if (due.size() > count) news_.notify_one();
      return out;
    }
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
  found->second.looking = false;
  news_.notify_one();  // this thread may have others to look up by then
}

}  // namespace mx::relay
