#include "engine/session/client_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace mx::session {

ClientTable::ClientTable(size_t clients, uint64_t seed)
    : seed_(seed), sets_(std::bit_ceil(std::max<size_t>(2 * clients / set_entries, locks))) {}

// The finalizer of MurmurHash3 over the seeded halves: cheap, and not to be steered without the
// seed.
size_t ClientTable::set_of(const IpAddress& client) const {
  uint64_t halves[2];
  std::memcpy(halves, client.bytes.data(), sizeof halves);
  uint64_t hash = seed_ ^ (client.v6 ? 1U : 0U);
  for (const uint64_t half : halves) {
    hash ^= half;
    hash = (hash ^ (hash >> 33)) * 0xFF51AFD7ED558CCDULL;
    hash = (hash ^ (hash >> 33)) * 0xC4CEB9FE1A85EC53ULL;
    hash = (hash ^ (hash >> 33)) + seed_;
  }
  return hash & (sets_.size() - 1);
}

ClientTable::Entry* ClientTable::find(Set& set, const IpAddress& client) {
  for (Entry& entry : set)
    if (entry.used && entry.client == client) return &entry;
  return nullptr;
}

ClientTable::Entry* ClientTable::free_entry(Set& set, Duration window, Instant now) {
  for (Entry& entry : set)
    if (!entry.used || (entry.open == 0 && entry.window_start + window < now)) return &entry;
  return nullptr;
}

ClientTable::Figures ClientTable::count(const IpAddress& client, Event event, Duration window,
                                        Instant now) {
  const size_t at = set_of(client);
  const std::lock_guard lock(mutexes_[at % locks]);
  Entry* entry = find(sets_[at], client);
  if (entry == nullptr) {
    entry = free_entry(sets_[at], window, now);
    if (entry == nullptr) {
      not_counted_.fetch_add(1, std::memory_order_relaxed);
      return {};
    }
    *entry = {};
    entry->client = client;
    entry->window_start = now;
    entry->used = true;
  }
  if (entry->window_start + window < now) {
    entry->window_start = now;
    entry->events = {};
  }
  if (event == Event::connection) ++entry->open;
  uint32_t& rate = entry->events[static_cast<size_t>(event)];
  if (rate < UINT32_MAX) ++rate;
  return {entry->open, rate};
}

void ClientTable::close(const IpAddress& client) {
  const size_t at = set_of(client);
  const std::lock_guard lock(mutexes_[at % locks]);
  Entry* entry = find(sets_[at], client);
  if (entry != nullptr && entry->open > 0) --entry->open;
}

}  // namespace mx::session
