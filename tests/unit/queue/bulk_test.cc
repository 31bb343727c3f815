// The stream for large bodies: a small message does not wait for it, a COMMIT waits for its chunks,
// and what is missing there after a crash is damage.
#include <gtest/gtest.h>

#include <utility>

#include "tests/unit/queue/test_streams.h"

namespace mx::queue {
namespace {

using test::Disk;
using test::rig_piece;
using test::Streams;
constexpr Geometry geometry{64U << 10, 24};

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
