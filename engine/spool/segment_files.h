// engine/spool/segment_files.h - the files behind the segment pool:
// QUEUE_DIRECTORY/segments/seg-000000 ….
//
// Made once, written full of zeros under another name, synced, renamed, directory synced; from then
// on only overwritten in place, so that a flush never has metadata to commit. Opened with O_DIRECT;
// where the file system has none (tmpfs) buffered writes with fdatasync are used and said. At open
// every file and the directory are synced before anything is read: what is believed is on the disk.
//
// Threads: start() and the blocking reads belong to one thread before the shards run; fd() is
// constant after a segment has been opened and safe from any thread; make_rest() is the body of a
// background thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "engine/io/fd.h"
#include "queue/device.h"
#include "queue/segment_pool.h"

namespace mx::spool {

class SegmentFiles final : public queue::SegmentReader {
 public:
  SegmentFiles(std::string queue_directory, queue::Geometry geometry);

  enum class Access : uint8_t {
    read_only,  // nothing is written, nothing locked
    alone,      // locked: another ringmx on this queue is an error
    create,     // the same, and directories are made; else a place without a queue is an error
  };
  // Opens the segments that exist and, to write to them, syncs them. The error names file and
  // reason.
  std::expected<void, std::string> open(Access access);
  // Makes segments until `count` exist, for a start. On an error those that it made go again.
  std::expected<void, std::string> make(uint32_t count);
  // Makes one more and tells the pool; false when all exist or on an error (logged by the caller as
  // `why`).
  bool make_next(queue::SegmentPool& pool, std::string* why);

  uint32_t existing() const { return existing_.load(std::memory_order_acquire); }
  bool direct() const { return direct_; }
  // A flush of one segment makes what was written to all of them durable (flush_group.h).
  bool one_flush_for_all() const;
  int fd(uint32_t segment) const { return fds_[segment].get(); }
  const queue::Geometry& geometry() const { return geometry_; }
  const std::string& directory() const { return directory_; }
  std::string path_of(uint32_t segment) const;

  int64_t read(uint32_t segment, uint32_t offset, MutableBytes into) override;

 private:
  std::expected<void, std::string> open_segment(uint32_t segment, bool read_only);
  std::expected<void, std::string> make_segment(uint32_t segment);
  std::expected<void, std::string> check_no_segment_from(uint32_t count) const;

  std::string directory_;
  queue::Geometry geometry_;
  bool direct_ = true;
  io::Fd directory_fd_;
  std::vector<io::Fd> fds_;
  std::atomic<uint32_t> existing_{0};
};

}  // namespace mx::spool
