#include "engine/relay/next_hops.h"

#include "proto/base/limits.h"

namespace mx::relay {
namespace {
constexpr uint64_t seed_step = uint64_t{1} << 32;  // each backend takes one of its own
}  // namespace

NextHop* NextHops::get(const std::vector<config::NextHop>& hosts) {
  std::string name;
  for (const config::NextHop& host : hosts) name += (name.empty() ? "" : ", ") + host.text;
  const std::lock_guard lock(mutex_);
  const auto found = hops_.find(name);
  if (found != hops_.end()) return found->second.hop.get();
  if (hops_.size() == limits::next_hops_max) return nullptr;
  Entry& entry = hops_[name];
  entry.hop = std::make_unique<NextHop>(hosts, ordered_, connections_max_, seed_);
  seed_ += seed_step;
  if (!entry.hop->needs_resolving()) {
    entry.hop->resolve();
    entry.resolved = true;
  }
  return entry.hop.get();
}

std::string NextHops::refresh(bool all) {
  std::vector<NextHop*> due;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [name, entry] : hops_) {
      if (!entry.hop->needs_resolving() || (entry.resolved && !all)) continue;
      entry.resolved = true;
      due.push_back(entry.hop.get());
    }
  }
  std::string errors;
  bool another = false;
  for (NextHop* hop : due) {
    const uint32_t version = hop->version();
    const std::string error = hop->resolve();
    if (!error.empty()) errors += (errors.empty() ? "" : "; ") + error;
    another |= hop->version() != version;
  }
  if (another) changed();
  return errors;
}

bool NextHops::has_names() const {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : hops_)
    if (entry.hop->needs_resolving()) return true;
  return false;
}

std::vector<const NextHop*> NextHops::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<const NextHop*> out;
  for (const auto& [name, entry] : hops_) out.push_back(entry.hop.get());
  return out;
}

}  // namespace mx::relay
