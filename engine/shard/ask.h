// engine/shard/ask.h - a question to a shard from a thread that may wait.
#pragma once

#include <functional>

#include "engine/shard/shard.h"
#include "engine/spool/queue_reader.h"

namespace mx::shard {

// Runs `task` on the shard's thread and waits for it, for some seconds at most; false when the
// shard does not answer. What the task touches has to outlive a task that is late: hold it in a
// shared_ptr.
[[nodiscard]] bool ask(Shard& shard, std::function<void(Shard&)> task);

// For tasks: a shard's row for the message at `info`.
spool::QueuedMessage row_of(Shard& s, const queue::MessageInfo& info);

}  // namespace mx::shard
