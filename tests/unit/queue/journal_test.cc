#include "queue/journal.h"

#include <gtest/gtest.h>

#include "proto/base/limits.h"
#include "tests/unit/queue/test_disk.h"

namespace mx::queue {
namespace {

using test::Disk;
using test::Rig;

const Geometry geometry{64U << 10, 12};

TEST(Journal, AcknowledgesOnlyAfterTheFlush) {
  Disk disk(geometry);
  Rig rig(disk);
  rig.accept("opens the segment");
  ASSERT_EQ(rig.stage("body", 1, 42), Status::ok);
  CommitResult result;
  EXPECT_FALSE(rig.journal.next_result(result));
  rig.journal.pump(rig.now);
  EXPECT_TRUE(rig.journal.busy());
  EXPECT_FALSE(rig.journal.next_result(result));
  rig.complete();  // write
  EXPECT_EQ(disk.flushes, 3U);
  EXPECT_FALSE(rig.journal.next_result(result));
  rig.complete();  // flush
  ASSERT_TRUE(rig.journal.next_result(result));
  EXPECT_TRUE(result.ok);
  EXPECT_EQ(result.cookie, 42U);
  EXPECT_EQ(result.id, rig.last_id);
  EXPECT_FALSE(rig.journal.next_result(result));
  MessageInfo info;
  EXPECT_TRUE(rig.index.find(rig.last_id, info));
}

TEST(Journal, MessagesThatArriveDuringAFlushShareTheNextOne) {
  Disk disk(geometry);
  Rig rig(disk);
  rig.accept("opens the segment");
  rig.stage("first");
  rig.journal.pump(rig.now);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(rig.stage("next"), Status::ok);
  rig.settle();
  EXPECT_EQ(disk.flushes, 4U);
  EXPECT_EQ(rig.journal.stats().messages, 22U);
  EXPECT_EQ(rig.journal.stats().messages_in_batch_max, 20U);
}

TEST(Journal, BothBuffersFullIsLaterAndThenGoesOn) {
  Disk disk({1U << 20, 12});
  Rig rig(disk);
  rig.accept("opens the segment");
  const std::string body(20'000, 'x');
  Status status = Status::ok;
  int staged = 0;
  while ((status = rig.stage(body)) == Status::ok) {
    ++staged;
    rig.journal.pump(rig.now);
  }
  EXPECT_EQ(status, Status::later);
  EXPECT_GT(staged, 2);
  rig.settle();
  EXPECT_EQ(rig.stage(body), Status::ok);
  rig.settle();
  EXPECT_EQ(rig.journal.stats().messages, static_cast<uint64_t>(staged) + 2);
}

TEST(Journal, AMessageMaySpanSegments) {
  Disk disk(geometry);
  Rig rig(disk);
  Draft draft;
  rig.journal.begin(draft, rig.wall);
  std::string body;
  for (int i = 0; i < 20; ++i) {
    const std::string piece(10'000, static_cast<char>('a' + i));
    Status status = Status::later;
    while ((status = rig.journal.append_chunk(draft, ChunkKind::body, as_bytes(piece))) ==
           Status::later)
      rig.settle();
    ASSERT_EQ(status, Status::ok);
    body += piece;
  }
  while (rig.journal.commit(draft, 2, as_bytes("env"), 1) == Status::later) rig.settle();
  rig.settle();
  EXPECT_GT(rig.journal.stats().segments_claimed, 3U);

  Rig again(disk, 5, 78);
  ASSERT_EQ(again.recovered.messages.size(), 1U);
  EXPECT_EQ(test::body_of(disk, again.recovered, again.recovered.messages[0]), body);
  EXPECT_GT(again.recovered.messages[0].other_segments.size(), 2U);
  EXPECT_EQ(again.recovered.damage_count, 0U);

  // Its end frees all of them.
  ASSERT_TRUE(again.journal.mark_done(again.recovered.messages[0].id, 0, 2, again.now));
  again.now = again.now + seconds(2);
  again.settle();
  EXPECT_EQ(again.pool.free_segments(), geometry.segment_count - 1);
}

TEST(Journal, AnAbandonedDraftLetsItsSegmentsGo) {
  Disk disk(geometry);
  Rig rig(disk);
  Draft draft;
  rig.journal.begin(draft, rig.wall);
  const std::string piece(10'000, 'x');
  for (int i = 0; i < 12; ++i) {
    while (rig.journal.append_chunk(draft, ChunkKind::body, as_bytes(piece)) == Status::later)
      rig.settle();
  }
  rig.journal.abandon(draft);
  EXPECT_FALSE(draft.open());
  rig.journal.hurry();
  rig.settle();
  EXPECT_EQ(rig.pool.free_segments(), geometry.segment_count - 1);
  EXPECT_TRUE(recover(disk, geometry).messages.empty());
}

TEST(Journal, MarksWaitForTheirTimeOrRideWithAMessage) {
  Disk disk(geometry);
  Rig rig(disk);
  const MessageId a = rig.accept("a");
  const MessageId b = rig.accept("b");
  const uint32_t flushes = disk.flushes;
  ASSERT_TRUE(rig.journal.mark_done(a, 0, 1, rig.now));
  EXPECT_EQ(rig.journal.deadline(), rig.now + seconds(1));
  rig.settle();
  EXPECT_EQ(disk.flushes, flushes);
  rig.now = rig.now + seconds(1);
  rig.settle();
  EXPECT_EQ(disk.flushes, flushes + 1);
  EXPECT_FALSE(rig.journal.deadline());
  ASSERT_TRUE(rig.journal.mark_done(b, 0, 1, rig.now));
  rig.accept("c");
  EXPECT_EQ(disk.flushes, flushes + 2);
  EXPECT_EQ(rig.journal.stats().marks, 2U);
  const Recovered recovered = recover(disk, geometry);
  ASSERT_EQ(recovered.messages.size(), 1U);
  EXPECT_EQ(recovered.messages[0].id, rig.last_id);
}

TEST(Journal, EachRecipientHasItsOwnFate) {
  for (const uint16_t count : std::initializer_list<uint16_t>{3, 64, 65, 1000}) {
    Disk disk(geometry);
    Rig rig(disk);
    const MessageId id = rig.accept("body", count);
    ASSERT_TRUE(rig.journal.mark_done(id, 0, 1, rig.now));
    ASSERT_TRUE(rig.journal.mark_done(id, count - 1U, 1, rig.now));
    ASSERT_TRUE(rig.journal.mark_deferred(id, {5000}, 3, "connection refused", rig.now));
    rig.now = rig.now + seconds(1);
    rig.settle();
    Rig again(disk, 5, 78);
    ASSERT_EQ(again.adopted, 1U);
    EXPECT_FALSE(again.index.is_pending(id, 0));
    EXPECT_TRUE(again.index.is_pending(id, 1));
    EXPECT_FALSE(again.index.is_pending(id, count - 1U));
    EXPECT_EQ(again.index.next_pending(id, 0), 1U);
    EXPECT_EQ(again.index.reason(id), "connection refused");
    MessageInfo info;
    ASSERT_TRUE(again.index.find(id, info));
    EXPECT_EQ(info.pending_count, count - 2);
    EXPECT_EQ(info.attempts, 3);
    EXPECT_EQ(info.next_attempt, WallTime{5000});
  }
}

TEST(Journal, MarksForWhatIsNotThereAreRefused) {
  Disk disk(geometry);
  Rig rig(disk);
  const MessageId id = rig.accept("body", 2);
  EXPECT_FALSE(rig.journal.mark_done({1}, 0, 1, rig.now));
  EXPECT_FALSE(rig.journal.mark_done(id, 0, 3, rig.now));
  EXPECT_FALSE(rig.journal.mark_done(id, 3, 0, rig.now));
  EXPECT_FALSE(rig.journal.mark_done(id, 1, UINT32_MAX, rig.now));
  EXPECT_FALSE(rig.journal.mark_deferred({1}, {}, 1, "", rig.now));
  const std::string reason(limits::defer_reason_bytes_max, 'x');
  EXPECT_TRUE(rig.journal.mark_deferred(id, {}, 1, reason, rig.now));
  EXPECT_FALSE(rig.journal.mark_deferred(id, {}, 1, reason + "x", rig.now));
  EXPECT_TRUE(rig.journal.mark_done(id, 0, 2, rig.now));
  EXPECT_FALSE(rig.journal.mark_done(id, 0, 2, rig.now)) << "already finished";
}

TEST(Journal, AnyDeviceErrorFailsAllThatIsNotAcknowledgedAndIsFinal) {
  for (const bool in_flush : {false, true}) {
    Disk disk(geometry);
    Rig rig(disk);
    const MessageId before = rig.accept("before");
    rig.stage("flying");
    rig.journal.pump(rig.now);
    rig.stage("staged");
    if (in_flush) rig.complete();
    rig.complete(false);
    EXPECT_TRUE(rig.journal.failed());
    EXPECT_FALSE(rig.journal.accepting());
    CommitResult result;
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(rig.journal.next_result(result));
      EXPECT_FALSE(result.ok);
    }
    EXPECT_FALSE(rig.journal.next_result(result));
    EXPECT_EQ(rig.stage("after"), Status::failed);
    const uint32_t writes = disk.writes;
    const uint32_t flushes = disk.flushes;
    rig.now = rig.now + seconds(10);
    rig.settle();
    EXPECT_EQ(disk.writes, writes);
    EXPECT_EQ(disk.flushes, flushes);
    MessageInfo info;
    EXPECT_TRUE(rig.index.find(before, info));
  }
}

TEST(Journal, AShortWriteIsAnError) {
  Disk disk(geometry);
  Rig rig(disk);
  rig.accept("opens the segment");
  rig.stage("x");
  rig.journal.pump(rig.now);
  disk.pending = Disk::Pending::none;
  rig.journal.on_write(disk.length - 4096);
  EXPECT_TRUE(rig.journal.failed());
}

TEST(Journal, AHeaderThatIsNotThereAfterItsFlushIsAFailure) {
  Disk disk(geometry);
  Rig rig(disk);
  EXPECT_EQ(rig.stage("x"), Status::ok);
  rig.journal.pump(rig.now);
  ASSERT_TRUE(disk.pending == Disk::Pending::write);
  for (std::vector<std::byte>& image : disk.images)  // the disk put it elsewhere
    std::fill(image.begin(), image.end(), std::byte{0});
  rig.settle();
  EXPECT_TRUE(rig.journal.failed());
  CommitResult result;
  ASSERT_TRUE(rig.journal.next_result(result));
  EXPECT_FALSE(result.ok);
}

TEST(Journal, AFailureOfAnotherShardFailsAFlushUnderWay) {
  Disk disk(geometry);
  Rig rig(disk);
  rig.accept("opens the segment");
  rig.stage("x");
  rig.journal.pump(rig.now);
  rig.complete();
  rig.pool.fail_device();
  EXPECT_FALSE(rig.journal.accepting());
  rig.complete();
  CommitResult result;
  ASSERT_TRUE(rig.journal.next_result(result));
  EXPECT_FALSE(result.ok);
}

TEST(Journal, EnvelopesLargerThanABatchAreTooLarge) {
  Disk disk(geometry);
  Rig rig(disk);
  Draft draft;
  rig.journal.begin(draft, rig.wall);
  const std::string envelope(test::buffer_bytes, 'e');
  EXPECT_EQ(rig.journal.commit(draft, 1, as_bytes(envelope), 0), Status::too_large);
  EXPECT_TRUE(draft.open());
  EXPECT_EQ(rig.journal.commit(draft, 1, as_bytes(envelope).first(20'000), 0), Status::ok);
}

TEST(Journal, AFullQueueRefusesMailDrainsAndAcceptsAgain) {
  Disk disk(geometry);
  Rig rig(disk);
  const std::string body(9'000, 'x');
  std::vector<MessageId> ids;
  Status status = Status::ok;
  while ((status = rig.stage(body)) != Status::no_space) {
    if (status == Status::ok) ids.push_back(rig.last_id);
    rig.settle();
    CommitResult result;
    while (rig.journal.next_result(result)) EXPECT_TRUE(result.ok);
  }
  EXPECT_GE(rig.pool.free_segments(), rig.pool.reserve_segments());
  for (const MessageId id : ids) {
    ASSERT_TRUE(rig.journal.mark_done(id, 0, 1, rig.now));
    rig.now = rig.now + seconds(1);
    rig.settle();
  }
  EXPECT_EQ(rig.index.size(), 0U);
  EXPECT_GE(rig.pool.free_segments(), geometry.segment_count - 2);
  EXPECT_NE(rig.accept("again"), MessageId{});
}

TEST(Journal, AFewStuckMessagesDoNotFillThePoolWithMarks) {
  Disk disk(geometry);
  Rig rig(disk);
  const std::string body(3'000, 'x');
  const MessageId stuck = rig.accept(body);
  for (int i = 0; i < 1500; ++i) {
    const MessageId id = rig.accept(body);
    ASSERT_NE(id, MessageId{}) << i;
    if (i % 7 == 0) {
      ASSERT_TRUE(rig.journal.mark_deferred(stuck, {i}, 1, "no", rig.now));
    }
    rig.now = rig.now + milliseconds(300);
    ASSERT_TRUE(rig.journal.mark_done(id, 0, 1, rig.now));
  }
  EXPECT_GT(rig.journal.stats().relocated, 0U);
  EXPECT_GT(rig.journal.stats().segments_retired, 50U);
  rig.journal.hurry();
  rig.settle();
  const Recovered recovered = recover(disk, geometry);
  ASSERT_EQ(recovered.messages.size(), 1U);
  EXPECT_EQ(recovered.messages[0].id, stuck);
  EXPECT_EQ(recovered.messages[0].next_attempt.us % 7, 0);
}

}  // namespace
}  // namespace mx::queue
