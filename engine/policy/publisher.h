// engine/policy/publisher.h - which snapshots there are: the newest, and those that somebody still
// holds.
//
// Whoever drops the last reference to an old snapshot is usually a shard, and freeing hundreds of
// megabytes would hold it up. So the last reference only puts the snapshot on a list (a few
// instructions and one write to an eventfd), and the thread that made it frees it. At most
// alive_max snapshots may be alive; who publishes waits for that. Threads: newest() and the figures
// from any; the rest from the publishing thread. Must outlive every SnapshotPointer.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "engine/io/fd.h"
#include "engine/policy/snapshot.h"

namespace mx::policy {

class Publisher {
 public:
  static constexpr uint32_t alive_max = 4;

  Publisher();
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // REQUIRES: alive() < alive_max.
  SnapshotPointer publish(std::unique_ptr<const Snapshot> snapshot);
  SnapshotPointer newest() const;

  uint32_t alive() const { return alive_.load(std::memory_order_relaxed); }
  uint64_t publications() const { return publications_.load(std::memory_order_relaxed); }

  // Readable when a snapshot waits to be freed, or after wake().
  int wake_fd() const { return wake_.get(); }
  void wake();  // from any thread
  void free_retired();

 private:
  struct Held;
  void retire(Held* held);

  io::Fd wake_;
  mutable std::mutex mutex_;  // of newest_
  SnapshotPointer newest_;
  std::atomic<Held*> retired_{nullptr};
  std::atomic<uint32_t> alive_{0};
  std::atomic<uint64_t> publications_{0};
};

// The same object under a reference count of its own: those who take and drop references all the
// time (sessions of one shard) do not share a cache line with others.
template <typename T>
std::shared_ptr<T> with_own_count(std::shared_ptr<T> pointer) {
  T* const object = pointer.get();
  return {std::make_shared<std::shared_ptr<T>>(std::move(pointer)), object};
}

}  // namespace mx::policy
