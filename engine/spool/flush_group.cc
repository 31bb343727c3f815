#include "engine/spool/flush_group.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <utility>

#include "proto/base/assert.h"

namespace mx::spool {

FlushGroup::Member::Member(FlushGroup& group, std::function<void()> wake)
    : group_(group), wake_(std::move(wake)) {
  const std::lock_guard lock(group_.mutex_);
  group_.members_.push_back(this);
}

FlushGroup::Member::~Member() {
  const std::lock_guard lock(group_.mutex_);
  MX_ASSERT(state_ == State::idle && !settling_);
  std::erase(group_.members_, this);
}

void FlushGroup::begin_write(Member& member) {
  const std::lock_guard lock(mutex_);
  MX_ASSERT(member.state_ == State::idle);
  member.state_ = State::writing;
  ++writing_;
}

int FlushGroup::end_write(Member& member) {
  const std::lock_guard lock(mutex_);
  if (member.state_ != State::writing) return nothing;
  member.state_ = State::idle;
  --writing_;
  return start();
}

int FlushGroup::request(Member& member, int fd) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(member.state_, State::waiting) == State::writing) --writing_;
  ++waiting_;
  member.fd_ = fd;
  return start();
}

// Under the mutex. The flush covers those whose write is complete, and no others.
int FlushGroup::start() {
  if (flying_ || waiting_ == 0 || writing_ > 0 || unsettled_ > 0) return nothing;
  int fd = nothing;
  for (Member* member : members_) {
    if (member->state_ != State::waiting) continue;
    member->state_ = State::covered;
    fd = member->fd_;
  }
  flying_ = true;
  waiting_ = 0;
  return fd;
}

void FlushGroup::flushed(int result) {
  const std::lock_guard lock(mutex_);
  MX_ASSERT(flying_);
  flying_ = false;
  for (Member* member : members_) {
    if (member->state_ != State::covered) continue;
    member->state_ = State::done;
    member->result_ = result;
    ++unsettled_;
    member->wake_();
  }
}

std::optional<int> FlushGroup::take(Member& member) {
  const std::lock_guard lock(mutex_);
  if (member.state_ != State::done) return std::nullopt;
  member.state_ = State::idle;
  member.settling_ = true;
  return member.result_;
}

int FlushGroup::settled(Member& member) {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(member.settling_, false)) return nothing;
  --unsettled_;
  return start();
}

bool may_share(int directory_fd) {
  struct statfs facts{};
  if (::fstatfs(directory_fd, &facts) != 0) return false;
  // EXT4_SUPER_MAGIC is that of ext2 and ext3, too: served by the same driver.
  return facts.f_type == EXT4_SUPER_MAGIC || facts.f_type == XFS_SUPER_MAGIC;
}

}  // namespace mx::spool
