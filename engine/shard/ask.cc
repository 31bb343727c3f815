#include "engine/shard/ask.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace mx::shard {
namespace {

constexpr auto shard_timeout = std::chrono::seconds(10);

}  // namespace

bool ask(Shard& shard, std::function<void(Shard&)> task) {
  struct Done {
    std::mutex mutex;
    std::condition_variable told;
    bool done = false;
  };
  const auto state = std::make_shared<Done>();
  const bool posted = shard.post([state, task = std::move(task)](Shard& s) {
    const std::lock_guard lock(state->mutex);
    task(s);
    state->done = true;
    state->told.notify_all();
  });
  if (!posted) return false;
  std::unique_lock lock(state->mutex);
  return state->told.wait_for(lock, shard_timeout, [&] { return state->done; });
}

spool::QueuedMessage row_of(Shard& s, const queue::MessageInfo& info) {
  spool::QueuedMessage row{info, {}, std::string(s.index().reason(info.id))};
  for (uint32_t r = s.index().next_pending(info.id, 0); r != queue::Index::none;
       r = s.index().next_pending(info.id, r + 1))
    row.pending.push_back(r);
  return row;
}

}  // namespace mx::shard
