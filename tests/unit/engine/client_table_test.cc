#include "engine/session/client_table.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace mx::session {
namespace {

using Event = ClientTable::Event;
constexpr Duration window = seconds(60);

IpAddress client(uint32_t number) {
  IpAddress address;
  for (size_t i = 0; i < 4; ++i)
    address.bytes[i] = static_cast<uint8_t>(number >> (24 - 8 * static_cast<int>(i)));
  return address;
}

TEST(ClientTable, CountsConnectionsAndEvents) {
  ClientTable table(100, 1);
  const Instant now{};
  EXPECT_EQ(table.count(client(1), Event::connection, window, now).open, 1U);
  EXPECT_EQ(table.count(client(1), Event::connection, window, now).open, 2U);
  EXPECT_EQ(table.count(client(2), Event::connection, window, now).open, 1U);
  EXPECT_EQ(table.count(client(1), Event::message, window, now).rate, 1U);
  EXPECT_EQ(table.count(client(1), Event::message, window, now).rate, 2U);
  EXPECT_EQ(table.count(client(1), Event::recipient, window, now).rate, 1U);
  table.close(client(1));
  const auto figures = table.count(client(1), Event::connection, window, now);
  EXPECT_EQ(figures.open, 2U);
  EXPECT_EQ(figures.rate, 3U);
}

TEST(ClientTable, ARateBeginsAnewBehindItsWindow) {
  ClientTable table(100, 1);
  const Instant start{};
  table.count(client(1), Event::connection, window, start);
  EXPECT_EQ(table.count(client(1), Event::message, window, start + seconds(60)).rate, 1U);
  EXPECT_EQ(table.count(client(1), Event::message, window, start + seconds(60)).rate, 2U);
  EXPECT_EQ(table.count(client(1), Event::message, window, start + seconds(61)).rate, 1U);
  // Open connections stay.
  EXPECT_EQ(table.count(client(1), Event::connection, window, start + seconds(61)).open, 2U);
}

TEST(ClientTable, IsNeverFullForLongAndNeverCountsWrongly) {
  ClientTable table(1, 7);  // 64 sets of 16
  const Instant start{};
  for (uint32_t i = 0; i < 100'000; ++i) {
    const auto figures = table.count(client(i), Event::message, window, start);
    EXPECT_LE(figures.rate, 1U);
  }
  EXPECT_GE(table.not_counted(), 100'000U - 64 * 16);
  const uint64_t before = table.not_counted();
  for (uint32_t i = 200'000; i < 200'100; ++i)
    EXPECT_EQ(table.count(client(i), Event::message, window, start + seconds(61)).rate, 1U);
  EXPECT_EQ(table.not_counted(), before);
  table.close(client(999'999));  // of nobody
}

TEST(ClientTable, ManyThreadsLoseNothing) {
  ClientTable table(1000, 3);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (uint32_t i = 0; i < 40'000; ++i) {
        table.count(client(i % 10), Event::connection, window, Instant());
        if (i % 2 == 0) table.close(client(i % 10));
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (uint32_t i = 0; i < 10; ++i) {
    const auto figures = table.count(client(i), Event::connection, window, Instant());
    EXPECT_EQ(figures.rate, 16'001U);
    EXPECT_EQ(figures.open, (i % 2 == 0 ? 0U : 16'000U) + 1);
  }
}

}  // namespace
}  // namespace mx::session
