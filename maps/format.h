// maps/format.h - what builder and reader of a compiled table must agree on: the header, the slot,
// and the arithmetic from a key's hash to its slot. The grammar with an example is in
// maps/README.md.
//
// A key's 128-bit hash picks a part (high bits of `low`), a bucket of the part (the rest of `low`,
// skewed so that few buckets are large) and, with the bucket's 8-bit pilot, a slot of the part
// (from `high`). The builder searches pilots until no two keys share a slot; the reader needs one
// pilot and one slot.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "maps/hash.h"
#include "proto/base/bytes.h"
#include "proto/base/endian.h"
#include "proto/base/limits.h"

namespace mx::maps::format {

// A byte above 127, CR LF, ^Z and LF show transfers that took the file for text.
inline constexpr std::array<std::byte, 8> magic{std::byte{0x89}, std::byte{'P'},  std::byte{'H'},
                                                std::byte{'M'},  std::byte{'\r'}, std::byte{'\n'},
                                                std::byte{0x1A}, std::byte{'\n'}};
inline constexpr uint32_t version = 2;
inline constexpr uint32_t kind_exact = 1;        // key → value, as postmap's hash tables
inline constexpr uint32_t flag_folded_keys = 1;  // keys are in lower case

inline constexpr size_t header_bytes = 4096;
inline constexpr size_t section_alignment = 64;  // a slot never straddles a cache line
inline constexpr size_t slot_bytes = 8;

// Offsets of the header's fields.
inline constexpr size_t at_magic = 0, at_version = 8, at_flags = 12, at_kind = 16, at_parts = 20,
                        at_seed = 24, at_key_count = 32, at_slots_per_part = 40,
                        at_buckets_per_part = 48, at_blob_size = 56, at_pilots_offset = 64,
                        at_slots_offset = 72, at_file_size = 80, at_source_mtime = 88,
                        at_source_size = 96, at_body_checksum = 4080, at_header_checksum = 4088;

// Parts of about 2^18 slots: the builder's search of one part stays in the L2 cache.
inline constexpr uint64_t slots_per_part_goal = 1ULL << 18;
inline constexpr uint64_t parts_max = 1ULL << 20;
inline constexpr uint64_t slots_per_part_max = 1ULL << 24;
inline constexpr uint64_t blob_bytes_max = 1ULL << 47;

static_assert(blob_bytes_max <= 1ULL << 48, "an offset is 48 bits of the slot");

// u64 = fingerprint << 48 | offset of the pair in the blob; 0: empty, as no fingerprint is 0.
struct Slot {
  uint16_t fingerprint = 0;
  uint64_t offset = 0;

  static Slot load(const std::byte* from) {
    const uint64_t packed = load_le<uint64_t>(from);
    return {static_cast<uint16_t>(packed >> 48), packed & (blob_bytes_max * 2 - 1)};
  }
  void store(std::byte* to) const { store_le(to, uint64_t{fingerprint} << 48 | offset); }
};

// What stands before a pair in the blob: the sizes of its key and of its value, each in groups of
// seven bits, the lowest first, bit 7 set in all but the last (LEB128). Two bytes as a rule.
struct PairSizes {
  static constexpr size_t bytes_max = 6;
  uint32_t key = 0, value = 0;
  uint32_t header = 0;  // bytes that the sizes take

  uint64_t total() const { return uint64_t{header} + key + value; }
  // Writes the header and sets its length. REQUIRES: bytes_max bytes at `to`.
  void store(std::byte* to) {
    header = store_one(to, key);
    header += store_one(to + header, value);
  }
  // False when the bytes are not those of a pair that lies within them.
  bool load(Bytes from) {
    header = 0;
    return load_one(from, key) && load_one(from, value) && total() <= from.size();
  }

 private:
  static uint32_t store_one(std::byte* to, uint32_t size) {
    uint32_t bytes = 0;
    for (; size >= 0x80; size >>= 7) to[bytes++] = static_cast<std::byte>(size | 0x80);
    to[bytes++] = static_cast<std::byte>(size);
    return bytes;
  }
  bool load_one(Bytes from, uint32_t& size) {
    size = 0;
    for (uint32_t shift = 0; shift < 21 && header < from.size(); shift += 7) {
      const auto byte = std::to_integer<uint32_t>(from[header++]);
      size |= (byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
};
static_assert(limits::table_key_bytes_max < 1U << 21 && limits::table_value_bytes_max < 1U << 21);

struct Shape {
  uint64_t seed = 0;
  uint64_t parts = 1, buckets_per_part = 1, slots_per_part = 1;
};

__extension__ using Wide = unsigned __int128;  // no ISO type, but GCC and clang have it

constexpr uint64_t multiply_high(uint64_t a, uint64_t b) {
  return static_cast<uint64_t>((static_cast<Wide>(a) * b) >> 64);
}

constexpr uint64_t part_of(KeyHash hash, const Shape& shape) {
  return multiply_high(hash.low, shape.parts);
}

// x is uniform in [0, 1) as a 64-bit fraction; x²(1+x)/2 makes the first buckets large: they are
// placed while the part is empty, the small ones find the last free slots (PtrHash, arXiv
// 2502.15539, §3.2). The linear 1/256 bounds the largest bucket.
constexpr uint64_t bucket_of(KeyHash hash, const Shape& shape) {
  const uint64_t x = hash.low * shape.parts;
  const uint64_t half_of_one_plus_x = x >> 1 | 1ULL << 63;
  const uint64_t cubic = multiply_high(multiply_high(x, x), half_of_one_plus_x);
  return multiply_high(cubic - (cubic >> 8) + (x >> 8), shape.buckets_per_part);
}

constexpr uint64_t slot_of(KeyHash hash, uint8_t pilot, const Shape& shape) {
  const uint64_t mixed = (hash.high ^ (pilot * 0x9E3779B97F4A7C15ULL)) * 0xBF58476D1CE4E5B9ULL;
  return multiply_high(mixed ^ (mixed >> 32), shape.slots_per_part);
}

constexpr uint16_t fingerprint_of(KeyHash hash) {
  const auto low = static_cast<uint16_t>(hash.low);
  return low == 0 ? 1 : low;
}

constexpr uint64_t aligned(uint64_t size) {
  return (size + section_alignment - 1) / section_alignment * section_alignment;
}

}  // namespace mx::maps::format
