#include "queue/recovery.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/unit/queue/test_disk.h"

namespace mx::queue {
namespace {

using test::Disk;
using test::Rig;

const Geometry geometry{64U << 10, 8};

// A segment with a few messages, each in a batch of its own, and one mark.
struct Sample {
  Sample() : disk(geometry) {
    Rig rig(disk);
    for (int i = 0; i < 6; ++i) {
      const std::string body = "body number " + std::to_string(i) + std::string(100, 'x');
      const MessageId id = rig.accept(body);
      bodies[id] = body;
      first_free = static_cast<uint32_t>(rig.journal.stats().bytes_written) + block_bytes;
    }
    finished = bodies.begin()->first;
    EXPECT_TRUE(rig.journal.mark_done(finished, 0, 1, rig.now));
    rig.journal.hurry();
    rig.settle();
    end = static_cast<uint32_t>(rig.journal.stats().bytes_written) + block_bytes;
  }
  // Checks that nothing corrupt is given and at most one message is missing; true when all is there
  // and nothing was told.
  bool check(const std::string& what, bool last_batch_lost = false) {
    const Recovered recovered = recover(disk, geometry);
    EXPECT_TRUE(recovered.refusal.empty()) << what;
    uint32_t found = 0;
    bool resurrected = false;
    for (const RecoveredMessage& message : recovered.messages) {
      EXPECT_TRUE(bodies.contains(message.id)) << what;
      EXPECT_EQ(test::body_of(disk, recovered, message), bodies[message.id]) << what;
      if (message.id == finished) {
        resurrected = true;
      } else {
        ++found;
      }
    }
    const bool told = recovered.damage_count + recovered.torn_tails > 0;
    const uint32_t missing = static_cast<uint32_t>(bodies.size()) - 1 - found;
    EXPECT_LE(missing + (resurrected ? 1U : 0U), 1U) << what;
    if ((missing > 0 || resurrected) && !last_batch_lost) {
      EXPECT_TRUE(told) << what;
    }
    return !told;
  }

  Disk disk;
  std::map<MessageId, std::string> bodies;
  MessageId finished;
  uint32_t first_free = 0;
  uint32_t end = 0;
};

TEST(Recovery, AnEmptyDirectoryIsAnEmptyQueue) {
  Disk disk(geometry);
  const Recovered recovered = recover(disk, geometry);
  EXPECT_TRUE(recovered.messages.empty());
  EXPECT_EQ(recovered.damage_count + recovered.torn_tails, 0U);
  for (const RecoveredSegment& segment : recovered.segments)
    EXPECT_EQ(segment.state, SegmentState::free);
}

TEST(Recovery, GivesWhatWasAcknowledgedAndNotWhatWasFinished) {
  Sample sample;
  EXPECT_TRUE(sample.check("as written"));
  const Recovered recovered = recover(sample.disk, geometry);
  EXPECT_EQ(recovered.messages.size(), 5U);
  EXPECT_EQ(recovered.damage_count + recovered.torn_tails, 0U);
}

// One bit of every byte, and every bit of every 64th byte, of the whole used part.
TEST(Recovery, EveryFlippedBitIsToldAndCostsAtMostTheMessageConcerned) {
  Sample sample;
  auto& image = sample.disk.images[0];
  for (uint32_t at = 0; at < sample.end; ++at) {
    for (uint32_t bit = 0; bit < 8; ++bit) {
      if (at % 64 != 0 && bit != at % 7) continue;
      image[at] ^= std::byte{1} << bit;
      EXPECT_FALSE(sample.check("bit " + std::to_string(bit) + " of byte " + std::to_string(at)));
      image[at] ^= std::byte{1} << bit;
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST(Recovery, EveryLostSectorIsToldAndCostsAtMostTheMessageConcerned) {
  for (const uint32_t sector : {512U, 4096U}) {
    Sample sample;
    auto& image = sample.disk.images[0];
    for (uint32_t at = 0; at < sample.end; at += sector) {
      const std::vector<std::byte> saved(image.begin() + at, image.begin() + at + sector);
      const bool was_zero = std::count(saved.begin(), saved.end(), std::byte{0}) == sector;
      std::fill(image.begin() + at, image.begin() + at + sector, std::byte{0});
      // The last batch: nothing is later and could know of it.
      const bool last = at >= sample.end - block_bytes;
      EXPECT_TRUE(!sample.check("zeros at " + std::to_string(at), last) || was_zero || last) << at;
      std::fill(image.begin() + at, image.begin() + at + sector, std::byte{0xA5});
      EXPECT_TRUE(!sample.check("noise at " + std::to_string(at), last) || last) << at;
      std::copy(saved.begin(), saved.end(), image.begin() + at);
    }
  }
}

// Whole batches before an intact last one: that one proves that they were durable.
TEST(Recovery, BatchesThatAreMissingBeforeTheLastOneAreDamage) {
  Disk disk(geometry);
  {
    Rig rig(disk);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(rig.accept("message " + std::to_string(i)));
  }
  const Recovered whole = recover(disk, geometry);
  ASSERT_EQ(whole.messages.size(), 5U);
  auto& image = disk.images[whole.messages[0].commit.segment];
  for (size_t first = 0; first < 4; ++first) {
    const auto begin = first == 0 ? records_offset
                                  : whole.messages[first].commit.offset / block_bytes * block_bytes;
    const auto end = whole.messages[4].commit.offset / block_bytes * block_bytes;
    const std::vector<std::byte> saved(image.begin() + begin, image.begin() + end);
    std::fill(image.begin() + begin, image.begin() + end, std::byte{0});
    const Recovered recovered = recover(disk, geometry);
    EXPECT_EQ(recovered.messages.size(), first + 1);
    EXPECT_EQ(recovered.damage_count, 1U) << first;
    EXPECT_EQ(recovered.torn_tails, 0U) << first;
    std::copy(saved.begin(), saved.end(), image.begin() + begin);
  }
}

TEST(Recovery, SwappedSectorsAreTold) {
  Sample sample;
  auto& image = sample.disk.images[0];
  for (uint32_t at = block_bytes; at + 2 * block_bytes < sample.end; at += block_bytes) {
    std::swap_ranges(image.begin() + at, image.begin() + at + block_bytes,
                     image.begin() + at + block_bytes);
    const Recovered recovered = recover(sample.disk, geometry);
    EXPECT_GT(recovered.damage_count + recovered.torn_tails, 0U);
    for (const RecoveredMessage& message : recovered.messages)
      EXPECT_EQ(test::body_of(sample.disk, recovered, message), sample.bodies[message.id]);
    std::swap_ranges(image.begin() + at, image.begin() + at + block_bytes,
                     image.begin() + at + block_bytes);
  }
}

TEST(Recovery, AnUnreadableBlockIsDamageAndItsSegmentIsKept) {
  Sample sample;
  sample.disk.unreadable_segment = 0;
  sample.disk.unreadable_offset = records_offset + block_bytes;
  const Recovered recovered = recover(sample.disk, geometry);
  EXPECT_GT(recovered.damage_count, 0U);
  EXPECT_TRUE(recovered.segments[0].damaged);
  EXPECT_GE(recovered.messages.size(), 4U);
  SegmentPool pool(geometry, 1, 5);
  adopt(recovered, pool);
  EXPECT_TRUE(pool.held(0));
}

TEST(Recovery, TheLastBatchOfASegmentIsMissedByTheNextOne) {
  Disk disk(geometry);
  Rig rig(disk);
  while (rig.pool.free_segments() > geometry.segment_count - 2)
    ASSERT_NE(rig.accept(std::string(5000, 'x')), MessageId{});
  ASSERT_EQ(recover(disk, geometry).damage_count, 0U);
  // All of the last batch of segment 0.
  std::optional<BatchTrailer> last;
  for (uint32_t at = records_offset; at < geometry.segment_bytes; at += block_bytes)
    if (auto trailer = read_trailer(Bytes(disk.images[0]).subspan(at, block_bytes), 0, at))
      last = trailer;
  ASSERT_TRUE(last);
  std::fill(disk.images[0].begin() + last->begin, disk.images[0].end(), std::byte{0});
  EXPECT_EQ(recover(disk, geometry).damage_count, 1U);
}

TEST(Recovery, AnotherVersionOrSegmentSizeIsRefused) {
  Sample sample;
  EXPECT_FALSE(recover(sample.disk, {128U << 10, 8}).refusal.empty());
  auto header =
      *read_segment_header(Bytes(sample.disk.images[0]).subspan(header_offset, block_bytes));
  header.version = format_version + 1;
  write_segment_header(MutableBytes(sample.disk.images[0]).subspan(header_offset, block_bytes),
                       header);
  EXPECT_NE(recover(sample.disk, geometry).refusal.find("newer version"), std::string::npos);
}

TEST(Recovery, AnotherNumberOfShardsLosesNothing) {
  Disk disk({64U << 10, 24});
  std::set<MessageId> ids;
  {
    Rig rig(disk);
    for (int i = 0; i < 60; ++i) ids.insert(rig.accept(std::string(3000, 'x')));
  }
  for (const uint32_t shards : {1U, 2U, 5U}) {
    const Recovered recovered = recover(disk, disk.geometry);
    SegmentPool pool(disk.geometry, shards, SegmentPool::reserve_min(shards));
    adopt(recovered, pool);
    std::set<MessageId> found;
    std::set<uint32_t> owners;
    for (const RecoveredMessage& message : recovered.messages) {
      found.insert(message.id);
      owners.insert(pool.owner(message.commit.segment));
    }
    EXPECT_EQ(found, ids);
    EXPECT_EQ(owners.size(), shards);
  }
}

}  // namespace
}  // namespace mx::queue
