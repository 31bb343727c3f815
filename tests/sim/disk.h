// tests/sim/disk.h - a disk with a volatile cache, for crash tests. What is written is pending
// until the segment is flushed; at a crash each pending sector arrives or not by itself (torn,
// reordered, lost), or is left as garbage. A failed flush loses pending sectors in the same way and
// forgets them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "proto/base/bytes.h"
#include "proto/base/prng.h"
#include "queue/device.h"
#include "queue/format.h"

namespace mx::sim {

struct DiskFaults {
  uint32_t sector_bytes = 512;
  uint32_t arrives_percent = 50;  // of the pending sectors, at a crash
  uint32_t garbage_percent = 0;   // of the sectors that did not arrive
};

class Disk final : public queue::SegmentReader {
 public:
  Disk(uint32_t segment_bytes, uint32_t segment_count, const DiskFaults& faults)
      : faults_(faults), images_(segment_count, std::vector<std::byte>(segment_bytes)) {}

  void write(uint32_t segment, uint32_t offset, Bytes data);
  void flush(uint32_t segment);
  // The next write goes wrong, and the disk says nothing: it lands elsewhere, or elsewhere as well,
  // or some of its sectors stay as they were.
  enum class Stray : uint8_t { none, elsewhere, twice, stale };
  void stray_next(Stray kind, uint64_t seed) { stray_ = kind, stray_seed_ = seed; }
  // These segments are not hit by what lands elsewhere.
  void spare(std::vector<bool> segments) { spared_ = std::move(segments); }
  bool stray_waits() const { return stray_ != Stray::none; }
  // The write reached the cache in part only, or the flush failed: pending sectors are at chance.
  void lose_pending(uint32_t segment, Prng& prng);
  void crash(Prng& prng);
  // The program ended, the power did not: what was written is there. A write under way may have
  // arrived in part.
  void sync_all();
  void write_torn(uint32_t segment, uint32_t offset, Bytes data, Prng& prng);
  bool has_pending() const { return !pending_.empty(); }

  // What was written last, flushed or not.
  int64_t read(uint32_t segment, uint32_t offset, MutableBytes into) override;
  std::vector<std::byte>& image(uint32_t segment) { return images_[segment]; }

 private:
  struct Write {
    uint32_t segment;
    uint32_t offset;
    std::vector<std::byte> data;
  };
  void scatter(const Write& write, Prng& prng);
  void go_astray(Write& write);

  DiskFaults faults_;
  std::vector<std::vector<std::byte>> images_;
  std::vector<Write> pending_;
  Stray stray_ = Stray::none;
  uint64_t stray_seed_ = 0;
  std::vector<bool> spared_;
};

}  // namespace mx::sim
