#include "engine/spool/sync_probe.h"

#include <fcntl.h>
#include <fmt/format.h>
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
// Below it two flushes one after the other are soon over, and waiting for each other costs more.
constexpr Duration shared_flush_min = milliseconds(1);

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

std::expected<SyncChoice, std::string> choose_sync(const SegmentFiles& files,
                                                   const config::QueueSettings& settings,
                                                   uint32_t shards) {
  using config::QueueFlush, config::QueueSync;
  const bool shareable = files.direct() && files.one_flush_for_all();
  if (settings.flush == QueueFlush::together && !shareable)
    return std::unexpected("ringmx_queue_flush = together: " + files.directory() +
                           " is not on ext4 or xfs with O_DIRECT, its data is "
                           "journaled, or its files are copies with blocks missing or shared");
  QueueFlush flush = shareable && shards > 1 ? settings.flush : QueueFlush::each;
  QueueSync sync =
      files.direct() || settings.sync == QueueSync::dsync ? settings.sync : QueueSync::fdatasync;
  if (sync == QueueSync::dsync) flush = QueueFlush::each;
  SyncChoice choice;
  if (sync == QueueSync::automatic || flush == QueueFlush::automatic) {
    const auto probe = probe_sync(files);
    choice.measured = probe ? fmt::format(" (16 KiB: fdatasync {} us, dsync {} us)",
                                          probe->fdatasync.us, probe->dsync.us)
                            : " (" + probe.error() + ")";
    if (flush == QueueFlush::automatic)
      flush =
          probe && probe->fdatasync >= shared_flush_min ? QueueFlush::together : QueueFlush::each;
    if (sync == QueueSync::automatic)
      sync = probe && flush == QueueFlush::each && probe->dsync.us * 10 < probe->fdatasync.us * 9
                 ? QueueSync::dsync
                 : QueueSync::fdatasync;
  }
  choice.dsync = sync == QueueSync::dsync;
  choice.together = flush == QueueFlush::together;
  return choice;
}

}  // namespace mx::spool
