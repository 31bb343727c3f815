// Which backend of a next hop gets a message or a connection.

#include "engine/relay/lanes.h"

#include <gtest/gtest.h>

#include <map>

namespace mx::relay {
namespace {

constexpr Instant now{1'000'000'000};

struct LanesTest : testing::Test {
  Backends backends;
  Lanes lanes;

  void make(std::initializer_list<uint32_t> preferences) {
    for (const uint32_t preference : preferences) {
      const std::string text(1, static_cast<char>('a' + backends.size()));
      backends.push_back(std::make_shared<Backend>(
          Candidate{*io::parse_endpoint("127.0.0.1", 25), text, preference}, BackendLimits{}, 1));
    }
    set();
  }
  void set() {
    lanes.set(backends, true, true, [](Lane&) {});
  }
  Lane& lane(size_t i) { return *lanes.all()[i]; }
  void down(size_t i) {
    backends[i]->failed(now, *backends[i]->lease(), now, this);
    backends[i]->give_back(false);
  }
  void idle(size_t i) {
    lane(i).idle.push_back(0);
    ++lane(i).ready;
  }
  Lane* turn() {
    warm = nullptr;
    return lanes.take_turn(&warm);
  }
  std::string order() {
    Lanes::Choice choice;
    lanes.order_to_open(choice);
    std::string out;
    for (const Lane* each : choice) out += each->backend->text();
    return out;
  }
  Lane* warm = nullptr;
};

TEST_F(LanesTest, EqualOnesTakeTurns) {
  make({0, 0, 0});
  for (size_t i = 0; i < 3; ++i) idle(i);
  std::map<Lane*, int> got;
  for (int i = 0; i < 30; ++i) ++got[turn()];
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(got[&lane(i)], 10);
}

TEST_F(LanesTest, TheOneThatDeliversLeastIsNext) {
  make({0, 0});
  idle(0);
  idle(1);
  lane(0).busy = 3;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(turn(), &lane(1));
}

TEST_F(LanesTest, ADeadOneGetsNothing) {
  make({0, 0});
  idle(0);
  idle(1);
  down(0);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(turn(), &lane(1));
  EXPECT_EQ(order(), "b");
  EXPECT_FALSE(lanes.is_eligible(lane(0)));
  EXPECT_TRUE(lanes.up());
  down(1);
  EXPECT_EQ(turn(), nullptr);
  EXPECT_EQ(order(), "");
  EXPECT_FALSE(lanes.up());
}

TEST_F(LanesTest, NoMessageWaitsForAConnectionWhileAnotherIsIdle) {
  make({0, 0});
  idle(0);
  lane(0).busy = 1;
  EXPECT_EQ(turn(), &lane(0));
  EXPECT_EQ(warm, &lane(1)) << "its turn: a connection for the next time";
  lane(1).opening = 1;
  EXPECT_EQ(turn(), &lane(0));
  EXPECT_EQ(warm, nullptr) << "one is on its way";
}

TEST_F(LanesTest, TheBestPreferenceThatIsUp) {
  make({5, 1, 1, 9});
  EXPECT_EQ(order().find_first_of("ad"), std::string::npos);
  down(1);
  down(2);
  EXPECT_EQ(order(), "a");
  idle(0);
  idle(3);
  EXPECT_EQ(turn(), &lane(0));
}

TEST_F(LanesTest, TheSecondBestServesUntilTheBestIsThere) {
  make({0, 10});
  idle(1);
  EXPECT_EQ(turn(), &lane(1));
  EXPECT_EQ(warm, &lane(0));
  ++lane(0).ready;  // there, and busy: it is waited for
  EXPECT_EQ(turn(), nullptr);
  EXPECT_FALSE(lanes.is_eligible(lane(1)));
}

TEST_F(LanesTest, OneThatLetsWaitIsTheLast) {
  make({0, 10});
  backends[0]->stalled(true);
  EXPECT_EQ(order(), "b");
  down(1);
  EXPECT_EQ(order(), "a");
  backends[0]->stalled(false);
}

TEST_F(LanesTest, ConnectionsGoWhereTheFewestAre) {
  make({0, 0, 0});
  backends[0]->lease();
  backends[0]->lease();
  backends[2]->lease();
  EXPECT_EQ(order(), "bca");
}

TEST_F(LanesTest, AFullNextHopIsShared) {
  make({0, 0, 10});
  for (int i = 0; i < 4; ++i) backends[0]->lease();
  EXPECT_TRUE(lanes.has_too_many(lane(0)));
  EXPECT_FALSE(lanes.has_too_many(lane(1)));
  EXPECT_TRUE(lanes.has_too_many(lane(2))) << "better ones are there";
  for (int i = 0; i < 3; ++i) backends[1]->lease();
  EXPECT_FALSE(lanes.has_too_many(lane(0))) << "as even as can be";
}

TEST_F(LanesTest, ANewListKeepsWhatStays) {
  make({0, 0});
  const auto first = lanes.all()[0];
  const auto second = lanes.all()[1];
  backends.erase(backends.begin());
  int gone = 0;
  lanes.set(backends, true, true, [&](Lane& lane) {
    ++gone;
    EXPECT_EQ(&lane, first.get());
  });
  EXPECT_EQ(gone, 1);
  EXPECT_TRUE(first->retired);
  ASSERT_EQ(lanes.all().size(), 1U);
  EXPECT_EQ(lanes.all()[0], second);
  lanes.set(backends, false, true, [](Lane&) {});
  EXPECT_TRUE(lanes.empty()) << "of a family that is not used";
}

}  // namespace
}  // namespace mx::relay
