#include "queue/index.h"

#include <gtest/gtest.h>

#include <set>

#include "proto/base/prng.h"
#include "tests/unit/queue/test_disk.h"

namespace mx::queue {
namespace {

using test::Disk;
using test::Rig;

TEST(Index, PagesShowEveryUnfinishedMessageOnce) {
  Disk disk({1U << 20, 8});
  Rig rig(disk);
  std::set<uint64_t> expected;
  for (int i = 0; i < 50; ++i) expected.insert(rig.accept("x").value);
  for (int i = 0; i < 10; ++i) {
    const MessageId id{*expected.begin()};
    ASSERT_TRUE(rig.journal.mark_done(id, 0, 1, rig.now));
    expected.erase(expected.begin());
  }
  std::set<uint64_t> seen;
  MessageInfo page[7];
  for (uint32_t cursor = 0; cursor != Index::none;) {
    const size_t count = rig.index.page(cursor, page, 7);
    for (size_t i = 0; i < count; ++i) EXPECT_TRUE(seen.insert(page[i].id.value).second);
  }
  EXPECT_EQ(seen, expected);
}

TEST(Index, AFullIndexRefusesMailAndRecovers) {
  Disk disk({1U << 20, 16});
  Rig rig(disk);
  for (int i = 0; i < 1000; ++i) ASSERT_NE(rig.accept("x"), MessageId{}) << i;
  const MessageId last = rig.last_id;
  EXPECT_EQ(rig.stage("x"), Status::no_space);
  ASSERT_TRUE(rig.journal.mark_done(last, 0, 1, rig.now));
  rig.journal.hurry();
  rig.settle();
  EXPECT_NE(rig.accept("x"), MessageId{});
}

TEST(Index, ManyInsertionsAndRemovalsKeepEveryLookupRight) {
  Disk disk({1U << 20, 12});
  Rig rig(disk);
  Prng prng(5);
  std::vector<MessageId> there;
  std::set<uint64_t> gone;
  for (int i = 0; i < 3000; ++i) {
    if (there.size() < 900 && prng.chance(55)) {
      const MessageId id = rig.accept("x", static_cast<uint16_t>(1 + prng.below(100)));
      ASSERT_NE(id, MessageId{});
      there.push_back(id);
    } else if (!there.empty()) {
      const size_t at = prng.below(there.size());
      MessageInfo info;
      ASSERT_TRUE(rig.index.find(there[at], info));
      ASSERT_TRUE(rig.journal.mark_done(there[at], 0, info.recipient_count, rig.now));
      gone.insert(there[at].value);
      there[at] = there.back();
      there.pop_back();
      rig.now = rig.now + milliseconds(300);
    }
  }
  MessageInfo info;
  for (const MessageId id : there) EXPECT_TRUE(rig.index.find(id, info));
  for (const uint64_t id : gone) EXPECT_FALSE(rig.index.find({id}, info));
}

TEST(Index, ReasonsAreSharedAndBounded) {
  Disk disk({1U << 20, 8});
  Rig rig(disk);
  const MessageId a = rig.accept("a");
  const MessageId b = rig.accept("b");
  ASSERT_TRUE(rig.journal.mark_deferred(a, {}, 1, "same", rig.now));
  ASSERT_TRUE(rig.journal.mark_deferred(b, {}, 1, "same", rig.now));
  EXPECT_EQ(rig.index.reason(a).data(), rig.index.reason(b).data());
  for (int i = 0; i < 20'000; ++i)
    ASSERT_TRUE(rig.journal.mark_deferred(a, {}, 1, std::to_string(i), rig.now));
  EXPECT_EQ(rig.index.reason(a), "19999");
  EXPECT_EQ(rig.index.reason(b), "same");
}

}  // namespace
}  // namespace mx::queue
