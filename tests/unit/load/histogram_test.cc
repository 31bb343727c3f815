#include "tools/load/histogram.h"

#include <gtest/gtest.h>

#include "proto/base/prng.h"

namespace mx::load {
namespace {

TEST(Histogram, IsZeroWhenEmpty) {
  const Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0U);
  EXPECT_EQ(histogram.quantile(1), 0U);
}

TEST(Histogram, IsExactForSmallValues) {
  Histogram histogram;
  for (int us = 1; us <= 20; ++us) histogram.record(microseconds(us));
  EXPECT_EQ(histogram.quantile(0.5), 10U);
  EXPECT_EQ(histogram.quantile(0.95), 19U);
  EXPECT_EQ(histogram.quantile(1), 20U);
  EXPECT_EQ(histogram.max(), 20U);
}

TEST(Histogram, IsNeverTooLowAndAtMostThreePercentTooHigh) {
  Prng random(3);
  for (int round = 0; round < 1000; ++round) {
    const uint64_t us = random.next() >> (1 + random.below(63));
    Histogram histogram;
    histogram.record(microseconds(static_cast<int64_t>(us)));
    histogram.record(microseconds(INT64_MAX));  // so that the maximum does not cut the bucket
    EXPECT_GE(histogram.quantile(0.5), us);
    EXPECT_LE(static_cast<double>(histogram.quantile(0.5)), static_cast<double>(us) * 1.0313 + 1);
  }
}

TEST(Histogram, TakesANegativeDurationForZero) {
  Histogram histogram;
  histogram.record(microseconds(-5));
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.max(), 0U);
}

}  // namespace
}  // namespace mx::load
