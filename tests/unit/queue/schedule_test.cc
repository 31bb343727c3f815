#include "queue/schedule.h"

#include <gtest/gtest.h>

namespace mx::queue {
namespace {

TEST(Schedule, ReadyOnesComeInOrder) {
  Schedule schedule({}, 1);
  for (uint64_t i = 1; i <= 3; ++i) schedule.add_ready({{i}, 0});
  for (uint64_t i = 1; i <= 3; ++i) EXPECT_EQ(schedule.next_ready({0})->id, MessageId{i});
  EXPECT_FALSE(schedule.next_ready({0}));
  EXPECT_FALSE(schedule.next_due({0}));
}

TEST(Schedule, DeferredOnesComeWhenTheyAreDue) {
  Schedule schedule({}, 1);
  schedule.defer({{2}, 7}, {200000});
  schedule.defer({{1}, 7}, {100000});
  EXPECT_EQ(schedule.next_due({0}), Instant{100'000});
  EXPECT_FALSE(schedule.next_ready({99'999}));
  const auto first = schedule.next_ready({100'000});
  EXPECT_EQ(first->id, MessageId{1});
  EXPECT_EQ(first->attempts, 7);
  EXPECT_FALSE(schedule.next_ready({199'999}));
  EXPECT_EQ(schedule.next_ready({1'000'000})->id, MessageId{2});
}

TEST(Schedule, WakeAllMakesThemReadyInTheOrderInWhichTheyWereDue) {
  Schedule schedule({}, 1);
  for (const uint64_t i : {5U, 3U, 4U, 1U, 2U})
    schedule.defer({{i}, 1}, {static_cast<int64_t>(i) * 1000});
  schedule.wake_all();
  EXPECT_EQ(schedule.deferred_count(), 0U);
  for (uint64_t i = 1; i <= 5; ++i) EXPECT_EQ(schedule.next_ready({0})->id, MessageId{i});
}

TEST(Schedule, StaleTurnsAreDroppedAndTheRestKeepsItsOrder) {
  Schedule schedule({}, 1);
  schedule.add_ready({{9}, 1});
  schedule.add_ready({{9}, 2});
  for (const uint64_t i : {5U, 3U, 4U, 1U, 2U})
    schedule.defer({{i}, static_cast<uint16_t>(i % 2)}, {static_cast<int64_t>(i) * 1000});
  schedule.erase_if([](MessageId, uint16_t attempts) { return attempts == 1; });
  EXPECT_EQ(schedule.ready_count(), 1U);
  EXPECT_EQ(schedule.deferred_count(), 2U);
  EXPECT_EQ(schedule.next_ready({0})->attempts, 2);
  EXPECT_FALSE(schedule.next_ready({1999}));
  EXPECT_EQ(schedule.next_ready({10'000})->id, MessageId{2});
  EXPECT_EQ(schedule.next_ready({10'000})->id, MessageId{4});
  EXPECT_FALSE(schedule.next_ready({10'000}));
}

TEST(Schedule, DelayDoublesWithinItsBoundsAndIsSpread) {
  Schedule schedule({seconds(300), seconds(4000)}, 7);
  bool differs = false;
  for (uint32_t attempts = 1; attempts < 70; ++attempts) {
    const Duration delay = schedule.delay(attempts);
    EXPECT_GE(delay, seconds(300));
    EXPECT_LE(delay, seconds(4000));
    if (schedule.delay(attempts) != delay) differs = true;
  }
  EXPECT_TRUE(differs);
  EXPECT_LE(schedule.delay(1), seconds(375));
  EXPECT_GE(schedule.delay(3), seconds(900));
  EXPECT_GE(schedule.delay(70), seconds(3000));
}

TEST(Schedule, AfterARestartNothingWaitsLongerThanTheMaximum) {
  Schedule schedule({seconds(300), seconds(4000)}, 7);
  const WallTime wall{1'000'000'000};
  schedule.restore({{1}, 0}, {0}, wall, {0});
  schedule.restore({{2}, 0}, wall + seconds(-5), wall, {0});
  schedule.restore({{3}, 0}, wall + seconds(100), wall, {0});
  schedule.restore({{4}, 0}, wall + seconds(1'000'000), wall, {0});
  EXPECT_EQ(schedule.ready_count(), 2U);
  schedule.next_ready({0});
  schedule.next_ready({0});
  EXPECT_EQ(schedule.next_ready(Instant{} + seconds(100))->id, MessageId{3});
  EXPECT_EQ(schedule.next_ready(Instant{} + seconds(4000))->id, MessageId{4});
}

}  // namespace
}  // namespace mx::queue
