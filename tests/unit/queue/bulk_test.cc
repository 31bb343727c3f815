// The stream for large bodies: a small message does not wait for it, a COMMIT waits for its chunks,
// and what is missing there after a crash is damage.
#include <gtest/gtest.h>

#include <utility>

#include "tests/unit/queue/test_disk.h"

namespace mx::queue {
namespace {

using test::buffer_bytes;
using test::Disk;
constexpr Geometry geometry{64U << 10, 24};

constexpr size_t rig_piece = 10'000;

struct Streams {
  explicit Streams(Disk& disk, uint64_t epoch = 77)
      : mail_disk(disk),
        bulk_disk(disk),
        memory(static_cast<std::byte*>(std::aligned_alloc(block_bytes, size_t{4} * buffer_bytes))),
        recovered(recover(disk, disk.geometry)),
        pool(disk.geometry, 1, 4),
        index(1000, disk.geometry.segment_count),
        mail({.epoch = epoch, .largest_known_id = recovered.largest_id}, pool, mail_disk, index,
             buffer(0), buffer(1)),
        bulk({.stream = Stream::bulk, .epoch = epoch, .largest_known_id = recovered.largest_id},
             pool, bulk_disk, index, buffer(2), buffer(3)) {
    mail.use_bulk(bulk);
    adopt(recovered, pool);
    for (const RecoveredMessage& message : recovered.messages) EXPECT_TRUE(mail.adopt(message));
  }
  ~Streams() { std::free(memory); }
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  struct Port final : Device {
    explicit Port(Disk& on) : disk(on) {}
    void write(uint32_t segment, uint32_t offset, Bytes data) override {
      disk.write(segment, offset, data);
      length = static_cast<int64_t>(data.size());
      pending = is_write = true;
    }
    void flush(uint32_t) override { pending = true, is_write = false; }
    Disk& disk;
    bool pending = false, is_write = false;
    int64_t length = 0;
  };
  MutableBytes buffer(size_t i) { return {memory + i * buffer_bytes, buffer_bytes}; }
  static bool complete(Port& port, Journal& journal, bool well = true) {
    if (!std::exchange(port.pending, false)) return false;
    if (port.is_write)
      journal.on_write(well ? port.length : -5);
    else
      journal.on_flush(well ? 0 : -5);
    return true;
  }
  void settle_mail() {
    do mail.pump(now);
    while (complete(mail_disk, mail));
  }
  void settle() {
    bool more = true;
    while (more) {
      mail.pump(now);
      more = complete(mail_disk, mail);
      more = complete(bulk_disk, bulk) || more;
    }
  }
  // A draft of a body of that many bytes, not committed.
  Draft begin_large(size_t bytes) {
    Draft draft;
    mail.begin(draft, wall);
    EXPECT_EQ(mail.append_chunk(draft, ChunkKind::header, as_bytes("R: x\r\n")), Status::ok);
    const std::string piece(rig_piece, 'b');  // the first one stays in the mail stream
    for (size_t at = 0; at < bytes; at += piece.size()) {
      Status status = Status::later;
      while ((status = mail.append_chunk(draft, ChunkKind::body, as_bytes(piece))) == Status::later)
        settle();
      EXPECT_EQ(status, Status::ok);
    }
    return draft;
  }
  Status commit(Draft& draft) { return mail.commit(draft, 1, as_bytes("envelope"), 7); }
  bool acknowledged() {
    CommitResult result;
    return mail.next_result(result) && result.ok;
  }

  Port mail_disk, bulk_disk;
  std::byte* memory;
  Recovered recovered;
  SegmentPool pool;
  Index index;
  Journal mail, bulk;
  Instant now{1'000'000};
  WallTime wall{1'790'000'000'000'000};
};

TEST(Bulk, ASmallMessageDoesNotWaitForALargeOne) {
  Disk disk(geometry);
  Streams rig(disk);
  Draft large = rig.begin_large(40'000);
  ASSERT_EQ(rig.commit(large), Status::later);
  Draft small;
  rig.mail.begin(small, rig.wall);
  ASSERT_EQ(rig.mail.append_chunk(small, ChunkKind::body, as_bytes("small")), Status::ok);
  ASSERT_EQ(rig.commit(small), Status::ok);
  rig.settle_mail();  // the bulk stream's device does nothing at all
  EXPECT_TRUE(rig.bulk.busy());
  EXPECT_TRUE(rig.acknowledged());
  EXPECT_EQ(rig.commit(large), Status::later);
  rig.settle();
  EXPECT_EQ(rig.commit(large), Status::ok);
  rig.settle();
  EXPECT_TRUE(rig.acknowledged());
  EXPECT_TRUE(rig.mail.idle());
}

TEST(Bulk, ALargeMessageComesBackWholeAndItsEndFreesItsSegments) {
  Disk disk(geometry);
  {
    Streams rig(disk);
    Draft large = rig.begin_large(200'000);  // several segments
    rig.mail.hurry();
    rig.settle();
    ASSERT_EQ(rig.commit(large), Status::ok);
    rig.settle();
    ASSERT_TRUE(rig.acknowledged());
  }
  for (const Verify verify : {Verify::open_segments, Verify::all}) {
    const Recovered found = recover(disk, geometry, verify);
    ASSERT_EQ(found.messages.size(), 1U);
    EXPECT_EQ(found.damage_count + found.torn_tails, 0U);
    EXPECT_GT(found.messages[0].other_segments.size(), 2U);
    EXPECT_EQ(test::body_of(disk, found, found.messages[0]), std::string(20 * rig_piece, 'b'));
  }
  Streams again(disk, 78);
  ASSERT_TRUE(again.mail.mark_done(again.recovered.messages[0].id, 0, 1, again.now));
  again.now = again.now + seconds(2);
  again.settle();
  EXPECT_EQ(again.pool.free_segments(), geometry.segment_count - 1);
}

TEST(Bulk, AMissingChunkIsDamageAlsoInTheLastBatch) {
  Disk disk(geometry);
  {
    Streams rig(disk);
    Draft large = rig.begin_large(40'000);
    rig.mail.hurry();
    rig.settle();
    ASSERT_EQ(rig.commit(large), Status::ok);
    rig.settle();
  }
  for (auto& image : disk.images) {
    const std::string_view text(reinterpret_cast<const char*>(image.data()), image.size());
    const size_t at = text.find("bbbbbbbb");
    if (at != std::string_view::npos && text.find("R: x") == std::string_view::npos)
      image[at + 100] ^= std::byte{1};
  }
  const Recovered found = recover(disk, geometry);
  EXPECT_TRUE(found.messages.empty());
  EXPECT_EQ(found.messages_lost, 1U);
  EXPECT_GE(found.damage_count, 1U);
}

TEST(Bulk, AFailureOfEitherStreamFailsBoth) {
  Disk disk(geometry);
  Streams rig(disk);
  Draft large = rig.begin_large(40'000);
  Draft small;
  rig.mail.begin(small, rig.wall);
  ASSERT_EQ(rig.mail.append_chunk(small, ChunkKind::body, as_bytes("small")), Status::ok);
  ASSERT_EQ(rig.commit(small), Status::ok);
  rig.mail.hurry();
  rig.mail.pump(rig.now);
  ASSERT_TRUE(Streams::complete(rig.bulk_disk, rig.bulk, false));
  EXPECT_TRUE(rig.bulk.failed());
  EXPECT_FALSE(rig.mail.accepting());
  rig.settle();
  EXPECT_TRUE(rig.mail.failed());
  EXPECT_FALSE(rig.acknowledged());
  EXPECT_EQ(rig.commit(large), Status::failed);
  rig.mail.abandon(large);
}

TEST(Bulk, AnAbandonedLargeDraftLeavesNothing) {
  Disk disk(geometry);
  Streams rig(disk);
  Draft large = rig.begin_large(200'000);
  rig.mail.abandon(large);
  rig.mail.hurry();
  rig.settle();
  EXPECT_TRUE(rig.mail.idle());
  EXPECT_EQ(rig.pool.free_segments(), geometry.segment_count - 2);  // one open in each stream
  EXPECT_TRUE(recover(disk, geometry).messages.empty());
}

}  // namespace
}  // namespace mx::queue
