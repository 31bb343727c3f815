#include "engine/spool/sync_probe.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

namespace mx::spool {
namespace {

constexpr size_t batch_bytes = 16U << 10;
constexpr size_t file_bytes = 1U << 20;
constexpr int rounds_max = 24, rounds_min = 4;
constexpr Duration time_max = seconds(2);

struct Free {
  void operator()(void* p) const { std::free(p); }
};

Duration clock_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return seconds(now.tv_sec) + microseconds(now.tv_nsec / 1000);
}

Duration median(std::vector<Duration>& times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// One batch, durable. False: errno says why.
bool write_batch(int fd, void* bytes, off_t at, bool dsync) {
  const iovec piece{bytes, batch_bytes};
  const ssize_t written = ::pwritev2(fd, &piece, 1, at, dsync ? RWF_DSYNC : 0);
  if (written >= 0 && static_cast<size_t>(written) != batch_bytes) errno = ENOSPC;
  if (written < 0 || static_cast<size_t>(written) != batch_bytes) return false;
  return dsync || ::fdatasync(fd) == 0;
}

}  // namespace

std::expected<SyncProbe, std::string> probe_sync(const SegmentFiles& files) {
  const std::string path = files.directory() + "/sync-probe";
  const auto failed = [&] {
    const std::string why = path + ": " + std::strerror(errno);
    ::unlink(path.c_str());
    return std::unexpected(why);
  };
  const int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | (files.direct() ? O_DIRECT : 0);
  const io::Fd fd(::open(path.c_str(), flags, 0600));
  const std::unique_ptr<void, Free> bytes(std::aligned_alloc(queue::block_bytes, batch_bytes));
  if (!fd || !bytes) return failed();
  std::memset(bytes.get(), 0, batch_bytes);
  for (size_t at = 0; at < file_bytes; at += batch_bytes)
    if (!write_batch(fd.get(), bytes.get(), static_cast<off_t>(at), at + batch_bytes < file_bytes))
      return failed();
  std::vector<Duration> by_fdatasync, by_dsync;
  const Duration begin = clock_now();
  off_t at = 0;
  for (int i = 0; i < rounds_max; ++i) {
    for (const bool dsync : {false, true}) {
      const Duration before = clock_now();
      if (!write_batch(fd.get(), bytes.get(), at, dsync)) return failed();
      (dsync ? by_dsync : by_fdatasync).push_back(clock_now() - before);
      at = (at + off_t{batch_bytes}) % off_t{file_bytes};
    }
    if (i + 1 >= rounds_min && clock_now() - begin > time_max) break;
  }
  ::unlink(path.c_str());
  return SyncProbe{median(by_fdatasync), median(by_dsync)};
}

config::QueueSync choose_sync(const SyncProbe& probe) {
  return probe.dsync.us * 10 < probe.fdatasync.us * 9 ? config::QueueSync::dsync
                                                      : config::QueueSync::fdatasync;
}

}  // namespace mx::spool
