// tests/sim/life.h - one life of the program between two starts: recovery, then some journals over
// one pool and one simulated disk, with mail arriving, being delivered and deferred at random,
// until the life ends.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/base/prng.h"
#include "queue/journal.h"
#include "queue/recovery.h"
#include "tests/sim/disk.h"
#include "tests/sim/oracle.h"

namespace mx::sim {

// What kind of day it is; drawn per scenario, so that runs differ in kind and not only in detail.
struct Weather {
  DiskFaults faults;
  uint32_t segment_bytes = 64U << 10;
  uint32_t segment_count = 8;
  uint32_t shards = 1;
  uint32_t big_percent = 5;       // messages of several chunks
  uint32_t many_percent = 5;      // messages of more than 64 recipients
  uint32_t stuck_percent = 2;     // never delivered
  uint32_t deliver_percent = 60;  // chance that a step delivers something
  uint32_t abandon_percent = 5;
  uint32_t bytes_max = 3000;         // of a usual message
  bool astray = false;               // writes may hit the wrong place: what is read may be gone
  bool ends_segments = false;        // now and then, as an orderly end does
  uint32_t compact_percent = 50;     // chance that a step does something for compaction
  uint32_t fails_again_percent = 0;  // of the operations after the first that failed
};
Weather draw_weather(Prng& prng);

class Life {
 public:
  // `operation` is called after each change of the disk and after each completion: the moments at
  // which a crash can differ. fail_at: this operation (counted from 1) fails; 0: none.
  Life(const Weather& weather, Disk& disk, Oracle& oracle, const queue::Recovered& recovered,
       uint64_t seed, uint64_t fail_at, std::function<void()> operation);
  ~Life();
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  void run(uint32_t steps);
  // Delivers everything and lets the pool drain; empty when the queue ends empty and all segments
  // free.
  std::string drain();
  // Anything that broke a rule on the way.
  const std::string& wrong() const { return wrong_; }
  queue::JournalStats stats() const;
  std::vector<uint64_t> batches() const;  // written by each shard to its mail stream
  uint64_t segments_emptied() const;
  // Journals that wrote marks after a failure, and how many became durable.
  uint64_t salvages() const { return salvages_; }
  uint64_t marks_after_failure() const { return marks_after_failure_; }

 private:
  struct Shard;
  void step();
  void compose(Shard& shard);
  void go_on(Shard& shard);
  void deliver(Shard& shard);
  void complete(Shard& shard);
  void compact(Shard& shard);
  void read_back(Shard& shard);
  void pump(Shard& shard);
  void take_results(Shard& shard);
  void acknowledge_marks(Shard& shard);
  void note_failure(Shard& shard, queue::Health before);
  bool fails_now();
  bool anything_failed() const;
  std::shared_ptr<const Content> make_content();

  Weather weather_;
  Disk& disk_;
  Oracle& oracle_;
  Prng prng_;
  uint64_t fail_at_;
  uint64_t operations_ = 0;
  uint64_t reads_failed_ = 0;
  uint64_t salvages_ = 0, marks_after_failure_ = 0;
  std::function<void()> operation_;
  queue::SegmentPool pool_;
  std::vector<std::unique_ptr<Shard>> shards_;
  Instant now_{1'000'000};
  std::string wrong_;
};

}  // namespace mx::sim
