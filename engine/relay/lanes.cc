#include "engine/relay/lanes.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace mx::relay {
namespace {

uint32_t connections_to(const Lane* lane) {
  return lane->backend->connections();
}

}  // namespace

bool Lanes::up() const {
  return std::ranges::any_of(lanes_, [](const auto& lane) { return lane->backend->up(); });
}

uint32_t Lanes::hopeful() const {
  return std::accumulate(lanes_.begin(), lanes_.end(), 0U,
                         [](uint32_t sum, const auto& lane) { return sum + lane->hopeful(); });
}

uint32_t Lanes::connections() const {
  return std::accumulate(lanes_.begin(), lanes_.end(), 0U, [](uint32_t sum, const auto& lane) {
    return sum + lane->opening + lane->ready;
  });
}

void Lanes::eligible(Choice& out) const {
  std::pair<bool, uint32_t> best{true, UINT32_MAX};  // lets connections wait, preference
  for (const auto& lane : lanes_) {
    const Backend& backend = *lane->backend;
    if (!backend.up()) continue;
    const std::pair<bool, uint32_t> rank{backend.is_stalled(), backend.preference()};
    if (rank > best) continue;
    if (rank < best) out.clear();
    best = rank;
    out.push_back(lane.get());
  }
}

bool Lanes::is_eligible(const Lane& lane) const {
  if (lane.retired || !lane.backend->up()) return false;
  if (lanes_.size() == 1) return true;
  Choice choice;
  eligible(choice);
  return std::ranges::find(choice, &lane) != choice.end();
}

bool Lanes::has_too_many(const Lane& lane) const {
  if (lanes_.size() == 1) return false;
  Choice choice;
  eligible(choice);
  const bool is_choice = std::ranges::find(choice, &lane) != choice.end();
  return std::ranges::any_of(choice, [&](const Lane* other) {
    const uint32_t has = connections_to(other);
    return other != &lane && has < other->backend->window() &&
           (!is_choice || has + 1 < connections_to(&lane));
  });
}

Lane* Lanes::take_turn(Lane** warm) {
  *warm = nullptr;
  if (lanes_.size() == 1) {
    Lane* const only = lanes_.front().get();
    return only->idle.empty() || !only->backend->up() ? nullptr : only;
  }
  Choice choice;
  eligible(choice);
  if (choice.empty()) return nullptr;
  ++turn_;
  Lane* first = nullptr;
  Lane* idle = nullptr;
  bool served = false;
  for (uint32_t i = 0; i < choice.size(); ++i) {
    Lane* const lane = choice[(i + turn_) % choice.size()];
    served |= lane->ready > 0;
    if (first == nullptr || lane->busy < first->busy) first = lane;
    if (!lane->idle.empty() && (idle == nullptr || lane->busy < idle->busy)) idle = lane;
  }
  if (!first->idle.empty()) return first;
  if (first->hopeful() == 0) *warm = first;
  if (idle != nullptr || served) return idle;
  // None of the best is there yet: one of the others serves until then.
  for (const auto& lane : lanes_)
    if (!lane->idle.empty() && lane->backend->up()) return lane.get();
  return nullptr;
}

void Lanes::order_to_open(Choice& out) const {
  eligible(out);
  // A few: sorted by insertion, which allocates nothing and keeps turns among equals.
  std::rotate(out.begin(), out.begin() + (out.empty() ? 0 : turn_ % out.size()), out.end());
  for (uint32_t i = 1; i < out.size(); ++i)
    for (uint32_t k = i; k > 0 && connections_to(out[k]) < connections_to(out[k - 1]); --k)
      std::swap(out[k], out[k - 1]);
}

}  // namespace mx::relay
