#include "engine/spool/flush_group.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "proto/base/assert.h"

namespace mx::spool {
namespace {

constexpr uint32_t extents_at_once = 64;

// All of it is written, and nobody shares a block with it.
bool is_plain(int fd, uint64_t bytes) {
  alignas(fiemap) std::byte room[sizeof(fiemap) + extents_at_once * sizeof(fiemap_extent)];
  constexpr uint32_t wrong = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC |
                             FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_NOT_ALIGNED |
                             FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_UNWRITTEN |
                             FIEMAP_EXTENT_SHARED;
  uint64_t at = 0;
  while (at < bytes) {
    std::memset(room, 0, sizeof room);
    auto* const map = reinterpret_cast<fiemap*>(room);
    map->fm_start = at;
    map->fm_length = bytes - at;
    map->fm_extent_count = extents_at_once;
    if (::ioctl(fd, FS_IOC_FIEMAP, map) != 0 || map->fm_mapped_extents == 0) return false;
    for (uint32_t i = 0; i < map->fm_mapped_extents; ++i) {
      const fiemap_extent& extent = map->fm_extents[i];
      if (extent.fe_logical > at || (extent.fe_flags & wrong) != 0) return false;
      at = extent.fe_logical + extent.fe_length;
    }
  }
  return true;
}

}  // namespace

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

bool shares_flush(int fd, uint64_t bytes) {
  struct statfs facts{};
  // EXT4_SUPER_MAGIC is that of ext2 and ext3, too: served by the same driver.
  if (::fstatfs(fd, &facts) != 0 ||
      (facts.f_type != EXT4_SUPER_MAGIC && facts.f_type != XFS_SUPER_MAGIC))
    return false;
  struct statx about{};
  if (::syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &about) != 0 ||
      (about.stx_mask & STATX_DIOALIGN) == 0 || about.stx_dio_offset_align == 0)
    return false;
  return is_plain(fd, bytes);
}

}  // namespace mx::spool
