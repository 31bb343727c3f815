// What a journal does after the device failed: marks become durable elsewhere, and nothing else, or
// it stops.
#include <gtest/gtest.h>

#include "tests/unit/queue/test_streams.h"

namespace mx::queue {
namespace {

using test::Disk;
using test::Rig;

constexpr Geometry geometry{.segment_bytes = 256U << 10, .segment_count = 12};

// A message whose DONE and one whose STATE are in the batch that fails, and one with nothing.
struct Failed {
  explicit Failed(Disk& disk) : rig(disk) {
    done = rig.accept("done");
    deferred = rig.accept("deferred", 2);
    waiting = rig.accept("waiting");
    EXPECT_TRUE(rig.journal.mark_done(done, 0, 1, rig.now));
    EXPECT_TRUE(rig.journal.mark_done(deferred, 1, 1, rig.now));
    EXPECT_TRUE(rig.journal.mark_deferred(deferred, rig.wall, 3, "later", rig.now));
    rig.now = rig.now + seconds(1);
    before = disk.images;
    rig.journal.pump(rig.now);
    EXPECT_TRUE(rig.complete());
    EXPECT_TRUE(rig.complete(false));
    disk.images = before;  // nothing of it arrived
    rig.journal.pump(rig.now);
  }
  void wait(Duration time) {
    rig.now = rig.now + time;
    rig.settle();
  }
  Rig rig;
  MessageId done, deferred, waiting;
  std::vector<std::vector<std::byte>> before;
};

TEST(Salvage, MarksOfTheFailedBatchAndLaterOnesBecomeDurableElsewhere) {
  Disk disk(geometry);
  Failed f(disk);
  Journal& journal = f.rig.journal;
  EXPECT_EQ(journal.health(), Health::settling);
  EXPECT_FALSE(journal.keeps_marks()) << "not known yet";
  ASSERT_TRUE(journal.deadline());
  EXPECT_EQ(*journal.deadline(), f.rig.now + milliseconds(250));
  f.wait(milliseconds(250));
  EXPECT_EQ(journal.health(), Health::marks_only);
  EXPECT_TRUE(journal.keeps_marks());
  EXPECT_FALSE(journal.accepting());
  EXPECT_EQ(f.rig.stage("new"), Status::failed);
  EXPECT_TRUE(journal.idle()) << "those of the failed batch went at once";
  {
    const Recovered recovered = recover(disk, geometry);
    EXPECT_EQ(recovered.damage_count, 0U);
    ASSERT_EQ(recovered.messages.size(), 2U);
    EXPECT_EQ(recovered.messages[0].id, f.deferred);
    EXPECT_EQ(recovered.messages[0].attempts, 3U);
    EXPECT_EQ(recovered.messages[0].pending.size(), 1U);
    EXPECT_EQ(recovered.messages[1].id, f.waiting);
  }
  EXPECT_TRUE(journal.mark_done(f.waiting, 0, 1, f.rig.now));
  EXPECT_TRUE(journal.mark_done(f.deferred, 0, 1, f.rig.now));
  f.wait(seconds(1));
  EXPECT_TRUE(recover(disk, geometry).messages.empty());
  // Nothing is let go by these marks: no segment ends in this life.
  journal.hurry();
  f.wait(seconds(10));
  EXPECT_EQ(journal.stats().segments_retired, 0U);
  EXPECT_EQ(f.rig.pool.live(0) + f.rig.pool.live(1), 3U);
}

TEST(Salvage, NothingIsWrittenWhereItFailed) {
  Disk disk(geometry);
  Failed f(disk);
  f.wait(milliseconds(250));
  for (uint32_t i = 0; i < 200; ++i) {
    f.wait(seconds(1));
    EXPECT_TRUE(f.rig.journal.mark_deferred(f.waiting, f.rig.wall, static_cast<uint16_t>(i + 1),
                                            "again", f.rig.now));
  }
  f.wait(seconds(1));
  EXPECT_TRUE(f.rig.journal.keeps_marks());
  EXPECT_GT(f.rig.journal.stats().segments_claimed, 3U) << "it goes on to the next one";
  uint32_t poisoned = 0;
  for (uint32_t segment = 0; segment < geometry.segment_count; ++segment) {
    if (f.rig.pool.state(segment) != SegmentState::poisoned) continue;
    ++poisoned;
    EXPECT_EQ(disk.images[segment], f.before[segment]);
  }
  EXPECT_EQ(poisoned, 1U);
  const Recovered recovered = recover(disk, geometry);
  EXPECT_EQ(recovered.damage_count, 0U);
  ASSERT_EQ(recovered.messages.size(), 2U);
  EXPECT_EQ(recovered.messages[1].attempts, 200U);
}

TEST(Salvage, TheFirstFailureThereIsTheEnd) {
  for (int good = 0; good < 4; ++good) {  // header: write, flush; batch: write, flush
    Disk disk(geometry);
    Failed f(disk);
    f.rig.now = f.rig.now + milliseconds(250);
    f.rig.journal.pump(f.rig.now);
    for (int i = 0; i < good; ++i) {
      EXPECT_TRUE(f.rig.complete());
      f.rig.journal.pump(f.rig.now);
    }
    EXPECT_TRUE(f.rig.complete(false));
    EXPECT_EQ(f.rig.journal.health(), Health::stopped);
    EXPECT_FALSE(f.rig.journal.keeps_marks());
    EXPECT_TRUE(f.rig.pool.device_given_up());
    EXPECT_FALSE(f.rig.journal.deadline());
    const uint32_t writes = disk.writes, flushes = disk.flushes;
    f.wait(seconds(10));
    EXPECT_EQ(disk.writes, writes);
    EXPECT_EQ(disk.flushes, flushes);
    EXPECT_TRUE(f.rig.journal.idle()) << "an orderly end need not wait";
  }
}

TEST(Salvage, WhatFailsTogetherIsWaitedForAndWhatFailsLaterIsTheEnd) {
  Disk disk(geometry);
  Failed f(disk);
  f.wait(milliseconds(200));
  f.rig.pool.fail_device();  // another stream
  f.wait(milliseconds(200));
  EXPECT_EQ(f.rig.journal.health(), Health::settling);
  f.wait(milliseconds(250));
  EXPECT_EQ(f.rig.journal.health(), Health::marks_only);
  EXPECT_TRUE(f.rig.journal.mark_done(f.waiting, 0, 1, f.rig.now));
  f.rig.now = f.rig.now + seconds(1);
  f.rig.journal.pump(f.rig.now);
  EXPECT_TRUE(f.rig.complete());
  f.rig.pool.fail_device();  // another shard, while our flush is under way
  EXPECT_TRUE(f.rig.complete());
  EXPECT_EQ(f.rig.journal.health(), Health::stopped);
}

TEST(Salvage, MarksThatTakeLongerThanASecondAreTheEnd) {
  for (const bool first : {true, false}) {
    Disk disk(geometry);
    Failed f(disk);
    if (first) {
      f.rig.now = f.rig.now + milliseconds(250);
    } else {
      f.wait(milliseconds(250));
      EXPECT_TRUE(f.rig.journal.mark_done(f.waiting, 0, 1, f.rig.now));
      f.rig.now = f.rig.now + seconds(1);
    }
    f.rig.journal.pump(f.rig.now);
    EXPECT_TRUE(f.rig.journal.busy());
    ASSERT_TRUE(f.rig.journal.deadline()) << "nobody completes it";
    f.rig.now = *f.rig.journal.deadline();
    f.rig.journal.pump(f.rig.now);
    EXPECT_EQ(f.rig.journal.health(), Health::stopped);
    EXPECT_TRUE(f.rig.journal.busy());
    EXPECT_TRUE(f.rig.complete()) << "it comes at last, and changes nothing";
    EXPECT_FALSE(f.rig.journal.busy());
    EXPECT_EQ(f.rig.journal.health(), Health::stopped);
  }
}

TEST(Salvage, LeavesTheNextLifeItsReserve) {
  Disk disk(geometry);
  Failed f(disk);
  while (f.rig.pool.claim(0, SegmentPool::Purpose::notices, 5)) {
  }
  f.wait(milliseconds(250));
  EXPECT_EQ(f.rig.journal.health(), Health::stopped);
  EXPECT_EQ(f.rig.pool.free_segments(), SegmentPool::reserve_min(1) - 1);
}

TEST(Salvage, AFailureOfTheBulkStreamIsOneOfTheShard) {
  Disk disk(geometry);
  test::Streams streams(disk);
  Draft draft = streams.begin_large(30'000);
  streams.mail.hurry();
  streams.mail.pump(streams.now);
  EXPECT_TRUE(test::Streams::complete(streams.bulk_disk, streams.bulk, false));
  EXPECT_FALSE(streams.mail.keeps_marks());
  streams.settle();
  streams.now = streams.now + milliseconds(250);
  streams.settle();
  EXPECT_EQ(streams.bulk.health(), Health::stopped);
  EXPECT_EQ(streams.mail.health(), Health::marks_only);
  EXPECT_TRUE(streams.mail.idle());
  streams.mail.abandon(draft);
}

}  // namespace
}  // namespace mx::queue
