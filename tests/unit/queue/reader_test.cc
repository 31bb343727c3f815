#include "queue/reader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace mx::queue {
namespace {

std::vector<std::byte> commit_payload() {
  std::vector<std::byte> bytes(commit_head_bytes + 2 * commit_chunk_bytes + 5);
  write_commit_head(bytes.data(), 3, 2, {123456}, 5);
  write_commit_chunk(bytes.data() + commit_head_bytes,
                     {RecordType::header_chunk, {1, 8192, 100}, 7, 0xAA});
  write_commit_chunk(bytes.data() + commit_head_bytes + commit_chunk_bytes,
                     {RecordType::body_chunk, {2, 12288, 200}, 8, 0xBB});
  std::memcpy(bytes.data() + bytes.size() - 5, "hello", 5);
  return bytes;
}

TEST(CommitView, ReadsBack) {
  const auto bytes = commit_payload();
  CommitView view;
  ASSERT_TRUE(view.open(bytes));
  EXPECT_EQ(view.recipient_count(), 3);
  EXPECT_EQ(view.arrival(), WallTime{123456});
  ASSERT_EQ(view.chunk_count(), 2U);
  EXPECT_EQ(view.chunk(0).type, RecordType::header_chunk);
  EXPECT_EQ(view.chunk(1).extent, (Extent{2, 12288, 200}));
  EXPECT_EQ(view.chunk(1).sequence, 8U);
  EXPECT_EQ(view.chunk(1).payload_hash, 0xBBU);
  EXPECT_EQ(as_text(view.envelope()), "hello");
}

TEST(CommitView, EveryOtherLengthIsMalformed) {
  auto bytes = commit_payload();
  CommitView view;
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(view.open(Bytes(bytes).first(length))) << length;
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(view.open(bytes));
}

TEST(CommitView, LyingCountsAreMalformed) {
  CommitView view;
  auto bytes = commit_payload();
  write_commit_head(bytes.data(), 0, 2, {}, 5);
  EXPECT_FALSE(view.open(bytes));
  write_commit_head(bytes.data(), 1, UINT32_MAX, {}, 5);
  EXPECT_FALSE(view.open(bytes));
  write_commit_head(bytes.data(), 1, 2, {}, UINT32_MAX);
  EXPECT_FALSE(view.open(bytes));
  bytes = commit_payload();
  write_commit_chunk(bytes.data() + commit_head_bytes, {RecordType::done, {}, 0, 0});
  EXPECT_FALSE(view.open(bytes));
}

TEST(Window, IsTheWholeBlocksAroundARecord) {
  EXPECT_EQ(window_of({0, 8192, 10}).offset, 8192U);
  EXPECT_EQ(window_of({0, 8192, 10}).length, 4096U);
  EXPECT_EQ(window_of({0, 8192 + 4064, 1}).length, 8192U);
  EXPECT_EQ(window_of({0, 8192 + 4064, 0}).length, 4096U);
}

TEST(DecodeRecord, GivesThePayloadOnlyWhenAllAgrees) {
  const Life life{1, 2};
  const Extent extent{0, 8192 + 64, 7};
  std::vector<std::byte> window(4096);
  write_record(window.data() + 64, life, extent.offset,
               {.length = 7, .type = RecordType::body_chunk, .id = {5}}, as_bytes("payload"));
  const auto payload = decode_record(window, extent, life, RecordType::body_chunk, {5});
  ASSERT_TRUE(payload);
  EXPECT_EQ(as_text(*payload), "payload");
  EXPECT_FALSE(decode_record(window, extent, life, RecordType::body_chunk, {6}));
  EXPECT_FALSE(decode_record(window, extent, life, RecordType::header_chunk, {5}));
  EXPECT_FALSE(decode_record(window, extent, {1, 3}, RecordType::body_chunk, {5}));
  EXPECT_FALSE(decode_record(window, {0, extent.offset, 6}, life, RecordType::body_chunk, {5}));
  EXPECT_FALSE(decode_record(Bytes(window).first(64), extent, life, RecordType::body_chunk, {5}));
}

}  // namespace
}  // namespace mx::queue
