#include "engine/io/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "proto/base/prng.h"

namespace mx::io {
namespace {

constexpr Instant start{1'000'000};
constexpr Duration tick = milliseconds(8);

std::vector<uint32_t> fired_at(TimerWheel& wheel, Instant now) {
  std::vector<uint32_t> fired;
  wheel.advance(now, [&](Timer& timer) { fired.push_back(timer.slot); });
  return fired;
}

TEST(TimerWheel, FiresAtTheDeadlineOrWithinTwoTicksAfterAndNeverBefore) {
  for (const int64_t ms : {0, 1, 7, 8, 9, 63, 511, 512, 513, 5'000, 32'767, 32'768, 40'000, 300'000,
                           2'097'152, 3'000'000, 130'000'000, 140'000'000, 900'000'000}) {
    TimerWheel wheel(start);
    Timer timer;
    const Instant deadline = start + milliseconds(ms);
    wheel.arm(timer, deadline);
    EXPECT_TRUE(fired_at(wheel, deadline - microseconds(1)).empty()) << ms;
    EXPECT_EQ(fired_at(wheel, deadline + tick * 2).size(), 1U) << ms;
    EXPECT_EQ(wheel.size(), 0U);
  }
}

TEST(TimerWheel, MovedLaterFiresOnceAtTheLaterTime) {
  TimerWheel wheel(start);
  Timer timer;
  wheel.arm(timer, start + seconds(1));
  wheel.arm(timer, start + seconds(300));
  EXPECT_TRUE(fired_at(wheel, start + seconds(299)).empty());
  EXPECT_EQ(fired_at(wheel, start + seconds(301)).size(), 1U);
}

TEST(TimerWheel, MovedEarlierFiresAtTheEarlierTime) {
  TimerWheel wheel(start);
  Timer timer;
  wheel.arm(timer, start + seconds(300));
  wheel.arm(timer, start + seconds(1));
  EXPECT_EQ(fired_at(wheel, start + seconds(2)).size(), 1U);
  EXPECT_TRUE(fired_at(wheel, start + seconds(400)).empty());
}

TEST(TimerWheel, CancelledNeverFires) {
  TimerWheel wheel(start);
  Timer timer;
  wheel.arm(timer, start + seconds(40));
  fired_at(wheel, start + seconds(39));
  wheel.cancel(timer);
  EXPECT_TRUE(fired_at(wheel, start + seconds(100)).empty());
  EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimerWheel, WaitsNoLongerThanToTheNextTimer) {
  TimerWheel wheel(start);
  Timer timer;
  EXPECT_EQ(wheel.until_next(start, seconds(60)), seconds(60));
  wheel.arm(timer, start + seconds(10));
  Instant now = start;
  int turns = 0;
  while (fired_at(wheel, now).empty()) {
    ASSERT_LT(++turns, 100);  // a few look-ins for the cascades, no spinning
    const Duration wait = wheel.until_next(now, seconds(60));
    ASSERT_GT(wait.us, 0);
    now = now + wait;
    ASSERT_LE(now, start + seconds(11));
  }
  EXPECT_GE(now, start + seconds(10));
}

TEST(TimerWheel, RandomOperationsAgreeWithASortedList) {
  Prng prng(7);
  TimerWheel wheel(start);
  constexpr uint32_t count = 200;
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<int64_t> deadline(count, -1);
  for (uint32_t i = 0; i < count; ++i) {
    timers.push_back(std::make_unique<Timer>());
    timers.back()->slot = i;
  }
  Instant now = start;
  for (int step = 0; step < 20'000; ++step) {
    const auto i = static_cast<uint32_t>(prng.below(count));
    switch (prng.below(4)) {
      case 0:
      case 1: {
        const Instant at =
            now + milliseconds(static_cast<int64_t>(prng.below(1ULL << prng.below(24))));
        wheel.arm(*timers[i], at);
        deadline[i] = at.us;
        break;
      }
      case 2:
        wheel.cancel(*timers[i]);
        deadline[i] = -1;
        break;
      case 3: {
        now = now + milliseconds(static_cast<int64_t>(prng.below(1ULL << prng.below(18))));
        for (const uint32_t fired : fired_at(wheel, now)) {
          ASSERT_GE(deadline[fired], 0);
          ASSERT_LE(deadline[fired], now.us);
          deadline[fired] = -1;
        }
        for (uint32_t k = 0; k < count; ++k)
          if (deadline[k] >= 0) {
            ASSERT_GT(deadline[k] + tick.us * 2, now.us) << "timer " << k << " is late";
          }
        break;
      }
    }
  }
  for (auto& timer : timers) wheel.cancel(*timer);
  EXPECT_EQ(wheel.size(), 0U);
}

}  // namespace
}  // namespace mx::io
