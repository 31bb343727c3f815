// Field offsets are written out here once; README.md has the same as tables.
#include "queue/format.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "proto/base/assert.h"
#include "proto/base/endian.h"
#include "proto/base/limits.h"

namespace mx::queue {
namespace {

constexpr uint64_t segment_magic = 0x314D474553584D52;  // "RMXSEGM1"
constexpr uint64_t grave_magic = 0x3156415247584D52;    // "RMXGRAV1"
constexpr uint64_t trailer_magic = 0x314C4941544D5852;  // "RXMTAIL1"
constexpr uint32_t segment_header_checked = 72;
constexpr uint32_t grave_checked = 24;

// Different for every place a record can ever be at.
uint64_t place_seed(const Life& life, uint32_t offset) {
  uint64_t h = life.epoch + life.sequence * 0x9E3779B97F4A7C15ULL;
  h = (h ^ (h >> 32)) * 0xBF58476D1CE4E5B9ULL;
  h += offset * 0x94D049BB133111EBULL;
  h = (h ^ (h >> 29)) * 0x9E3779B97F4A7C15ULL;
  return h ^ (h >> 32);
}

uint32_t header_check(const std::byte* header, uint64_t seed) {
  return static_cast<uint32_t>(XXH3_64bits_withSeed(header + 4, record_header_bytes - 4, seed));
}

void seal_block(MutableBytes block, uint32_t checked) {
  store_le(block.data() + checked, static_cast<uint64_t>(XXH3_64bits(block.data(), checked)));
}
bool block_verifies(Bytes block, uint32_t checked) {
  return load_le<uint64_t>(block.data() + checked) == XXH3_64bits(block.data(), checked);
}

}  // namespace

bool is_valid(const Geometry& geometry) {
  return std::has_single_bit(geometry.segment_bytes) &&
         geometry.segment_bytes >= segment_bytes_min &&
         geometry.segment_bytes <= segment_bytes_max && geometry.segment_count >= 1 &&
         geometry.segment_count <= limits::queue_segments_max;
}

uint64_t seal_record(std::byte* to, const Life& life, uint32_t offset, const RecordHeader& header) {
  const uint64_t seed = place_seed(life, offset);
  const uint32_t total = record_bytes(header.length);
  std::memset(to + record_header_bytes + header.length, 0,
              total - record_header_bytes - header.length);
  const uint64_t hash = XXH3_64bits(to + record_header_bytes, total - record_header_bytes) ^ seed;
  store_le(to + 4, header.length);
  store_le(to + 8, static_cast<uint8_t>(header.type));
  store_le(to + 9, header.flags);
  store_le(to + 10, uint16_t{0});
  store_le(to + 12, header.batch);
  store_le(to + 16, header.id.value);
  store_le(to + 24, hash);
  store_le(to, header_check(to, seed));
  return hash;
}

uint64_t write_record(std::byte* to, const Life& life, uint32_t offset, const RecordHeader& header,
                      Bytes payload) {
  MX_ASSERT(payload.size() == header.length);
  if (!payload.empty()) std::memcpy(to + record_header_bytes, payload.data(), payload.size());
  return seal_record(to, life, offset, header);
}

std::optional<RecordHeader> read_record_header(Bytes at, const Life& life, uint32_t offset) {
  if (at.size() < record_header_bytes) return std::nullopt;
  const std::byte* from = at.data();
  if (!may_be_record_header(from)) return std::nullopt;
  if (load_le<uint32_t>(from) != header_check(from, place_seed(life, offset))) return std::nullopt;
  return RecordHeader{.length = load_le<uint32_t>(from + 4),
                      .type = static_cast<RecordType>(load_le<uint8_t>(from + 8)),
                      .flags = load_le<uint8_t>(from + 9),
                      .batch = load_le<uint32_t>(from + 12),
                      .id = {load_le<uint64_t>(from + 16)},
                      .payload_hash = load_le<uint64_t>(from + 24)};
}

bool payload_verifies(const RecordHeader& header, Bytes padded, const Life& life, uint32_t offset) {
  MX_ASSERT(padded.size() == record_bytes(header.length) - record_header_bytes);
  return (XXH3_64bits(padded.data(), padded.size()) ^ place_seed(life, offset)) ==
         header.payload_hash;
}

void write_segment_header(MutableBytes block, const SegmentHeader& header) {
  MX_ASSERT(block.size() == block_bytes);
  std::memset(block.data(), 0, block.size());
  std::byte* to = block.data();
  store_le(to, segment_magic);
  store_le(to + 8, header.version);
  store_le(to + 12, header.segment);
  store_le(to + 16, header.shard);
  store_le(to + 18, static_cast<uint16_t>(header.stream));
  store_le(to + 20, header.geometry.segment_bytes);
  store_le(to + 24, header.geometry.segment_count);
  store_le(to + 40, header.life.epoch);
  store_le(to + 48, header.life.sequence);
  store_le(to + 56, header.previous_sequence);
  store_le(to + 64, header.first_batch);
  seal_block(block, segment_header_checked);
}

std::optional<SegmentHeader> read_segment_header(Bytes block) {
  MX_ASSERT(block.size() == block_bytes);
  const std::byte* from = block.data();
  if (load_le<uint64_t>(from) != segment_magic || !block_verifies(block, segment_header_checked))
    return std::nullopt;
  return SegmentHeader{.version = load_le<uint32_t>(from + 8),
                       .segment = load_le<uint32_t>(from + 12),
                       .shard = load_le<uint16_t>(from + 16),
                       .stream = static_cast<Stream>(load_le<uint16_t>(from + 18)),
                       .geometry = {load_le<uint32_t>(from + 20), load_le<uint32_t>(from + 24)},
                       .life = {load_le<uint64_t>(from + 40), load_le<uint64_t>(from + 48)},
                       .previous_sequence = load_le<uint64_t>(from + 56),
                       .first_batch = load_le<uint64_t>(from + 64)};
}

void write_grave(MutableBytes block, uint32_t segment, uint64_t ended_sequence) {
  MX_ASSERT(block.size() == block_bytes);
  std::memset(block.data(), 0, block.size());
  store_le(block.data(), grave_magic);
  store_le(block.data() + 8, format_version);
  store_le(block.data() + 12, segment);
  store_le(block.data() + 16, ended_sequence);
  seal_block(block, grave_checked);
}

std::optional<uint64_t> read_grave(Bytes block, uint32_t segment) {
  MX_ASSERT(block.size() == block_bytes);
  const std::byte* from = block.data();
  if (load_le<uint64_t>(from) != grave_magic || !block_verifies(block, grave_checked) ||
      load_le<uint32_t>(from + 12) != segment)
    return std::nullopt;
  return load_le<uint64_t>(from + 16);
}

bool unused_bytes_are_zero(Bytes block, bool is_grave) {
  const uint32_t used = (is_grave ? grave_checked : segment_header_checked) + 8;
  return all_zero(block.subspan(used));
}

uint64_t write_trailer(std::byte* to, uint32_t offset, const BatchTrailer& trailer) {
  std::byte* payload = to + record_header_bytes;
  store_le(payload, trailer_magic);
  store_le(payload + 8, trailer.version);
  store_le(payload + 12, trailer.segment);
  store_le(payload + 16, trailer.shard);
  store_le(payload + 18, static_cast<uint16_t>(trailer.stream));
  store_le(payload + 20, trailer.begin);
  store_le(payload + 24, trailer.life.epoch);
  store_le(payload + 32, trailer.life.sequence);
  store_le(payload + 40, trailer.number);
  store_le(payload + 48, trailer.previous_hash);
  return seal_record(to, trailer.life, offset,
                     {.length = trailer_payload_bytes,
                      .type = RecordType::batch,
                      .batch = static_cast<uint32_t>(trailer.number)});
}

std::optional<BatchTrailer> parse_trailer(Bytes payload) {
  if (payload.size() != trailer_payload_bytes) return std::nullopt;
  const std::byte* from = payload.data();
  if (load_le<uint64_t>(from) != trailer_magic) return std::nullopt;
  return BatchTrailer{.version = load_le<uint32_t>(from + 8),
                      .segment = load_le<uint32_t>(from + 12),
                      .shard = load_le<uint16_t>(from + 16),
                      .stream = static_cast<Stream>(load_le<uint16_t>(from + 18)),
                      .begin = load_le<uint32_t>(from + 20),
                      .life = {load_le<uint64_t>(from + 24), load_le<uint64_t>(from + 32)},
                      .number = load_le<uint64_t>(from + 40),
                      .previous_hash = load_le<uint64_t>(from + 48)};
}

std::optional<BatchTrailer> read_trailer(Bytes block, uint32_t segment, uint32_t block_offset) {
  MX_ASSERT(block.size() == block_bytes);
  const Bytes record = block.last(trailer_bytes);
  const Bytes payload = record.subspan(record_header_bytes);
  const auto trailer = parse_trailer(payload);
  if (!trailer || trailer->segment != segment) return std::nullopt;
  const uint32_t offset = block_offset + block_bytes - trailer_bytes;
  const auto header = read_record_header(record, trailer->life, offset);
  if (!header || header->type != RecordType::batch || header->length != trailer_payload_bytes ||
      !payload_verifies(*header, payload, trailer->life, offset))
    return std::nullopt;
  return trailer;
}

}  // namespace mx::queue
