#include "queue/footer.h"

#include <gtest/gtest.h>

#include "tests/unit/queue/test_disk.h"

namespace mx::queue {
namespace {

using test::Disk;
using test::Rig;

// A footer's part with these entries.
std::vector<std::byte> part_of(const FooterEntries& entries) {
  std::vector<std::byte> payload(footer_head_bytes);
  FooterHead head{.last = true, .largest_id = entries.largest_id()};
  const Bytes piece = entries.piece(0, UINT32_MAX, head.entries);
  write_footer_head(payload.data(), head);
  payload.insert(payload.end(), piece.begin(), piece.end());
  return payload;
}

FooterEntries some_entries() {
  FooterEntries entries;
  const OtherSegment others[] = {{{7, 700}, 70}, {{8, 800}, 80}};
  entries.add_commit({.id = {11},
                      .commit = {4, 8192, 300},
                      .arrival = {5},
                      .recipient_count = 3,
                      .size_class = 17},
                     {});
  entries.add_mark(RecordType::done, {10}, {});
  entries.add_commit({.id = {12}, .commit = {4, 9000, 400}, .arrival = {6}, .recipient_count = 1},
                     others);
  entries.add_mark(RecordType::state, {12}, as_bytes(std::string_view("0123456789")));
  return entries;
}

TEST(Footer, ComesBackAsItWasWritten) {
  const std::vector<std::byte> payload = part_of(some_entries());
  FooterPart part;
  FooterEntry entry;
  ASSERT_TRUE(part.open(payload));
  EXPECT_EQ(part.head().largest_id, MessageId{12});
  ASSERT_TRUE(part.next(entry));
  EXPECT_EQ(entry.type, RecordType::commit);
  EXPECT_EQ(entry.id, MessageId{11});
  EXPECT_EQ(entry.offset, 8192U);
  EXPECT_EQ(entry.length, 300U);
  EXPECT_EQ(entry.recipients, 3);
  ASSERT_TRUE(part.next(entry));
  EXPECT_EQ(entry.type, RecordType::done);
  EXPECT_EQ(entry.id, MessageId{10});
  ASSERT_TRUE(part.next(entry));
  ASSERT_EQ(entry.others.size(), 2U);
  EXPECT_EQ(entry.others[1].share, (SegmentShare{8, 800}));
  EXPECT_EQ(entry.others[1].sequence, 80U);
  ASSERT_TRUE(part.next(entry));
  EXPECT_EQ(as_text(entry.payload), "0123456789");
  EXPECT_FALSE(part.next(entry));
  EXPECT_FALSE(part.malformed());
}

TEST(Footer, CutAnywhereItIsMalformed) {
  const std::vector<std::byte> whole = part_of(some_entries());
  for (size_t length = 0; length < whole.size(); ++length) {
    FooterPart part;
    FooterEntry entry;
    if (!part.open(Bytes(whole).first(length))) continue;
    while (part.next(entry)) {
    }
    EXPECT_TRUE(part.malformed()) << length;
  }
}

// A segment whose footer needs many batches: small buffers, a large segment, tiny messages.
TEST(Footer, MayTakeSeveralBatches) {
  constexpr Geometry geometry{1U << 20, 12};
  Disk disk(geometry);
  Rig rig(disk);
  size_t there = 0;
  std::vector<MessageId> staged;
  while (rig.pool.free_segments() > 6) {
    const Status status = rig.stage("x");
    if (status == Status::ok) staged.push_back(rig.last_id);
    if (status == Status::ok && staged.size() < 100) continue;
    rig.settle();
    for (const MessageId id : staged) {
      MessageInfo info;
      ASSERT_TRUE(rig.index.find(id, info));
      if (id == staged.front()) {
        ++there;
      } else {
        ASSERT_TRUE(rig.journal.mark_done(id, 0, 1, rig.now));
      }
    }
    staged.clear();
    rig.now = rig.now + seconds(2);
  }
  const Recovered fast = recover(disk, geometry);
  const Recovered slow = recover(disk, geometry, Verify::all);
  EXPECT_GT(fast.segments_by_footer, 3U);
  EXPECT_EQ(slow.segments_by_footer, 0U);
  EXPECT_EQ(fast.damage_count + slow.damage_count, 0U);
  ASSERT_EQ(fast.messages.size(), slow.messages.size());
  EXPECT_GE(fast.messages.size(), there);
  const auto footer = read_footer(disk, 0, geometry.segment_bytes, fast.segments[0].life);
  ASSERT_TRUE(footer.has_value());
  EXPECT_GT(footer->parts.size(), 2U);
  for (size_t i = 0; i < fast.messages.size(); ++i) {
    EXPECT_EQ(fast.messages[i].id, slow.messages[i].id);
    EXPECT_EQ(fast.messages[i].commit, slow.messages[i].commit);
    EXPECT_EQ(fast.messages[i].pending, slow.messages[i].pending);
  }
  EXPECT_EQ(fast.largest_id, slow.largest_id);
  EXPECT_EQ(fast.pins, slow.pins);
}

// Any damage to a footer sends recovery back to the records.
TEST(Footer, ADamagedOneIsNotBelieved) {
  constexpr Geometry geometry{64U << 10, 12};
  Disk disk(geometry);
  Rig rig(disk);
  for (int i = 0; i < 40; ++i) ASSERT_NE(rig.accept(std::string(3000, 'x')), MessageId{});
  const Recovered before = recover(disk, geometry);
  ASSERT_GT(before.segments_by_footer, 0U);
  uint32_t segment = 0;
  std::optional<Footer> footer;
  for (; !footer; ++segment)
    footer = read_footer(disk, segment, geometry.segment_bytes, before.segments[segment].life);
  --segment;
  uint32_t believed = 0;
  for (uint32_t at = records_offset; at < geometry.segment_bytes; at += 8) {
    std::byte& byte = disk.images[segment][at];
    byte ^= std::byte{1};
    const Recovered after = recover(disk, geometry);
    if (after.segments_by_footer == before.segments_by_footer) ++believed;
    ASSERT_GE(after.messages.size() + 1, before.messages.size()) << at;
    byte ^= std::byte{1};
  }
  // Outside the last batch a flip is not looked at; in it, every one is seen.
  EXPECT_GT(believed, 0U);
  EXPECT_LT(believed, geometry.segment_bytes / 8);
}

}  // namespace
}  // namespace mx::queue
