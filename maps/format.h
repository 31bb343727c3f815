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
inline constexpr uint32_t version = 1;
inline constexpr uint32_t kind_exact = 1;        // key → value, as postmap's hash tables
inline constexpr uint32_t flag_folded_keys = 1;  // keys are in lower case

inline constexpr size_t header_bytes = 4096;
inline constexpr size_t section_alignment = 64;  // a slot never straddles a cache line
inline constexpr size_t slot_bytes = 16;

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

static_assert(limits::table_key_bytes_max < (1U << 16), "a key's length is 16 bits of the slot");
static_assert(limits::table_value_bytes_max < (1ULL << 32));

// u32 fingerprint (0: empty slot), u32 value length, u64 = blob offset << 16 | key length. The blob
// has the key and right after it the value.
struct Slot {
  uint32_t fingerprint = 0;
  uint32_t value_size = 0;
  uint16_t key_size = 0;
  uint64_t offset = 0;  // in the blob

  static Slot load(const std::byte* from) {
    const uint64_t packed = load_le<uint64_t>(from + 8);
    return {load_le<uint32_t>(from), load_le<uint32_t>(from + 4), static_cast<uint16_t>(packed),
            packed >> 16};
  }
  void store(std::byte* to) const {
    store_le(to, fingerprint);
    store_le(to + 4, value_size);
    store_le(to + 8, offset << 16 | key_size);
  }
};

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

constexpr uint32_t fingerprint_of(KeyHash hash) {
  const uint32_t low = static_cast<uint32_t>(hash.low);
  return low == 0 ? 1 : low;
}

constexpr uint64_t aligned(uint64_t size) {
  return (size + section_alignment - 1) / section_alignment * section_alignment;
}

}  // namespace mx::maps::format
