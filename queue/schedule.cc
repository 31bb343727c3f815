#include "queue/schedule.h"

#include <algorithm>

namespace mx::queue {

Duration Schedule::delay(uint32_t attempts) {
  const int64_t low = std::max<int64_t>(backoff_.minimal.us, 1);
  const int64_t high = std::max(backoff_.maximal.us, low);
  int64_t base = low;
  for (uint32_t i = 1; i < attempts && base < high; ++i) base = base > high / 2 ? high : base * 2;
  const int64_t from = std::max(low, base - base / 4);
  const int64_t to = std::min(high, base + base / 4);
  return {from + static_cast<int64_t>(prng_.below(static_cast<uint64_t>(to - from) + 1))};
}

void Schedule::defer(Turn turn, Instant due) {
  const auto due_ms = static_cast<uint64_t>(std::max<int64_t>(due.us + 999, 0)) / 1000;
  heap_.push_back(
      {.due_ms = due_ms & ((uint64_t{1} << 48) - 1), .attempts = turn.attempts, .id = turn.id});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

void Schedule::restore(Turn turn, WallTime next_attempt, WallTime wall_now, Instant now) {
  const Duration wait = next_attempt - wall_now;
  if (next_attempt.us == 0 || wait.us <= 0) {
    add_ready(turn);
  } else {
    defer(turn, now + std::min(wait, backoff_.maximal));
  }
}

std::optional<Turn> Schedule::next_ready(Instant now) {
  while (!heap_.empty() && heap_.front().due() <= now) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    ready_.push_back({heap_.back().id, static_cast<uint16_t>(heap_.back().attempts)});
    heap_.pop_back();
  }
  if (ready_.empty()) return std::nullopt;
  const Turn turn = ready_.front();
  ready_.pop_front();
  return turn;
}

std::optional<Instant> Schedule::next_due(Instant now) const {
  if (!ready_.empty()) return now;
  if (heap_.empty()) return std::nullopt;
  return std::max(heap_.front().due(), now);
}

void Schedule::wake_all() {
  std::sort(heap_.begin(), heap_.end(),
            [](const Waiting& a, const Waiting& b) { return later(b, a); });
  for (const Waiting& waiting : heap_)
    ready_.push_back({waiting.id, static_cast<uint16_t>(waiting.attempts)});
  heap_.clear();
}

}  // namespace mx::queue
