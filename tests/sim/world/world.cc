#include "tests/sim/world/world.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "proto/base/assert.h"

namespace mx::sim {
namespace {

World* the_world = nullptr;

}  // namespace

World::World(uint64_t seed, uint32_t segment_bytes, uint32_t segment_count,
             const DiskFaults& disk_faults)
    : prng(seed), disk(segment_bytes, segment_count, disk_faults) {
  the_world = this;
}

World& World::current() {
  MX_ASSERT(the_world != nullptr);
  return *the_world;
}

void World::after(Duration delay, std::function<void()> event) {
  at(now + delay, std::move(event));
}

void World::at(Instant when, std::function<void()> event) {
  events_.emplace(std::pair{std::max(when, now).us, ++event_number_}, std::move(event));
}

void World::note(std::string_view text) {
  const auto mix = [&](unsigned char byte) { hash = (hash ^ byte) * 1099511628211ULL; };
  for (int i = 0; i < 8; ++i) mix(static_cast<unsigned char>(now.us >> (8 * i)));
  for (const char c : text) mix(static_cast<unsigned char>(c));
  if (!tracing) return;
  std::printf("%14.6f %.*s\n", static_cast<double>(now.us) / 1e6 - 1000,
              static_cast<int>(text.size()), text.data());
}

void World::crash() {
  ++stats.crashes;
  on_crash();
  std::abort();
}

void World::wrong(const std::string& why) {
  say("WRONG: {}", why);
  on_wrong(why);
  std::abort();
}

// A crash can come before any operation, and before any completion.
void World::count_operation() {
  ++stats.operations;
  if (crash_at != 0 && stats.operations >= crash_at) {
    crash_at = 0;
    crash();
  }
}

void World::run_events() {
  while (!events_.empty() && events_.begin()->first.first <= now.us) {
    auto event = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    event();
  }
}

uint64_t World::submit(Operation operation) {
  count_operation();
  const uint64_t id = ++operation_number_;
  const Operation::Kind kind = operation.kind;
  const int fd = operation.fd;
  if (kind == Operation::Kind::receive || kind == Operation::Kind::send) {
    const ConnectionPointer connection = find(fd);
    if (connection == nullptr) wrong("an operation on a descriptor that is not open");
    uint64_t& busy = kind == Operation::Kind::send ? connection->sender : connection->receiver;
    if (busy != 0) wrong("two operations of one kind on one socket");
    busy = id;
  }
  operations_.emplace(id, std::move(operation));
  switch (kind) {
    case Operation::Kind::accept:
      accept_waiting();
      break;
    case Operation::Kind::connect:
      connect(id);
      break;
    case Operation::Kind::receive:
      try_receive(find(fd));
      break;
    case Operation::Kind::send:
      after(up_to(faults.network_us / 10), [this, id] { send_on(id); });
      break;
    case Operation::Kind::read:
    case Operation::Kind::write:
    case Operation::Kind::flush:
      after(up_to(faults.disk_us), [this, id] { perform(id); });
      break;
    case Operation::Kind::wake:
      wake_operation_ = id;  // turn() looks
      break;
  }
  return id;
}

void World::complete(uint64_t id, int32_t result, uint32_t flags) {
  const auto found = operations_.find(id);
  MX_ASSERT(found != operations_.end());
  const Operation& operation = found->second;
  if (const ConnectionPointer connection = find(operation.fd)) {
    if (connection->receiver == id) connection->receiver = 0;
    if (connection->sender == id) connection->sender = 0;
  }
  if (result < 0) ++stats.errors;
  if (operation.op.kind != io::op_ignored)
    say("  op {} slot {} -> {}", operation.op.kind, operation.op.slot, result);
  ready_.push_back({{operation.op, result, flags}, operation.fd});
  operations_.erase(found);
}

void World::ignore_completion(io::Op op, int result) {
  ready_.push_back({{op, result, 0}, -1});
}

void World::cancel(const std::function<bool(const Operation&)>& wanted, io::Op op) {
  count_operation();
  std::vector<uint64_t> found;
  for (const auto& [id, operation] : operations_) {
    const bool on_disk = operation.kind == Operation::Kind::read ||
                         operation.kind == Operation::Kind::write ||
                         operation.kind == Operation::Kind::flush;
    if (!on_disk && wanted(operation)) found.push_back(id);
  }
  for (const uint64_t id : found) {
    const size_t done = operations_.at(id).done;
    complete(id, done > 0 ? static_cast<int32_t>(done) : -ECANCELED);
  }
  ignore_completion(op, found.empty() ? -ENOENT : static_cast<int>(found.size()));
}

void World::close(int fd, io::Op op) {
  count_operation();
  if (const ConnectionPointer connection = find(fd)) shard_closes(connection);
  ::close(fd);
  ignore_completion(op, 0);
}

void World::look_at_wake() {
  const auto found = operations_.find(wake_operation_);
  if (!woken_ || found == operations_.end()) return;
  woken_ = false;
  const ssize_t n = ::read(found->second.fd, found->second.into, found->second.size);
  MX_ASSERT(n == 8);
  complete(wake_operation_, 8);
}

// Any order, but for one connection the one in which things happened: a send's completion is there
// before the answer to what was sent.
void World::shuffle_ready() {
  std::vector<size_t> places(ready_.size());
  for (size_t i = 0; i < places.size(); ++i) places[i] = i;
  for (size_t i = places.size(); i > 1; --i) std::swap(places[i - 1], places[prng.below(i)]);
  std::map<int, std::vector<size_t>> of_lane;  // the places that its completions have got
  for (size_t i = 0; i < places.size(); ++i) of_lane[ready_[i].lane].push_back(places[i]);
  std::vector<Ready> shuffled(ready_.size());
  for (auto& [lane, own] : of_lane) {
    std::sort(own.begin(), own.end());
    size_t next = 0;
    for (const Ready& each : ready_)
      if (each.lane == lane) shuffled[own[next++]] = each;
  }
  ready_ = std::move(shuffled);
}

size_t World::turn(Duration timeout, std::span<io::Completion> into) {
  ++stats.turns;
  if (on_turn) on_turn();
  now = now + up_to(20);
  const Instant until = now + timeout;
  // Now and then completions come late, and so several at once.
  const Instant linger = std::min(until, now + (prng.chance(20) ? up_to(3000) : Duration{}));
  while (true) {
    run_events();
    look_at_wake();
    const bool waits = !ready_.empty() ? now < linger : now < until;
    if (!waits) break;
    const Instant most = ready_.empty() ? until : linger;
    const Instant next = events_.empty() ? most : Instant{events_.begin()->first.first};
    now = std::max(now, std::min(next, most));
  }
  count_operation();
  shuffle_ready();
  const size_t count =
      std::min({ready_.size(), into.size(), static_cast<size_t>(faults.completions_a_turn)});
  for (size_t i = 0; i < count; ++i) into[i] = ready_[i].completion;
  ready_.erase(ready_.begin(), ready_.begin() + static_cast<ptrdiff_t>(count));
  return count;
}

}  // namespace mx::sim
