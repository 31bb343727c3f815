// What lives long moves to the cold stream, and its old segments end; whatever happens on the way,
// there is one message, whole, with its state.
#include "queue/compaction.h"

#include <gtest/gtest.h>

#include "tests/unit/queue/test_streams.h"

namespace mx::queue {
namespace {

using test::Disk;
using test::Streams;
constexpr Geometry geometry{64U << 10, 24};

struct Rig : Streams {
  explicit Rig(Disk& on, uint64_t epoch = 77)
      : Streams(on, epoch), disk(on), compaction({.shard = 0}, mail, pool, index) {}

  MessageId accept(const std::string& body, uint16_t recipients = 1) {
    Draft draft;
    Status status = Status::later;
    mail.begin(draft, wall);
    const MessageId id = draft.id();
    while ((status = mail.append_chunk(draft, ChunkKind::body, as_bytes(body))) == Status::later)
      settle();
    while (status == Status::ok || status == Status::later) {
      status = mail.commit(draft, recipients, as_bytes("envelope"), 7);
      if (status == Status::ok) break;
      settle();
    }
    EXPECT_EQ(status, Status::ok);
    settle();
    EXPECT_TRUE(acknowledged());
    return id;
  }
  // Four segments, each with one message that waits and else only what is done.
  std::vector<MessageId> waiting_in_dead_segments() {
    std::vector<MessageId> waiting;
    for (int segment = 0; segment < 4; ++segment) {
      waiting.push_back(accept("waits " + std::to_string(segment) + std::string(900, 'w'), 3));
      EXPECT_TRUE(mail.mark_done(waiting.back(), 1, 1, now));
      EXPECT_TRUE(mail.mark_deferred(waiting.back(), {5'000'000}, 4, "come again", now));
      const uint64_t at = mail.stats().segments_claimed;
      while (mail.stats().segments_claimed == at)
        EXPECT_TRUE(mail.mark_done(accept(std::string(9000, 'd')), 0, 1, now));
    }
    later(seconds(2));
    settle();
    return waiting;
  }
  void later(Duration by) { now = now + by; }
  // Until there is nothing to do. `copies_only`: the mail stream stands still.
  void compact(bool copies_only = false) {
    for (int i = 0; i < 400; ++i) {
      later(milliseconds(100));
      if (const auto read = compaction.step(now, wall))
        compaction.on_read(disk.read(read->segment, read->offset, read->into));
      if (copies_only) {
        cold.pump(now);
        complete(cold_disk, cold);
      } else {
        settle();
      }
    }
  }
  uint32_t used() const { return geometry.segment_count - pool.free_segments(); }

  Disk& disk;
  Compaction compaction;
};

void expect_state(const RecoveredMessage& message, size_t number, Disk& disk,
                  const Recovered& recovered) {
  EXPECT_EQ(test::body_of(disk, recovered, message),
            "waits " + std::to_string(number) + std::string(900, 'w'));
  EXPECT_EQ(message.attempts, 4);
  EXPECT_EQ(message.reason, "come again");
  EXPECT_EQ(message.pending, (std::vector<std::pair<uint32_t, uint32_t>>{{0, 1}, {2, 1}}));
}

TEST(Compaction, WhatWaitsMovesTogetherAndItsSegmentsEnd) {
  Disk disk(geometry);
  Rig rig(disk);
  const auto waiting = rig.waiting_in_dead_segments();
  MessageInfo before, after;
  ASSERT_TRUE(rig.index.find(waiting[0], before));
  const uint32_t used = rig.used();
  EXPECT_GE(used, 5U);
  rig.compact();
  EXPECT_EQ(rig.mail.stats().moved, 4U);
  EXPECT_EQ(rig.compaction.segments_emptied(), 4U);
  EXPECT_EQ(rig.used(), used - 4 + 1);
  ASSERT_TRUE(rig.index.find(waiting[0], after));
  EXPECT_NE(after.commit.segment, before.commit.segment);
  EXPECT_EQ(after.attempts, 4);
  rig.later(seconds(2));
  rig.settle();
  const Recovered found = recover(disk, geometry);
  ASSERT_EQ(found.messages.size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(found.messages[i].copies.empty());
    expect_state(found.messages[i], i, disk, found);
  }
  EXPECT_EQ(found.damage_count, 0U);
  for (const MessageId id : waiting) ASSERT_TRUE(rig.mail.mark_done(id, 0, 3, rig.now));
  rig.later(seconds(2));
  rig.settle();
  EXPECT_TRUE(recover(disk, geometry).messages.empty());
  EXPECT_EQ(rig.used(), 1U);  // the cold stream's ends when nothing lives in it
}

// Marks that come again and again, while nothing can end, may not take what compaction needs to
// make room: the queue would be full for ever.
TEST(Compaction, GoesOnWhereMarksMayNot) {
  Disk disk(geometry);
  Rig rig(disk);
  rig.waiting_in_dead_segments();
  while (rig.pool.claim(0, SegmentPool::Purpose::marks, 77)) {
  }
  const uint32_t used = rig.used();
  rig.compact();
  EXPECT_EQ(rig.mail.stats().moved, 4U);
  EXPECT_EQ(rig.used(), used - 4 + 1);
}

TEST(Compaction, AReadThatFailsIsTriedAgainLater) {
  Disk disk(geometry);
  Rig rig(disk);
  rig.waiting_in_dead_segments();
  int failed = 0;
  for (bool well = false; !well && failed < 10; ++failed) {
    rig.later(seconds(6));
    const auto read = rig.compaction.step(rig.now, rig.wall);
    if (!(well = !read)) rig.compaction.on_read(-5);
    rig.settle();
  }
  EXPECT_EQ(failed, 4);  // three, and the last one alone is not moved
  EXPECT_TRUE(rig.compaction.take_damaged());
  rig.compact();
  EXPECT_EQ(rig.mail.stats().moved, 0U);
  rig.later(seconds(600));
  rig.compact();
  EXPECT_EQ(rig.mail.stats().moved, 4U);
}

TEST(Compaction, YoungMailAndOneSegmentAloneStay) {
  Disk disk(geometry);
  Rig rig(disk);
  const MessageId young = rig.accept("young");
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(rig.mail.mark_done(rig.accept(std::string(9000, 'd')), 0, 1, rig.now));
  rig.later(seconds(2));
  rig.compact();
  EXPECT_EQ(rig.mail.stats().moved, 0U);
  // Alone it would free one segment and take one.
  rig.wall = rig.wall + seconds(100);
  rig.compact();
  EXPECT_EQ(rig.mail.stats().moved, 0U);
  EXPECT_TRUE(rig.index.is_pending(young, 0));
}

TEST(Compaction, ACrashBeforeTheMarkLeavesTwoAndTheOldOneCounts) {
  Disk disk(geometry);
  {
    Rig rig(disk);
    rig.waiting_in_dead_segments();
    rig.compact(true);
    EXPECT_EQ(rig.mail.stats().moved, 4U);
  }
  Recovered found = recover(disk, geometry);
  ASSERT_EQ(found.messages.size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    ASSERT_EQ(found.messages[i].copies.size(), 1U);
    EXPECT_GT(found.messages[i].copies[0].sequence,
              found.segments[found.messages[i].commit.segment].life.sequence);
    expect_state(found.messages[i], i, disk, found);
  }
  // The next life ends the copies, by itself, before it ends a message.
  {
    Rig rig(disk, 78);
    ASSERT_TRUE(rig.mail.mark_done(found.messages[0].id, 0, 3, rig.now));
    rig.mail.hurry();
    rig.settle();
  }
  found = recover(disk, geometry);
  ASSERT_EQ(found.messages.size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(found.messages[i].copies.empty());
    expect_state(found.messages[i], i + 1, disk, found);
  }
}

TEST(Compaction, AMessageFinishedDuringItsMoveDoesNotComeBack) {
  Disk disk(geometry);
  Rig rig(disk);
  const auto waiting = rig.waiting_in_dead_segments();
  while (rig.mail.copies_staged() == 0) {
    if (const auto read = rig.compaction.step(rig.now, rig.wall))
      rig.compaction.on_read(disk.read(read->segment, read->offset, read->into));
  }
  for (const MessageId id : waiting) ASSERT_TRUE(rig.mail.mark_done(id, 0, 3, rig.now));
  rig.later(seconds(2));
  rig.settle_mail();  // the copies are not durable: nothing may say yet that these are done
  EXPECT_GE(recover(disk, geometry).messages.size(), rig.mail.copies_staged());
  rig.settle();
  rig.later(seconds(2));
  rig.settle();
  EXPECT_TRUE(recover(disk, geometry).messages.empty());
  EXPECT_EQ(rig.index.size(), 0U);
}

TEST(Compaction, WhatDoesNotVerifyIsNeverCopied) {
  Disk disk(geometry);
  Rig rig(disk);
  const auto waiting = rig.waiting_in_dead_segments();
  MessageInfo info;
  ASSERT_TRUE(rig.index.find(waiting[1], info));
  disk.images[info.commit.segment][info.commit.offset - 100] ^= std::byte{1};  // in its body
  rig.compact();
  EXPECT_EQ(rig.mail.stats().moved, 3U);
  const auto damaged = rig.compaction.take_damaged();
  ASSERT_TRUE(damaged);
  EXPECT_EQ(damaged->id, waiting[1]);
  EXPECT_FALSE(rig.compaction.take_damaged());
  MessageInfo after;
  ASSERT_TRUE(rig.index.find(waiting[1], after));
  EXPECT_EQ(after.commit, info.commit);
}

TEST(Compaction, TheOldPlaceStaysWhileItIsRead) {
  struct Reader final : Readers {
    bool reads(MessageId id) override { return id == reading; }
    MessageId reading;
  } reader;
  Disk disk(geometry);
  Rig rig(disk);
  rig.mail.use_readers(&reader);
  const auto waiting = rig.waiting_in_dead_segments();
  MessageInfo info;
  ASSERT_TRUE(rig.index.find(waiting[2], info));
  const Life life = rig.pool.life(info.commit.segment);
  reader.reading = waiting[2];  // compaction does not know: as if the reading began after its look
  rig.compact();
  EXPECT_EQ(rig.mail.stats().moved, 4U);
  EXPECT_EQ(rig.pool.state(info.commit.segment), SegmentState::sealed);
  EXPECT_EQ(rig.pool.life(info.commit.segment), life);
  reader.reading = {};
  rig.mail.hurry();
  rig.settle();
  EXPECT_EQ(rig.pool.state(info.commit.segment), SegmentState::free);
}

TEST(Compaction, ACopyIsReadBackBeforeTheOldPlaceIsLetGo) {
  Disk disk(geometry);
  Rig rig(disk);
  const auto waiting = rig.waiting_in_dead_segments();
  disk.drop_offset = records_offset;  // the cold stream's first batch
  rig.compact();
  EXPECT_TRUE(rig.mail.failed());
  const Recovered found = recover(disk, geometry);
  ASSERT_EQ(found.messages.size(), 4U);
  for (size_t i = 0; i < 4; ++i) expect_state(found.messages[i], i, disk, found);
}

TEST(Compaction, AMovedMessageThatIsNotThereIsToldUnlessItIsDone) {
  Disk disk(geometry);
  Rig rig(disk);
  const auto waiting = rig.waiting_in_dead_segments();
  rig.compact();
  MessageInfo moved;
  ASSERT_TRUE(rig.index.find(waiting[0], moved));
  ASSERT_TRUE(rig.mail.mark_done(waiting[1], 0, 3, rig.now));
  rig.mail.hurry();
  rig.settle();
  std::vector<std::byte>& cold = disk.images[moved.commit.segment];
  std::fill(cold.begin() + records_offset, cold.end(), std::byte{0});
  const Recovered found = recover(disk, geometry);
  EXPECT_TRUE(found.messages.empty());
  EXPECT_EQ(found.messages_lost, 3U);
  ASSERT_EQ(found.damage.size(), 3U);
  EXPECT_EQ(found.damage[0].id, waiting[0]);
  EXPECT_EQ(found.damage[0].segment, moved.commit.segment);
  EXPECT_EQ(found.damage[0].text, "the message was moved here and is not there; it is lost");
  EXPECT_TRUE(found.segments[moved.commit.segment].damaged) << "it is kept to be looked at";
}

TEST(Compaction, APinnedSegmentOfLargeBodiesIsFreedToo) {
  Disk disk(geometry);
  Rig rig(disk);
  std::vector<MessageId> waiting;
  for (int i = 0; i < 8; ++i) {
    Draft draft = rig.begin_large(i % 4 == 0 ? 20'000 : 50'000);
    const MessageId id = draft.id();
    while (rig.commit(draft) == Status::later) rig.settle();
    rig.settle();
    ASSERT_TRUE(rig.acknowledged());
    if (i % 4 == 0)
      waiting.push_back(id);
    else
      ASSERT_TRUE(rig.mail.mark_done(id, 0, 1, rig.now));
  }
  for (const MessageId id : waiting)
    ASSERT_TRUE(rig.mail.mark_deferred(id, held_until, 0, "", rig.now));
  rig.later(seconds(2));
  rig.settle();
  const uint32_t used = rig.used();
  rig.compact();
  EXPECT_EQ(rig.mail.stats().moved, 2U);
  EXPECT_LT(rig.used(), used);
  const Recovered found = recover(disk, geometry);
  ASSERT_EQ(found.messages.size(), 2U);
  EXPECT_EQ(test::body_of(disk, found, found.messages[0]), std::string(20'000, 'b'));
  EXPECT_EQ(found.messages[0].next_attempt, held_until);
}

TEST(Compaction, ASizeClassIsNeverTooSmallAndAtMostAnEighthTooLarge) {
  for (uint32_t bytes = 8; bytes < 1U << 30; bytes += 1 + bytes / 7) {
    const uint32_t rounded = bytes_of_class(size_class_of(bytes));
    EXPECT_GE(rounded, bytes);
    EXPECT_LE(rounded - bytes, bytes / 8);
  }
  EXPECT_EQ(bytes_of_class(size_class_of(1U << 30)), 1U << 30);
}

}  // namespace
}  // namespace mx::queue
