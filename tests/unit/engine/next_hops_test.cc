// The next hops of the process: how many there may be, and which are forgotten.

#include "engine/relay/next_hops.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/config/addresses.h"
#include "engine/io/clock.h"
#include "proto/base/limits.h"

namespace mx::relay {
namespace {

struct NextHopsTest : testing::Test {
  NextHops next_hops{config::RelaySettings{}, Self{}, 1};

  NextHops::Pointer get(const std::string& text, bool configured = false, bool ours = true) {
    return next_hops.get(*config::parse_next_hops(text, 25, {}), configured, ours);
  }
  static std::string nth(uint32_t n) {
    return fmt::format("[10.{}.{}.{}]", n >> 16, n >> 8 & 255, n & 255);
  }
  // As many as there may be, held.
  std::vector<NextHops::Pointer> fill() {
    std::vector<NextHops::Pointer> held;
    while (held.size() < limits::next_hops_max) {
      held.push_back(get(nth(static_cast<uint32_t>(held.size()))));
      EXPECT_NE(held.back(), nullptr);
      EXPECT_EQ(next_hops.crowded(), held.size() > limits::next_hops_max / 4 * 3 / 8 * 7);
    }
    return held;
  }
  // Names that are due now, in order.
  std::vector<std::string> due() {
    const std::atomic<bool> stop{true};
    std::vector<std::string> names;
    for (const auto& hop : next_hops.wait_for_due(stop)) names.push_back(hop->name());
    return names;
  }
};

TEST_F(NextHopsTest, TheSameHostsAreTheSame) {
  const auto one = get("[10.0.0.1], [10.0.0.2]");
  EXPECT_EQ(one, get("[10.0.0.1]:25 [10.0.0.2]:25"));
  EXPECT_NE(one, get("[10.0.0.2], [10.0.0.1]"));
  EXPECT_EQ(one->name(), "[10.0.0.1]:25, [10.0.0.2]:25");
  EXPECT_TRUE(one->up());
}

TEST_F(NextHopsTest, OneThatNobodyHasMakesRoom) {
  auto held = fill();
  EXPECT_EQ(get("[192.0.2.1]"), nullptr);
  held[7].reset();
  held[9].reset();
  EXPECT_EQ(get("[192.0.2.1]"), nullptr);  // they are not gone through for each
  next_hops.gave_back();
  EXPECT_NE(get("[192.0.2.1]"), nullptr);
  EXPECT_NE(get("[192.0.2.2]"), nullptr);
  EXPECT_EQ(held[8], get(nth(8)));
}

TEST_F(NextHopsTest, OneOfMainCfIsNotForgotten) {
  config::TransportLimits limits;
  limits.concurrency = 77;
  get("[192.0.2.1]", true)->set_limits(limits);
  get("[192.0.2.2]")->set_limits(limits);
  const auto other = get("[192.0.2.3]");
  std::vector<NextHops::Pointer> held;
  while (NextHops::Pointer next = get(nth(static_cast<uint32_t>(held.size()))))
    held.push_back(std::move(next));
  EXPECT_EQ(held.size(), limits::next_hops_max - 2);  // .1 and .3 are there still
  EXPECT_EQ(get("[192.0.2.1]")->limit(), 77U);
}

TEST_F(NextHopsTest, OneOfMainCfHasAPlace) {
  const auto held = fill();
  EXPECT_EQ(get("[192.0.2.1]"), nullptr);
  EXPECT_NE(get("[192.0.2.1]", true), nullptr);
  EXPECT_NE(get("[192.0.2.1]"), nullptr);
}

TEST_F(NextHopsTest, AQuarterOfThePlacesIsOurs) {
  std::vector<NextHops::Pointer> held;
  while (NextHops::Pointer next = get(nth(static_cast<uint32_t>(held.size())), false, false))
    held.push_back(std::move(next));
  EXPECT_EQ(held.size(), limits::next_hops_max / 4 * 3);
  EXPECT_NE(get("[192.0.2.1]"), nullptr);
}

TEST_F(NextHopsTest, OneThatMainCfNamedOnceIsForgotten) {
  const auto hosts = *config::parse_next_hops("one.test", 25, {});
  get("one.test", true);
  get("two.test", true);
  next_hops.now_configured({&hosts});
  EXPECT_EQ(due(), std::vector<std::string>{"one.test:25"});
  EXPECT_EQ(next_hops.all().size(), 1U);
}

TEST_F(NextHopsTest, WhatNobodyHasMakesNoCrowd) {
  auto held = fill();
  EXPECT_TRUE(next_hops.crowded());
  held.resize(100);
  EXPECT_FALSE(next_hops.crowded());
  EXPECT_EQ(next_hops.all().size(), 100U);
}

TEST_F(NextHopsTest, NamesOfMainCfAreLookedUpFirst) {
  const auto one = get("one.test"), two = get("two.test", true);
  EXPECT_EQ(due(), (std::vector<std::string>{"two.test:25", "one.test:25"}));
}

TEST_F(NextHopsTest, NewNamesDoNotGoBeforeOldOnes) {
  std::vector<NextHops::Pointer> held{get("zzz.test")};
  EXPECT_EQ(due().size(), 1U);
  next_hops.looked_up(*held[0], Instant{1});
  for (int i = 0; i < 70; ++i) held.push_back(get(fmt::format("h{:02}.test", i)));
  EXPECT_EQ(due().front(), "zzz.test:25");
}

TEST_F(NextHopsTest, NamesAreLookedUpOnceAtATime) {
  const auto one = get("one.test"), two = get("two.test"), address = get("[10.0.0.1]");
  EXPECT_EQ(due(), (std::vector<std::string>{"one.test:25", "two.test:25"}));
  EXPECT_TRUE(due().empty());  // under way
  next_hops.looked_up(*two, Instant{});
  next_hops.looked_up(*one, io::now() + seconds(100));
  EXPECT_EQ(due(), std::vector<std::string>{"two.test:25"});
}

TEST_F(NextHopsTest, TheMostUrgentNamesAreLookedUpFirst) {
  std::vector<NextHops::Pointer> held;
  for (int i = 0; i < 70; ++i) held.push_back(get(fmt::format("h{:02}.test", i)));
  EXPECT_EQ(due().size(), 64U);
  EXPECT_EQ(due().size(), 6U);
  for (int i = 0; i < 70; ++i)
    next_hops.looked_up(*held[static_cast<size_t>(i)], Instant{1 + (i == 69 ? 0 : i)});
  const auto again = due();
  ASSERT_EQ(again.size(), 64U);
  EXPECT_TRUE(std::ranges::find(again, "h69.test:25") != again.end());
  EXPECT_TRUE(std::ranges::find(again, "h68.test:25") == again.end());
}

TEST_F(NextHopsTest, ANameThatNobodyHasIsNotLookedUpAgain) {
  auto one = get("one.test");
  EXPECT_EQ(due().size(), 1U);
  next_hops.looked_up(*one, Instant{});
  one.reset();
  EXPECT_TRUE(due().empty());
  EXPECT_TRUE(next_hops.all().empty());
}

}  // namespace
}  // namespace mx::relay
