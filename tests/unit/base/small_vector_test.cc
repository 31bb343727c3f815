#include "proto/base/small_vector.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "proto/base/prng.h"

namespace mx {
namespace {

using Text = SmallVector<char, 4>;

Text text(std::string_view value) {
  Text out;
  out.append(value);
  return out;
}

TEST(SmallVector, GrowsFromTheInsideToTheHeap) {
  Text v;
  EXPECT_EQ(v.capacity(), 4U);
  for (const std::string_view whole : {"abc", "abcd", "abcde", "abcdefghijklmnop"}) {
    v.clear();
    for (const char c : whole) v.push_back(c);
    EXPECT_EQ(v.text(), whole);
  }
  EXPECT_GE(v.capacity(), 16U);
}

TEST(SmallVector, CopiesAndMoves) {
  for (const std::string_view value : {"", "abcd", "abcdefgh"}) {
    const Text original = text(value);
    Text copy = original;
    EXPECT_EQ(copy.text(), value);
    Text moved = std::move(copy);
    EXPECT_EQ(moved.text(), value);
    EXPECT_TRUE(copy.empty());  // NOLINT: moved-from is empty and usable
    copy.append("x");
    EXPECT_EQ(copy.text(), "x");
    copy = moved;
    EXPECT_EQ(copy.text(), value);
    const Text& self = copy;
    copy = self;
    EXPECT_EQ(copy.text(), value);
    copy = text("other value");
    EXPECT_EQ(copy.text(), "other value");
  }
}

TEST(SmallVector, GivesTheHeapBackWhenAssignedAfresh) {
  Text v = text("long enough for the heap");
  v = {};
  EXPECT_EQ(v.capacity(), 4U);
  EXPECT_TRUE(v.empty());
}

TEST(SmallVector, TakesAValueOfItsOwn) {
  Text v = text("abcd");
  v.push_back(v[0]);
  EXPECT_EQ(v.text(), "abcda");
}

TEST(SmallVector, ErasesAndResizes) {
  Text v = text("abcdef");
  v.erase_front(2);
  EXPECT_EQ(v.text(), "cdef");
  v.erase_front(4);
  EXPECT_TRUE(v.empty());
  v.resize(3);
  EXPECT_EQ(v.text(), std::string_view("\0\0\0", 3));
  v[1] = 'x';
  v.resize(2);
  EXPECT_EQ(v.back(), 'x');
}

TEST(SmallVector, BehavesAsAString) {
  Prng random(1);
  Text v;
  std::string model;
  for (int i = 0; i < 10'000; ++i) {
    switch (random.below(5)) {
      case 0:
        v.push_back('a');
        model.push_back('a');
        break;
      case 1:
        v.append("bcd");
        model.append("bcd");
        break;
      case 2: {
        const size_t count = random.below(model.size() + 1);
        v.erase_front(count);
        model.erase(0, count);
        break;
      }
      case 3: {
        const size_t count = random.below(40);
        v.resize(count);
        model.resize(count);
        break;
      }
      case 4:
        if (random.chance(10)) {
          v = {};
          model.clear();
        }
        break;
    }
    ASSERT_EQ(v.text(), model);
  }
}

TEST(SmallVectorDeathTest, StopsAtAnIndexOutside) {
  Text v = text("ab");
  EXPECT_DEATH(v[2] = 'x', "assertion failed");
  EXPECT_DEATH(v.erase_front(3), "assertion failed");
}

}  // namespace
}  // namespace mx
