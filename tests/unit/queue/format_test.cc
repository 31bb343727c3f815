#include "queue/format.h"

#include <gtest/gtest.h>

#include <vector>

#include "proto/base/limits.h"

namespace mx::queue {
namespace {

const Life life{0x1122334455667788, 42};

std::vector<std::byte> record_of(std::string_view payload, uint32_t offset) {
  const uint32_t length = static_cast<uint32_t>(payload.size());
  std::vector<std::byte> bytes(record_bytes(length), std::byte{0xEE});
  write_record(bytes.data(), life, offset,
               {.length = length, .type = RecordType::body_chunk, .batch = 7, .id = {99}},
               as_bytes(payload));
  return bytes;
}

bool verifies(Bytes bytes, const Life& at_life, uint32_t offset) {
  const auto header = read_record_header(bytes, at_life, offset);
  if (!header || record_bytes(header->length) != bytes.size()) return false;
  return payload_verifies(*header, bytes.subspan(record_header_bytes), at_life, offset);
}

TEST(Format, GeometryLimits) {
  EXPECT_TRUE(is_valid({segment_bytes_min, 1}));
  EXPECT_TRUE(is_valid({segment_bytes_max, limits::queue_segments_max}));
  EXPECT_FALSE(is_valid({segment_bytes_min / 2, 1}));
  EXPECT_FALSE(is_valid({segment_bytes_min + 4096, 1}));
  EXPECT_FALSE(is_valid({segment_bytes_max, 0}));
  EXPECT_FALSE(is_valid({segment_bytes_max, limits::queue_segments_max + 1}));
}

TEST(Record, ReadsBackWhatWasWritten) {
  for (const uint32_t length : {0U, 1U, 7U, 8U, 9U, 4096U, 65536U}) {
    const std::string payload(length, 'x');
    const auto bytes = record_of(payload, 8192);
    EXPECT_EQ(bytes.size() % record_alignment, 0U);
    const auto header = read_record_header(bytes, life, 8192);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->length, length);
    EXPECT_EQ(header->type, RecordType::body_chunk);
    EXPECT_EQ(header->batch, 7U);
    EXPECT_EQ(header->id, MessageId{99});
    EXPECT_TRUE(verifies(bytes, life, 8192));
  }
}

TEST(Record, VerifiesOnlyInItsLifeAndPlace) {
  const auto bytes = record_of("payload", 8192);
  EXPECT_FALSE(verifies(bytes, life, 8200));
  EXPECT_FALSE(verifies(bytes, {life.epoch + 1, life.sequence}, 8192));
  EXPECT_FALSE(verifies(bytes, {life.epoch, life.sequence + 1}, 8192));
}

TEST(Record, EveryFlippedBitIsSeen) {
  auto bytes = record_of("some payload that is not a multiple of eight", 8192);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(verifies(bytes, life, 8192)) << bit;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  EXPECT_TRUE(verifies(bytes, life, 8192));
}

TEST(Record, CutAtEveryByteIsNoHeader) {
  const auto bytes = record_of("", 8192);
  for (size_t length = 0; length < record_header_bytes; ++length)
    EXPECT_FALSE(read_record_header(Bytes(bytes).first(length), life, 8192));
}

TEST(Record, ZerosAreNone) {
  const std::vector<std::byte> zeros(64);
  EXPECT_FALSE(read_record_header(zeros, {0, 0}, 0));
}

TEST(SegmentHeader, RoundTripAndEveryBitOfItsFields) {
  std::vector<std::byte> block(block_bytes);
  write_segment_header(block, {.segment = 3,
                               .shard = 2,
                               .geometry = {1U << 20, 64},
                               .life = life,
                               .previous_sequence = 41,
                               .first_batch = 17});
  const auto header = read_segment_header(block);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->segment, 3U);
  EXPECT_EQ(header->shard, 2U);
  EXPECT_EQ(header->geometry, (Geometry{1U << 20, 64}));
  EXPECT_EQ(header->life, life);
  EXPECT_EQ(header->previous_sequence, 41U);
  EXPECT_EQ(header->first_batch, 17U);
  for (size_t bit = 0; bit < size_t{block_bytes} * 8; ++bit) {
    block[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_TRUE(!read_segment_header(block) || !unused_bytes_are_zero(block, false)) << bit;
    block[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

TEST(Grave, RoundTripAndEveryBit) {
  std::vector<std::byte> block(block_bytes);
  EXPECT_FALSE(read_grave(block, 5));
  write_grave(block, 5, 77);
  EXPECT_EQ(read_grave(block, 5), 77U);
  EXPECT_FALSE(read_grave(block, 6));
  for (size_t bit = 0; bit < size_t{block_bytes} * 8; ++bit) {
    block[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_TRUE(!read_grave(block, 5) || !unused_bytes_are_zero(block, true)) << bit;
    block[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

TEST(Trailer, IsFoundByWhatItSaysOfItself) {
  std::vector<std::byte> block(block_bytes);
  write_trailer(block.data() + block_bytes - trailer_bytes, 12288 - trailer_bytes,
                {.segment = 4, .shard = 1, .begin = 8192, .life = life, .number = 9});
  const auto trailer = read_trailer(block, 4, 8192);
  ASSERT_TRUE(trailer);
  EXPECT_EQ(trailer->life, life);
  EXPECT_EQ(trailer->number, 9U);
  EXPECT_EQ(trailer->begin, 8192U);
  EXPECT_FALSE(read_trailer(block, 5, 8192));
  EXPECT_FALSE(read_trailer(block, 4, 4096));
}

}  // namespace
}  // namespace mx::queue
