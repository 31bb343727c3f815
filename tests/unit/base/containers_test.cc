// The other fixed pieces of proto/base: intrusive list, fixed text, byte order, random numbers,
// time.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "proto/base/bytes.h"
#include "proto/base/endian.h"
#include "proto/base/fixed_text.h"
#include "proto/base/intrusive_list.h"
#include "proto/base/prng.h"
#include "proto/base/time.h"

namespace mx {
namespace {

struct Item {
  explicit Item(int n) : number(n) {}
  int number;
  ListLink by_age;
  ListLink by_size;
};
using Ages = IntrusiveList<Item, &Item::by_age>;
using Sizes = IntrusiveList<Item, &Item::by_size>;

template <typename List>
std::string numbers(List& list) {
  std::string out;
  for (Item* item = list.front(); item != nullptr; item = list.next(*item))
    out += std::to_string(item->number);
  return out;
}

TEST(IntrusiveList, KeepsOrderAndSize) {
  Item one(1), two(2), three(3);
  Ages list;
  EXPECT_EQ(list.front(), nullptr);
  EXPECT_EQ(list.pop_front(), nullptr);
  list.push_back(two);
  list.push_back(three);
  list.push_front(one);
  EXPECT_EQ(numbers(list), "123");
  EXPECT_EQ(list.size(), 3U);
  list.remove(two);
  EXPECT_EQ(numbers(list), "13");
  EXPECT_FALSE(two.by_age.linked());
  list.push_back(two);
  EXPECT_EQ(numbers(list), "132");
  while (list.pop_front() != nullptr) {
  }
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, AnElementCanBeInTwoListsByTwoLinks) {
  Item one(1), two(2);
  Ages ages;
  Sizes sizes;
  ages.push_back(one);
  ages.push_back(two);
  sizes.push_back(two);
  sizes.push_back(one);
  EXPECT_EQ(numbers(ages), "12");
  EXPECT_EQ(numbers(sizes), "21");
  ages.remove(one);
  EXPECT_EQ(numbers(sizes), "21");
  ages.remove(two);
  sizes.remove(one);
  sizes.remove(two);
}

TEST(IntrusiveListDeathTest, StopsAtASecondMembership) {
  Item one(1);
  Ages list;
  list.push_back(one);
  EXPECT_DEATH(list.push_back(one), "assertion failed");
  list.remove(one);
  EXPECT_DEATH(list.remove(one), "assertion failed");
}

TEST(FixedText, NeverCuts) {
  FixedText<4> text;
  EXPECT_TRUE(text.append("abc"));
  EXPECT_FALSE(text.append("de"));
  EXPECT_EQ(text.view(), "abc");
  EXPECT_TRUE(text.append("d"));
  EXPECT_FALSE(text.append("e"));
  EXPECT_TRUE(text.append(""));
  EXPECT_FALSE(text.assign("abcde"));
  EXPECT_EQ(text.view(), "abcd");
  EXPECT_TRUE(text.assign("x"));
  EXPECT_EQ(text.view(), "x");
  text.clear();
  EXPECT_TRUE(text.empty());
}

TEST(Endian, IsLittleAtAnyAlignment) {
  std::array<std::byte, 12> bytes{};
  for (size_t at = 0; at < 4; ++at) {
    store_le<uint64_t>(&bytes[at], 0x0102030405060708ULL);
    EXPECT_EQ(bytes[at], std::byte{8});
    EXPECT_EQ(load_le<uint64_t>(&bytes[at]), 0x0102030405060708ULL);
    EXPECT_EQ(load_le<uint16_t>(&bytes[at + 1]), 0x0607);
  }
}

TEST(Bytes, AndTextAreTheSameMemory) {
  const std::string_view text = "ab";
  EXPECT_EQ(as_text(as_bytes(text)).data(), text.data());
  EXPECT_EQ(as_text({}).size(), 0U);
}

TEST(Prng, IsTheSameForASeedAndDifferentForAnother) {
  Prng a(7), b(7), c(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const uint64_t value = a.next();
    EXPECT_EQ(value, b.next());
    differs |= value != c.next();
  }
  EXPECT_TRUE(differs);
}

TEST(Prng, StaysBelowItsBoundAndReachesAll) {
  Prng random(1);
  std::vector<int> seen(7);
  for (int i = 0; i < 7000; ++i) ++seen.at(random.below(7));
  for (const int count : seen) EXPECT_NEAR(count, 1000, 200);
  EXPECT_EQ(random.below(1), 0U);
  EXPECT_FALSE(random.chance(0));
  EXPECT_TRUE(random.chance(100));
}

TEST(Time, AddsAndCompares) {
  const Instant start{5};
  EXPECT_EQ((start + seconds(2)).us, 2'000'005);
  EXPECT_EQ((start + seconds(2)) - start, milliseconds(2000));
  EXPECT_LT(microseconds(999), milliseconds(1));
  EXPECT_EQ((seconds(3) * 2).seconds(), 6.0);
  EXPECT_EQ((WallTime{1'999'999}).seconds(), 1);
}

}  // namespace
}  // namespace mx
