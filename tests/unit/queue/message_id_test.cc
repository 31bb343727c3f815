#include "queue/message_id.h"

#include <gtest/gtest.h>

namespace mx::queue {
namespace {

TEST(MessageId, TextIsUpperCaseHexWithoutLeadingZerosAndParsesBack) {
  EXPECT_EQ(to_text({0x1ABCDEF0}).view(), "1ABCDEF0");
  EXPECT_EQ(to_text({UINT64_MAX}).view(), "FFFFFFFFFFFFFFFF");
  for (const uint64_t value : {uint64_t{1}, uint64_t{0xF}, uint64_t{0x10}, uint64_t{1} << 63})
    EXPECT_EQ(parse_message_id(to_text({value}).view()), MessageId{value});
  EXPECT_EQ(parse_message_id("1abcdef0"), MessageId{0x1ABCDEF0});
}

TEST(MessageId, AnythingElseIsRefused) {
  for (const char* text : {"", "0", "0000", "G", "12 ", " 12", "-1", "0x12", "11112222333344445"})
    EXPECT_FALSE(parse_message_id(text)) << text;
}

TEST(MessageId, LooksLikeAQueueIdToday) {
  MessageIdSource source(3, {});
  const auto text = to_text(source.next({1'790'000'000'000'000}));
  EXPECT_GE(text.size(), 10U);
  EXPECT_LE(text.size(), 16U);
}

TEST(MessageIdSource, NeverRepeatsAndNeverGoesBackWhateverTheClockDoes) {
  MessageIdSource source(1, {uint64_t{5000} << MessageIdSource::shard_bits | 1023});
  MessageId last{uint64_t{5000} << MessageIdSource::shard_bits | 1023};
  for (const int64_t us : {100, 100, 5000, 6000, 6000, 10, -5, 7000}) {
    const MessageId id = source.next({us});
    EXPECT_GT(id, last);
    last = id;
  }
}

TEST(MessageIdSource, ShardsNeverGiveTheSameId) {
  MessageIdSource a(0, {}), b(1, {});
  for (int i = 0; i < 10; ++i) EXPECT_NE(a.next({1}), b.next({1}));
}

}  // namespace
}  // namespace mx::queue
