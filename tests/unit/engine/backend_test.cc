// A backend's states by a virtual clock: down, probes with their jitter, the ramp, and what
// several threads make of it.

#include "engine/relay/backend.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "engine/relay/next_hop.h"

namespace mx::relay {
namespace {

const int me = 0, other = 0;
constexpr Instant start{1'000'000'000};

Candidate candidate(const std::string& host = "a", uint32_t preference = 0) {
  return {*io::parse_endpoint("127.0.0.1", 25), host + "[127.0.0.1]:25", preference};
}

struct BackendTest : testing::Test {
  BackendLimits limits{.connections_max = 20, .initial = 5, .growth = {}};
  Backend backend{candidate(), limits, 7};
  Instant now = start;

  // A connection as far as EHLO; it stays open.
  Backend::Period open() {
    const auto period = backend.lease();
    EXPECT_TRUE(period);
    backend.ready(now, {});
    return period.value_or(0);
  }
  void fail() {
    const auto period = backend.lease();
    ASSERT_TRUE(period);
    EXPECT_TRUE(backend.failed(now, *period, now, &me));
    backend.give_back(false);
  }
  // Waits for the probe's time; how long that was.
  Duration wait_for_probe() {
    EXPECT_FALSE(backend.lease_probe(backend.probe_at() - microseconds(1)));
    const Duration wait = backend.probe_at() - now;
    now = backend.probe_at();
    return wait;
  }
};

TEST_F(BackendTest, IsDownUntilAProbeSaysOtherwise) {
  EXPECT_TRUE(backend.up());
  fail();
  EXPECT_EQ(backend.state(), Backend::State::down);
  EXPECT_EQ(backend.since(), now);
  EXPECT_FALSE(backend.lease());
  EXPECT_TRUE(backend.is_timed_by(&me));
  wait_for_probe();
  const auto probe = backend.lease_probe(now);
  ASSERT_TRUE(probe);
  EXPECT_EQ(backend.state(), Backend::State::probing);
  EXPECT_FALSE(backend.lease_probe(now)) << "one probe";
  EXPECT_FALSE(backend.lease());
  EXPECT_TRUE(backend.ready(now, {}));
  EXPECT_TRUE(backend.up());
  EXPECT_EQ(backend.failures(), 0U);
  backend.give_back(true);
  EXPECT_EQ(backend.connections(), 0U);
}

TEST_F(BackendTest, ProbesGetRarerWithJitterUpToAMinute) {
  fail();
  std::set<int64_t> jitters;
  for (int64_t base : {1, 2, 4, 8, 16, 32, 60, 60, 60, 60}) {
    const Duration wait = wait_for_probe();
    EXPECT_GE(wait, seconds(base));
    EXPECT_LE(wait, seconds(base) + microseconds(base * 250'000));
    jitters.insert((wait - seconds(base)).us);
    const auto probe = backend.lease_probe(now);
    ASSERT_TRUE(probe);
    EXPECT_FALSE(backend.failed(now, *probe, now, &me)) << "it was down before";
    backend.give_back(false);
  }
  EXPECT_GT(jitters.size(), 5U);
  EXPECT_EQ(backend.failures(), 11U);
}

TEST_F(BackendTest, ThoseThatFailTogetherAreOneFailure) {
  std::vector<Backend::Period> periods;
  for (int i = 0; i < 5; ++i) periods.push_back(*backend.lease());
  EXPECT_TRUE(backend.failed(now, periods[0], now, &me));
  const Instant at = backend.probe_at();
  for (size_t i = 1; i < 5; ++i) EXPECT_FALSE(backend.failed(now, periods[i], now, &other));
  EXPECT_EQ(backend.probe_at(), at);
  EXPECT_TRUE(backend.is_timed_by(&me));
  EXPECT_EQ(backend.failures(), 1U);
}

TEST_F(BackendTest, WhatWasBegunBeforeSaysNothingAboutNow) {
  const auto slow = backend.lease();
  fail();
  wait_for_probe();
  ASSERT_TRUE(backend.lease_probe(now));
  EXPECT_TRUE(backend.ready(now, {}));
  EXPECT_FALSE(backend.failed(now, *slow, start, &me));
  EXPECT_TRUE(backend.up());
}

TEST_F(BackendTest, OneThatTakesNoMoreIsNotDown) {
  for (int i = 0; i < 3; ++i) open();
  const auto one_more = backend.lease();
  EXPECT_FALSE(backend.failed(now, *one_more, now, &me));
  backend.give_back(false);
  EXPECT_TRUE(backend.up());
  EXPECT_EQ(backend.window(), 3U);
  EXPECT_FALSE(backend.lease()) << "no storm: as many as it has";
  backend.delivered(now);
  EXPECT_FALSE(backend.lease()) << "not at once";
  now = now + seconds(2);
  backend.delivered(now);
  EXPECT_TRUE(backend.lease()) << "then one more";
}

TEST_F(BackendTest, SilentConnectionsDoNotKeepItUp) {
  open();
  const Instant begun = now + seconds(5);
  const auto period = backend.lease();
  now = begun + seconds(30);
  EXPECT_TRUE(backend.failed(now, *period, begun, &me));
}

TEST_F(BackendTest, TheWindowGrowsWithSuccessAsFarAsItIsUsed) {
  for (int i = 0; i < 5; ++i) open();
  EXPECT_FALSE(backend.lease());
  for (int i = 0; i < 5; ++i) backend.delivered(now);
  EXPECT_EQ(backend.window(), 10U);
  backend.delivered(now);
  EXPECT_EQ(backend.window(), 10U) << "five are in use";
  for (int i = 0; i < 5; ++i) open();
  for (int i = 0; i < 50; ++i) backend.delivered(now);
  EXPECT_EQ(backend.window(), 15U);
  for (int i = 0; i < 5; ++i) open();
  for (int i = 0; i < 50; ++i) backend.delivered(now);
  EXPECT_EQ(backend.window(), 20U) << "connections_max";
}

TEST_F(BackendTest, FeedbackSaysHowFast) {
  limits.growth = {config::Feedback::By::concurrency, 1000};
  backend.set_limits(limits);
  for (int i = 0; i < 5; ++i) open();
  for (int i = 0; i < 4; ++i) backend.delivered(now);
  EXPECT_EQ(backend.window(), 5U);
  backend.delivered(now);
  EXPECT_EQ(backend.window(), 6U) << "one in a round";
}

TEST_F(BackendTest, ASilentOneIsCheckedByOne) {
  open();
  EXPECT_FALSE(backend.lease_check(now + seconds(59), seconds(60)));
  now = now + seconds(60);
  EXPECT_TRUE(backend.lease_check(now, seconds(60)));
  EXPECT_FALSE(backend.lease_check(now, seconds(60)));
  EXPECT_EQ(backend.silent_since(), now);
}

TEST_F(BackendTest, AnOperatorNeedNotWait) {
  fail();
  backend.probe_now(now, &other);
  EXPECT_TRUE(backend.is_timed_by(&other));
  EXPECT_TRUE(backend.lease_probe(now));
}

// 32 shards that probe in vain one after the other are one operator who asked once.
TEST_F(BackendTest, AnOperatorWhoAskedNeedNotWaitLongAfterIt) {
  fail();
  for (int shard = 0; shard < 32; ++shard) {
    backend.probe_now(now, &me);
    const auto probe = backend.lease_probe(now);
    ASSERT_TRUE(probe);
    backend.failed(now, *probe, now, &me);
    backend.give_back(false);
  }
  EXPECT_LE(wait_for_probe(), seconds(2));
}

TEST_F(BackendTest, KnowsWhatItsLastEhloSaid) {
  EXPECT_FALSE(backend.lacks_smtputf8());
  smtp::Capabilities said;
  said.size_limit = 1000;
  backend.lease();
  backend.ready(now, said);
  EXPECT_TRUE(backend.lacks_smtputf8());
  EXPECT_EQ(backend.size_limit(), 1000U);
  said.smtputf8 = true;
  said.size_limit = 0;
  backend.lease();
  backend.ready(now, said);
  EXPECT_FALSE(backend.lacks_smtputf8());
  EXPECT_EQ(backend.size_limit(), 0U);
}

// Leases, failures, probes and recoveries from several threads at once: nothing is lost, never two
// probes, and the end is an orderly one. (Also a test for ThreadSanitizer.)
TEST(BackendThreads, KeepCount) {
  Backend backend(candidate(), {.connections_max = 8, .initial = 4, .growth = {}}, 3);
  std::atomic<int64_t> clock{start.us};
  std::atomic<int> probes{0};
  const auto work = [&](int number) {
    for (int i = 0; i < 20'000; ++i) {
      const Instant now{clock.fetch_add(20'000)};
      if (const auto period = backend.lease()) {
        EXPECT_LE(backend.connections(), 8U + 4U);
        const bool well = (i + number) % 7 != 0;
        if (well) {
          backend.ready(now, {});
          backend.delivered(now);
        } else {
          backend.failed(now, *period, now - seconds(10), &backend);
        }
        backend.give_back(well);
      } else if (const auto probe = backend.lease_probe(now)) {
        EXPECT_EQ(probes.fetch_add(1), 0);
        probes.fetch_sub(1);
        const bool well = i % 2 == 0;
        if (well) backend.ready(now, {});
        if (!well) backend.failed(now, *probe, now, &backend);
        backend.give_back(well);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(backend.connections(), 0U);
  EXPECT_NE(backend.state(), Backend::State::probing);
}

// --- the next hop

config::NextHop host(const std::string& ip) {
  config::NextHop hop;
  hop.host = ip;
  hop.is_address = hop.bracketed = true;
  hop.text = "[" + ip + "]:25";
  return hop;
}

TEST(NextHopTest, TakesWhatALookUpSays) {
  NextHop hop({host("127.0.0.1")}, false, 10, 1);
  Targets found;
  found.list.push_back({*parse_ip_address("192.0.2.1"), 26, "a.example", 3});
  EXPECT_TRUE(hop.take(found));
  ASSERT_EQ(hop.backends()->size(), 1U);
  EXPECT_EQ(hop.backends()->front()->text(), "a.example[192.0.2.1]:26");
  EXPECT_EQ(hop.backends()->front()->preference(), 3U);
  EXPECT_FALSE(hop.take(found));
  Targets failure;
  failure.code = {4, 4, 3};
  failure.why = "not now";
  EXPECT_FALSE(hop.take(failure));  // what was known stays
  EXPECT_EQ(hop.backends()->size(), 1U);
  Targets no_such_name;
  no_such_name.code = {5, 4, 4};
  no_such_name.why = "there is none";
  EXPECT_TRUE(hop.take(no_such_name));
  EXPECT_TRUE(hop.backends()->empty());
  EXPECT_TRUE(hop.refuses());
  EXPECT_EQ(hop.trouble()->why, "there is none");
  EXPECT_TRUE(hop.take(failure));
  EXPECT_FALSE(hop.refuses());
  EXPECT_EQ(hop.trouble()->code, failure.code);
  EXPECT_TRUE(hop.take(no_such_name));
  const uint32_t version = hop.version();
  hop.set_configured(true);  // a slip in main.cf bounces nothing
  EXPECT_NE(hop.version(), version);
  EXPECT_FALSE(hop.refuses());
  EXPECT_EQ(hop.trouble()->code, (smtp::EnhancedCode{4, 3, 5}));
  EXPECT_FALSE(hop.take(no_such_name));
  EXPECT_FALSE(hop.refuses());
  EXPECT_EQ(hop.trouble()->code, (smtp::EnhancedCode{4, 3, 5}));
  EXPECT_TRUE(hop.take(found));
  EXPECT_EQ(hop.trouble(), nullptr);
}

TEST(NextHopTest, ABackendThatStaysKeepsItsState) {
  NextHop hop({host("127.0.0.1")}, false, 10, 1);
  hop.set_backends({candidate("a"), candidate("b")});
  const uint32_t version = hop.version();
  const auto a = (*hop.backends())[0];
  a->failed(start, *a->lease(), start, &me);
  EXPECT_TRUE(hop.up());
  hop.set_backends({candidate("c"), candidate("a", 5)});
  EXPECT_NE(hop.version(), version);
  EXPECT_EQ((*hop.backends())[1], a);
  EXPECT_EQ(a->preference(), 5U);
  EXPECT_FALSE(a->up());
  hop.set_backends({candidate("a"), candidate("a", 1)});
  EXPECT_EQ(hop.backends()->size(), 1U);
  EXPECT_FALSE(hop.up());
}

TEST(NextHopTest, TakesWhatAllItsBackendsTake) {
  NextHop hop({host("127.0.0.1")}, false, 10, 1);
  hop.set_backends({candidate("a"), candidate("b")});
  EXPECT_FALSE(hop.lacks_smtputf8());
  smtp::Capabilities said;
  said.smtputf8 = true;
  said.size_limit = 500;
  for (const auto& backend : *hop.backends()) {
    backend->lease();
    backend->ready(start, said);
    EXPECT_EQ(hop.lacks_smtputf8(), !said.smtputf8);
    EXPECT_EQ(hop.size_limit(), 500U);
    said.smtputf8 = false;
    said.size_limit = 900;
  }
}

TEST(NextHopTest, LimitsAreThoseOfPostfixUnlessForMailboxes) {
  NextHop hop({host("127.0.0.1")}, false, 10, 1);
  config::TransportLimits limits;
  limits.concurrency = 2;
  hop.set_limits(limits);
  EXPECT_TRUE(hop.lease(false));
  EXPECT_TRUE(hop.lease(false));
  EXPECT_FALSE(hop.lease(false));
  limits.recipients = 1;
  hop.set_limits(limits);
  EXPECT_TRUE(hop.lease(false));
  limits = {};
  limits.rate_delay = seconds(1);
  hop.set_limits(limits);
  EXPECT_EQ(hop.limit(), 1U);
  hop.delivered(start);
  EXPECT_EQ(hop.next_delivery(), start + seconds(1));
}

TEST(NextHopTest, AHungryShardIsGivenOne) {
  NextHop hop({host("127.0.0.1")}, false, 10, 1);
  config::TransportLimits limits;
  limits.concurrency = 1;
  hop.set_limits(limits);
  EXPECT_TRUE(hop.lease(false));
  EXPECT_FALSE(hop.hand_over(1));
  hop.set_user(true);
  hop.set_user(true);
  hop.set_hungry(true);
  EXPECT_TRUE(hop.hand_over(1));
  EXPECT_FALSE(hop.hand_over(1)) << "one is enough";
  hop.give_back();
  EXPECT_FALSE(hop.lease(false)) << "not back to who gave it";
  EXPECT_TRUE(hop.lease(true));
  hop.got_one();
  hop.set_hungry(false);
  hop.give_back();
  EXPECT_TRUE(hop.lease(false));
}

TEST(NextHopTest, ShardsThatHaveWorkGetEqualShares) {
  NextHop hop({host("127.0.0.1")}, false, 10, 1);
  config::TransportLimits limits;
  limits.concurrency = 7;
  hop.set_limits(limits);
  hop.set_user(true);
  uint32_t rich = 0, poor = 0;
  while (hop.lease(false)) ++rich;
  EXPECT_EQ(rich, 7U);
  hop.set_user(true);
  EXPECT_EQ(hop.share(), 3U);
  hop.set_hungry(true);
  while (hop.hand_over(rich)) {
    hop.give_back();
    --rich;
    EXPECT_FALSE(hop.lease(false));
    EXPECT_TRUE(hop.lease(true));
    EXPECT_FALSE(hop.hand_over(rich)) << "that one is not open yet";
    hop.got_one();
    ++poor;
    if (poor == hop.share()) hop.set_hungry(false);
  }
  EXPECT_EQ(poor, 3U);
  EXPECT_EQ(rich, 4U) << "what can't be divided is not passed round";
  hop.set_hungry(true);
  EXPECT_TRUE(hop.hand_over(rich));
  EXPECT_FALSE(hop.hand_over(3));
}

}  // namespace
}  // namespace mx::relay
