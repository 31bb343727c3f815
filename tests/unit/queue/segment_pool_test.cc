#include "queue/segment_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace mx::queue {
namespace {

using Purpose = SegmentPool::Purpose;
const Geometry sixteen{64U << 10, 16};

struct Pool : SegmentPool {
  Pool() : SegmentPool(sixteen, 2, 9) {
    for (uint32_t i = 0; i < sixteen.segment_count; ++i) add_blank(i);
  }
};

TEST(SegmentPool, ClaimsGiveDifferentSegmentsAndRisingSequences) {
  Pool pool;
  const auto a = pool.claim(0, Purpose::messages, 9);
  const auto b = pool.claim(1, Purpose::messages, 9);
  ASSERT_TRUE(a && b);
  EXPECT_NE(*a, *b);
  EXPECT_LT(pool.life(*a).sequence, pool.life(*b).sequence);
  EXPECT_EQ(pool.owner(*b), 1U);
  EXPECT_EQ(pool.state(*a), SegmentState::open);
}

TEST(SegmentPool, TheReserveServesNoticesThenWhatGivesSegmentsBack) {
  Pool pool;
  uint32_t claimed = 0;
  while (pool.claim(0, Purpose::messages, 1)) ++claimed;
  EXPECT_EQ(claimed, 7U);
  while (pool.claim(0, Purpose::notices, 1)) ++claimed;
  EXPECT_EQ(claimed, 9U);
  EXPECT_FALSE(pool.claim(0, Purpose::salvage, 1));
  while (pool.claim(0, Purpose::marks, 1)) ++claimed;
  EXPECT_EQ(claimed, 12U);
  while (pool.claim(0, Purpose::compaction, 1)) ++claimed;
  EXPECT_EQ(claimed, 14U);
  while (pool.claim(0, Purpose::relocation, 1)) ++claimed;
  EXPECT_EQ(claimed, 16U);
}

TEST(SegmentPool, PromisesAreHeldAgainstFreeSegments) {
  Pool pool;
  const uint64_t all = pool.free_bytes();
  EXPECT_EQ(all, 7 * (uint64_t{sixteen.segment_bytes} / 8 * 7));
  EXPECT_FALSE(pool.reserve(all + 1));
  EXPECT_TRUE(pool.reserve(all));
  EXPECT_FALSE(pool.reserve(1));
  pool.release(1);
  EXPECT_TRUE(pool.reserve(1));
  pool.release(all);
  EXPECT_EQ(pool.free_bytes(), all);
  ASSERT_TRUE(pool.claim(0, Purpose::messages, 1));
  EXPECT_FALSE(pool.reserve(all));
}

TEST(SegmentPool, ASegmentIsRetiredOnlyByItsOwnerAndWhenNothingNeedsIt) {
  Pool pool;
  const uint32_t target = *pool.claim(0, Purpose::messages, 1);
  const uint32_t holder = *pool.claim(1, Purpose::messages, 1);
  pool.add_live({target, 800});
  EXPECT_EQ(pool.live_bytes(target), 800U);
  pool.pin(target, holder);
  pool.pin(target, holder);  // counts once
  EXPECT_EQ(pool.pins(holder), 1U);
  EXPECT_FALSE(pool.begin_retire(target, 0)) << "open";
  pool.seal(target);
  pool.seal(holder);
  EXPECT_FALSE(pool.begin_retire(target, 0)) << "lives";
  EXPECT_FALSE(pool.begin_retire(holder, 1)) << "pinned";
  pool.drop_live({target, 800});
  EXPECT_FALSE(pool.begin_retire(target, 1)) << "not the owner";
  EXPECT_TRUE(pool.begin_retire(target, 0));
  EXPECT_FALSE(pool.begin_retire(target, 0)) << "once";
  EXPECT_FALSE(pool.begin_retire(holder, 1)) << "the grave is not durable yet";
  pool.finish_retire(target);
  EXPECT_EQ(pool.state(target), SegmentState::free);
  EXPECT_TRUE(pool.begin_retire(holder, 1));
}

TEST(SegmentPool, RelocatedMarksLetOlderHoldersGoOnly) {
  Pool pool;
  const uint32_t target = *pool.claim(0, Purpose::messages, 1);
  const uint32_t old_holder = *pool.claim(0, Purpose::messages, 1);
  const uint32_t new_holder = *pool.claim(0, Purpose::messages, 1);
  pool.pin(target, old_holder);
  pool.pin(target, new_holder);
  pool.unpin_older(target, pool.life(new_holder).sequence);
  EXPECT_EQ(pool.pins(old_holder), 0U);
  EXPECT_EQ(pool.pins(new_holder), 1U);
}

TEST(SegmentPool, AHeldSegmentStays) {
  SegmentPool pool(sixteen, 1, 5);
  pool.adopt_sealed(2, 0, {1, 1}, true);
  EXPECT_TRUE(pool.held(2));
  EXPECT_FALSE(pool.begin_retire(2, 0));
}

TEST(SegmentPool, ManyThreadsNeverShareASegment) {
  SegmentPool pool({64U << 10, 64}, 4, 17);
  for (uint32_t i = 0; i < 64; ++i) pool.add_blank(i);
  std::atomic<uint32_t> users[64] = {};
  std::atomic<bool> shared{false};
  std::vector<std::thread> threads;
  for (uint32_t shard = 0; shard < 4; ++shard) {
    threads.emplace_back([&, shard] {
      for (int i = 0; i < 5000; ++i) {
        const auto segment = pool.claim(shard, Purpose::messages, 1);
        if (!segment) continue;
        if (users[*segment].fetch_add(1) != 0) shared = true;
        pool.seal(*segment);
        users[*segment].fetch_sub(1);
        if (pool.begin_retire(*segment, shard)) pool.finish_retire(*segment);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(shared);
  EXPECT_EQ(pool.free_segments(), 64U);
}

}  // namespace
}  // namespace mx::queue
