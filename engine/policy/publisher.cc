#include "engine/policy/publisher.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/base/assert.h"

namespace mx::policy {

struct Publisher::Held {
  std::unique_ptr<const Snapshot> snapshot;
  Held* next = nullptr;
};

Publisher::Publisher() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  MX_ASSERT(static_cast<bool>(wake_));
}

Publisher::~Publisher() {
  newest_.reset();
  free_retired();
  MX_ASSERT(alive() == 0);
}

SnapshotPointer Publisher::publish(std::unique_ptr<const Snapshot> snapshot) {
  MX_ASSERT(alive() < alive_max);
  const Snapshot* const object = snapshot.get();
  Held* const held = std::make_unique<Held>(std::move(snapshot)).release();
  SnapshotPointer pointer(object, [this, held](const Snapshot*) { retire(held); });
  alive_.fetch_add(1, std::memory_order_relaxed);
  publications_.fetch_add(1, std::memory_order_relaxed);
  SnapshotPointer old = pointer;
  {
    const std::lock_guard lock(mutex_);
    newest_.swap(old);
  }
  return pointer;
}

SnapshotPointer Publisher::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

// The last reference is gone; on whichever thread that was.
void Publisher::retire(Held* held) {
  held->next = retired_.load(std::memory_order_relaxed);
  while (!retired_.compare_exchange_weak(held->next, held, std::memory_order_release,
                                         std::memory_order_relaxed)) {
  }
  wake();
}

void Publisher::wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then it is readable.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void Publisher::free_retired() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t taken = ::read(wake_.get(), &count, sizeof count);
  Held* next = retired_.exchange(nullptr, std::memory_order_acquire);
  while (next != nullptr) {
    const std::unique_ptr<Held> held(next);
    next = held->next;
    alive_.fetch_sub(1, std::memory_order_relaxed);
  }
}

}  // namespace mx::policy
