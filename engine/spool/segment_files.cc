#include "engine/spool/segment_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "engine/io/crash_point.h"
#include "engine/spool/flush_group.h"
#include "proto/base/assert.h"

namespace mx::spool {
namespace {

constexpr size_t write_bytes = 1U << 20;
constexpr size_t read_bytes = 1U << 20;

std::unexpected<std::string> failed(const std::string& what) {
  return std::unexpected(what + ": " + std::strerror(errno));
}

std::expected<void, std::string> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failed(path);
  return {};
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

struct AlignedFree {
  void operator()(void* p) const { std::free(p); }
};

}  // namespace

SegmentFiles::SegmentFiles(std::string queue_directory, queue::Geometry geometry)
    : directory_(std::move(queue_directory) + "/segments"),
      geometry_(geometry),
      fds_(geometry.segment_count) {}

std::string SegmentFiles::path_of(uint32_t segment) const {
  char name[32];
  std::snprintf(name, sizeof name, "/seg-%06u", segment);
  return directory_ + name;
}

std::expected<void, std::string> SegmentFiles::open(Access access) {
  const bool read_only = access == Access::read_only;
  const std::string parent = directory_.substr(0, directory_.rfind('/'));
  const std::unexpected<std::string> no_queue(
      parent + ": holds no queue (is its file system mounted? is it the right main.cf?)");
  if (access == Access::create) {
    if (auto made = make_directory(parent); !made) return made;
    if (auto made = make_directory(directory_); !made) return made;
  }
  directory_fd_ = io::Fd(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_fd_) return errno == ENOENT ? no_queue : failed(directory_);
  if (!read_only && ::flock(directory_fd_.get(), LOCK_EX | LOCK_NB) != 0)
    return std::unexpected(directory_ + ": in use by another ringmx");
  uint32_t count = 0;
  while (count < geometry_.segment_count && ::access(path_of(count).c_str(), F_OK) == 0) {
    if (auto opened = open_segment(count, read_only); !opened) return opened;
    ++count;
  }
  if (auto rest = check_no_segment_from(count); !rest) return rest;
  if (count == 0 && access != Access::create) return no_queue;
  if (!read_only && ::fsync(directory_fd_.get()) != 0) return failed(directory_);
  existing_.store(count, std::memory_order_release);
  return {};
}

// Segments are numbered without a gap, below the configured number. Anything else would be mail
// that nobody reads, or that a new segment would take the place of.
std::expected<void, std::string> SegmentFiles::check_no_segment_from(uint32_t count) const {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(directory_.c_str()));
  if (!directory) return failed(directory_);
  while (const dirent* entry = ::readdir(directory.get())) {
    unsigned number = 0;
    int used = 0;
    if (std::sscanf(entry->d_name, "seg-%6u%n", &number, &used) != 1 ||
        entry->d_name[used] != '\0' || number < count)
      continue;
    const std::string name = directory_ + "/" + entry->d_name;
    if (count == geometry_.segment_count)
      return std::unexpected(
          name + ": is beyond ringmx_queue_size_limit (" + std::to_string(count) +
          " segments): a queue can grow but not shrink; set the limit as it was");
    return std::unexpected(name + ": is there, but " + path_of(count) +
                           " before it is missing: restore it, or move the queue away");
  }
  return {};
}

std::expected<void, std::string> SegmentFiles::open_segment(uint32_t segment, bool read_only) {
  const std::string path = path_of(segment);
  const int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
  io::Fd fd(::open(path.c_str(), flags | (direct_ ? O_DIRECT : 0)));
  if (!fd && errno == EINVAL && direct_) {
    direct_ = false;
    fd = io::Fd(::open(path.c_str(), flags));
  }
  if (!fd) return failed(path);
  struct stat facts;
  if (::fstat(fd.get(), &facts) != 0) return failed(path);
  if (facts.st_size != geometry_.segment_bytes)
    return std::unexpected(path + ": has " + std::to_string(facts.st_size) +
                           " bytes, but ringmx_segment_size is " +
                           std::to_string(geometry_.segment_bytes) +
                           ": a queue keeps the segment size that it was made with");
  if (!read_only && ::fsync(fd.get()) != 0) return failed(path);
  fds_[segment] = std::move(fd);
  return {};
}

std::expected<void, std::string> SegmentFiles::make_segment(uint32_t segment) {
  const std::string path = path_of(segment);
  const std::string temporary = path + ".new";
  // Without room it would fail in the middle, having taken the last of it from others.
  struct statvfs room;
  if (::fstatvfs(directory_fd_.get(), &room) == 0 &&
      uint64_t{room.f_bavail} * room.f_frsize < geometry_.segment_bytes) {
    errno = ENOSPC;
    return failed(temporary);
  }
  const int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC;
  io::Fd fd(::open(temporary.c_str(), flags | (direct_ ? O_DIRECT : 0), 0600));
  if (!fd && errno == EINVAL && direct_) {
    direct_ = false;
    fd = io::Fd(::open(temporary.c_str(), flags, 0600));
  }
  if (!fd) return failed(temporary);
  const size_t step = std::min<size_t>(write_bytes, geometry_.segment_bytes);
  const std::unique_ptr<void, AlignedFree> zeros(std::aligned_alloc(queue::block_bytes, step));
  MX_ASSERT(zeros != nullptr);
  std::memset(zeros.get(), 0, step);
  for (size_t at = 0; at < geometry_.segment_bytes; at += step) {
    const ssize_t n = ::pwrite(fd.get(), zeros.get(), step, static_cast<off_t>(at));
    if (n >= 0 && static_cast<size_t>(n) != step) errno = ENOSPC;
    if (n < 0 || static_cast<size_t>(n) != step) {
      auto error = failed(temporary);
      ::unlink(temporary.c_str());
      return error;
    }
  }
  if (::fsync(fd.get()) != 0) return failed(temporary);
  io::crash_point(io::CrashPoint::segment_file_written);
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0)
    return failed(path);
  io::crash_point(io::CrashPoint::segment_file_renamed);
  if (::fsync(directory_fd_.get()) != 0) return failed(directory_);
  fds_[segment] = std::move(fd);
  return {};
}

std::expected<void, std::string> SegmentFiles::make(uint32_t count) {
  count = std::min(count, geometry_.segment_count);
  const uint32_t first = existing();
  for (uint32_t segment = first; segment < count; ++segment) {
    if (auto made = make_segment(segment); !made) {
      // Blank as they are they go again: a queue can't shrink, and whoever now chooses a smaller
      // one would be refused.
      for (uint32_t blank = first; blank < segment; ++blank) ::unlink(path_of(blank).c_str());
      return made;
    }
    existing_.store(segment + 1, std::memory_order_release);
  }
  return {};
}

bool SegmentFiles::make_next(queue::SegmentPool& pool, std::string* why) {
  const uint32_t segment = existing();
  if (segment >= geometry_.segment_count) return false;
  if (auto made = make_segment(segment); !made) {
    *why = made.error();
    return false;
  }
  existing_.store(segment + 1, std::memory_order_release);
  pool.add_blank(segment);
  return true;
}

// O_DIRECT wants aligned memory; the caller's need not be.
int64_t SegmentFiles::read(uint32_t segment, uint32_t offset, MutableBytes into) {
  if (segment >= geometry_.segment_count || !fds_[segment]) return 0;
  const size_t step = std::min(read_bytes, into.size());
  const std::unique_ptr<void, AlignedFree> bounce(std::aligned_alloc(queue::block_bytes, step));
  if (!bounce) return -ENOMEM;
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t n = ::pread(fds_[segment].get(), bounce.get(), std::min(step, into.size() - done),
                              static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) break;
    std::memcpy(into.data() + done, bounce.get(), static_cast<size_t>(n));
    done += static_cast<size_t>(n);
  }
  return static_cast<int64_t>(done);
}

bool SegmentFiles::one_flush_for_all() const {
  for (uint32_t i = 0; i < existing(); ++i)
    if (!shares_flush(fds_[i].get(), geometry_.segment_bytes)) return false;
  return true;
}

}  // namespace mx::spool
