#include "maps/builder.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <tuple>

#include "maps/part.h"
#include "proto/base/assert.h"
#include "proto/base/prng.h"
#include "proto/base/text.h"

namespace mx::maps {

using namespace format;

namespace {

// Of 100 slots 98 are used; a part's share of the keys differs from the mean by far less (its
// standard deviation is 0.2 % at 2^18). The extra slots let tables of a few keys settle at once.
constexpr uint64_t slots_for(uint64_t keys) {
  return keys * 100 / 98 + 8;
}

// 3.5 keys a bucket: 2.3 bits of pilot a key (PtrHash's balanced choice).
constexpr uint64_t buckets_for(uint64_t keys) {
  return keys * 2 / 7 + 1;
}

constexpr uint32_t attempts_max = 32;

}  // namespace

TableBuilder::TableBuilder() {
  file_.resize(header_bytes);
}

void TableBuilder::add(std::string_view key, std::string_view value) {
  MX_ASSERT(!key.empty() && key.size() <= limits::table_key_bytes_max);
  MX_ASSERT(value.size() <= limits::table_value_bytes_max);
  const size_t at = file_.size();
  file_.resize(at + key.size() + value.size());
  for (size_t i = 0; i < key.size(); ++i) file_[at + i] = static_cast<std::byte>(to_lower(key[i]));
  if (!value.empty()) std::memcpy(file_.data() + at + key.size(), value.data(), value.size());
  sizes_.push_back({static_cast<uint32_t>(value.size()), static_cast<uint16_t>(key.size())});
}

std::string_view TableBuilder::key_of(const Entry& entry) const {
  return as_text({file_.data() + header_bytes + entry.offset, sizes_[entry.ordinal].key});
}

Shape TableBuilder::shape_for(uint64_t seed) const {
  const uint64_t keys = sizes_.size();
  const uint64_t parts = std::max<uint64_t>(1, slots_for(keys) / slots_per_part_goal);
  const uint64_t keys_per_part = (keys + parts - 1) / parts;
  return {seed, parts, buckets_for(keys_per_part), slots_for(keys_per_part)};
}

// All keys with their hashes, grouped by part (part p in [starts[p], starts[p + 1])), in order
// within one.
std::vector<TableBuilder::Entry> TableBuilder::hash_by_part(const Shape& shape,
                                                            std::vector<uint64_t>& starts) const {
  const auto for_each = [&](const auto& take) {
    Entry entry;
    for (uint32_t i = 0; i < sizes_.size(); ++i) {
      entry.ordinal = i;
      entry.hash = hash_key(key_of(entry), shape.seed);
      take(entry, part_of(entry.hash, shape));
      entry.offset += uint64_t{sizes_[i].key} + sizes_[i].value;
    }
  };
  starts.assign(shape.parts + 1, 0);
  for_each([&](const Entry&, uint64_t part) { ++starts[part + 1]; });
  for (size_t p = 1; p < starts.size(); ++p) starts[p] += starts[p - 1];
  std::vector<Entry> entries(sizes_.size());
  std::vector<uint64_t> next(starts.begin(), starts.end() - 1);
  for_each([&](const Entry& entry, uint64_t part) { entries[next[part]++] = entry; });
  return entries;
}

// `part` is sorted by bucket, hash and ordinal. Keys that came before are dropped and noted; two
// different keys with the same `high` in one bucket can never be told apart by a pilot and need
// another seed.
TableBuilder::Attempt TableBuilder::drop_duplicates(std::vector<Entry>& part,
                                                    std::vector<Duplicate>& duplicates) const {
  size_t kept = 0;
  for (const Entry& entry : part) {
    if (kept > 0) {
      const Entry& last = part[kept - 1];
      if (last.bucket == entry.bucket && last.hash.high == entry.hash.high) {
        if (key_of(last) != key_of(entry)) return Attempt::other_seed;
        duplicates.push_back({entry.ordinal, key_of(entry)});
        continue;
      }
    }
    part[kept++] = entry;
  }
  part.resize(kept);
  return Attempt::done;
}

void TableBuilder::fill_slots(const std::vector<Entry>& part, const Shape& shape,
                              const std::byte* pilots, std::byte* slots) const {
  for (const Entry& entry : part) {
    const uint8_t pilot = std::to_integer<uint8_t>(pilots[entry.bucket]);
    std::byte* const at = slots + slot_of(entry.hash, pilot, shape) * slot_bytes;
    MX_ASSERT(load_le<uint32_t>(at) == 0);
    const Sizes& sizes = sizes_[entry.ordinal];
    Slot{fingerprint_of(entry.hash), sizes.value, sizes.key, entry.offset}.store(at);
  }
}

TableBuilder::Attempt TableBuilder::place(const Shape& shape, std::byte* pilots, std::byte* slots,
                                          BuiltTable& out) {
  std::vector<uint64_t> starts;
  const std::vector<Entry> entries = hash_by_part(shape, starts);
  PartSearch search(shape);
  std::vector<Entry> part;
  std::vector<KeyHash> hashes;
  std::vector<uint32_t> bucket_starts;
  for (uint64_t p = 0; p < shape.parts; ++p) {
    part.assign(entries.begin() + static_cast<ptrdiff_t>(starts[p]),
                entries.begin() + static_cast<ptrdiff_t>(starts[p + 1]));
    for (Entry& entry : part) entry.bucket = static_cast<uint32_t>(bucket_of(entry.hash, shape));
    std::sort(part.begin(), part.end(), [](const Entry& a, const Entry& b) {
      return std::tie(a.bucket, a.hash.high, a.ordinal) <
             std::tie(b.bucket, b.hash.high, b.ordinal);
    });
    if (drop_duplicates(part, out.duplicates) != Attempt::done) return Attempt::other_seed;

    hashes.clear();
    bucket_starts.assign(shape.buckets_per_part + 1, 0);
    for (const Entry& entry : part) {
      hashes.push_back(entry.hash);
      ++bucket_starts[entry.bucket + 1];
    }
    for (size_t b = 1; b < bucket_starts.size(); ++b) bucket_starts[b] += bucket_starts[b - 1];
    std::byte* const part_pilots = pilots + p * shape.buckets_per_part;
    const std::span pilot_span(part_pilots, shape.buckets_per_part);
    if (!search.run(hashes, bucket_starts, pilot_span, shape.seed + p)) return Attempt::other_seed;
    fill_slots(part, shape, part_pilots, slots + p * shape.slots_per_part * slot_bytes);
    out.key_count += part.size();
  }
  return Attempt::done;
}

void TableBuilder::write_header(const Shape& shape, uint64_t key_count, const SourceFacts& source) {
  std::byte* const header = file_.data();
  const uint64_t pilots_offset = load_le<uint64_t>(header + at_pilots_offset);
  MX_ASSERT(pilots_offset % section_alignment == 0);
  std::memcpy(header + at_magic, magic.data(), magic.size());
  store_le(header + at_version, version);
  store_le(header + at_flags, flag_folded_keys);
  store_le(header + at_kind, kind_exact);
  store_le(header + at_parts, static_cast<uint32_t>(shape.parts));
  store_le(header + at_seed, shape.seed);
  store_le(header + at_key_count, key_count);
  store_le(header + at_slots_per_part, shape.slots_per_part);
  store_le(header + at_buckets_per_part, shape.buckets_per_part);
  store_le(header + at_file_size, uint64_t{file_.size()});
  store_le(header + at_source_mtime, source.mtime_ns);
  store_le(header + at_source_size, source.size);
  const Bytes file(file_);
  store_le(header + at_body_checksum, checksum(file.subspan(header_bytes)));
  store_le(header + at_header_checksum, checksum(file.first(at_header_checksum)));
}

std::expected<BuiltTable, BuildError> TableBuilder::build(uint64_t seed,
                                                          const SourceFacts& source) && {
  const uint64_t blob_size = file_.size() - header_bytes;
  Shape shape = shape_for(seed);
  if (sizes_.size() >= UINT32_MAX || blob_size > blob_bytes_max || shape.parts > parts_max)
    return std::unexpected(BuildError::too_large);

  const uint64_t pilots_offset = aligned(header_bytes + blob_size);
  const uint64_t slots_offset = aligned(pilots_offset + shape.parts * shape.buckets_per_part);
  const uint64_t size = slots_offset + shape.parts * shape.slots_per_part * slot_bytes;
  Prng seeds(seed);
  for (uint32_t attempt = 0; attempt < attempts_max; ++attempt) {
    file_.resize(header_bytes + blob_size);
    file_.resize(size);  // zeros: no pilot searched, no slot used
    BuiltTable out;
    if (place(shape, file_.data() + pilots_offset, file_.data() + slots_offset, out) ==
        Attempt::done) {
      store_le(file_.data() + at_blob_size, blob_size);
      store_le(file_.data() + at_pilots_offset, pilots_offset);
      store_le(file_.data() + at_slots_offset, slots_offset);
      write_header(shape, out.key_count, source);
      std::sort(out.duplicates.begin(), out.duplicates.end(),
                [](const Duplicate& a, const Duplicate& b) { return a.ordinal < b.ordinal; });
      out.bytes = std::move(file_);
      return out;
    }
    shape.seed = seeds.next();
  }
  return std::unexpected(BuildError::not_settling);
}

}  // namespace mx::maps
