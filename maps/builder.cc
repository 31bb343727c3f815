#include "maps/builder.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <tuple>
#include <utility>

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

// What one task hashes. Large enough that its row of counts costs nothing beside it.
constexpr size_t pairs_per_chunk = 1U << 18;

}  // namespace

void run_one_by_one(size_t count, const Task& task) {
  for (size_t i = 0; i < count; ++i) task(i);
}

TableBuilder::TableBuilder() {
  file_.resize(header_bytes);
}

void TableBuilder::reserve(uint64_t blob_bytes) {
  file_.reserve(header_bytes + blob_bytes);
}

void TableBuilder::add(std::string_view key, std::string_view value) {
  MX_ASSERT(!key.empty() && key.size() <= limits::table_key_bytes_max);
  MX_ASSERT(value.size() <= limits::table_value_bytes_max);
  const size_t at = file_.size();
  if (pairs_ % pairs_per_chunk == 0) chunk_offsets_.push_back(at - header_bytes);
  PairSizes sizes{static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size())};
  std::array<std::byte, PairSizes::bytes_max> header;
  sizes.store(header.data());
  file_.resize(at + sizes.total());
  std::byte* const pair = file_.data() + at;
  std::memcpy(pair, header.data(), sizes.header);
  lower_into(reinterpret_cast<char*>(pair + sizes.header), key);
  if (!value.empty()) std::memcpy(pair + sizes.header + key.size(), value.data(), value.size());
  ++pairs_;
}

PairSizes TableBuilder::sizes_at(uint64_t offset) const {
  PairSizes sizes;
  MX_ASSERT(sizes.load(Bytes(file_).subspan(header_bytes + offset)));
  return sizes;
}

std::string_view TableBuilder::key_of(const Entry& entry) const {
  const PairSizes sizes = sizes_at(entry.offset);
  return as_text({file_.data() + header_bytes + entry.offset + sizes.header, sizes.key});
}

Shape TableBuilder::shape_for(uint64_t seed) const {
  const uint64_t keys = pairs_;
  const uint64_t parts = std::max<uint64_t>(1, slots_for(keys) / slots_per_part_goal);
  const uint64_t keys_per_part = (keys + parts - 1) / parts;
  return {seed, parts, buckets_for(keys_per_part), slots_for(keys_per_part)};
}

template <typename Take>
void TableBuilder::hash_chunk(size_t chunk, const Shape& shape, const Take& take) const {
  Entry entry;
  entry.offset = chunk_offsets_[chunk];
  const size_t end = std::min(pairs_, (chunk + 1) * pairs_per_chunk);
  for (size_t i = chunk * pairs_per_chunk; i < end; ++i) {
    entry.ordinal = static_cast<uint32_t>(i);
    const PairSizes sizes = sizes_at(entry.offset);
    const std::byte* const key = file_.data() + header_bytes + entry.offset + sizes.header;
    entry.hash = hash_key(as_text({key, sizes.key}), shape.seed);
    take(entry, part_of(entry.hash, shape));
    entry.offset += sizes.total();
  }
}

// Two passes, as in a radix sort: each chunk counts its keys a part, then all chunks know where
// each of theirs goes. Hashing twice costs less than keeping the hashes.
TableBuilder::Grouped TableBuilder::group_by_part(const Shape& shape, const RunTasks& run) const {
  const size_t chunks = chunk_offsets_.size();
  std::vector<std::vector<uint64_t>> next(chunks);  // per chunk and part: count, then position
  run(chunks, [&](size_t chunk) {
    next[chunk].assign(shape.parts, 0);
    hash_chunk(chunk, shape, [&](const Entry&, uint64_t part) { ++next[chunk][part]; });
  });
  Grouped out;
  out.starts.assign(shape.parts + 1, 0);
  uint64_t position = 0;
  for (uint64_t part = 0; part < shape.parts; ++part) {
    out.starts[part] = position;
    for (std::vector<uint64_t>& row : next) position += std::exchange(row[part], position);
  }
  out.starts[shape.parts] = position;
  out.entries.resize(pairs_);
  run(chunks, [&](size_t chunk) {
    hash_chunk(chunk, shape, [&](Entry& entry, uint64_t part) {
      entry.bucket = static_cast<uint32_t>(bucket_of(entry.hash, shape));
      out.entries[next[chunk][part]++] = entry;
    });
  });
  return out;
}

// `part` is sorted by bucket, hash and ordinal. Keys that came before are dropped and noted; two
// different keys with the same `high` in one bucket can never be told apart by a pilot: then false,
// and another seed is needed.
bool TableBuilder::drop_duplicates(std::vector<Entry>& part,
                                   std::vector<Duplicate>& duplicates) const {
  size_t kept = 0;
  for (const Entry& entry : part) {
    if (kept > 0) {
      const Entry& last = part[kept - 1];
      if (last.bucket == entry.bucket && last.hash.high == entry.hash.high) {
        if (key_of(last) != key_of(entry)) return false;
        duplicates.push_back({entry.ordinal, key_of(entry)});
        continue;
      }
    }
    part[kept++] = entry;
  }
  part.resize(kept);
  return true;
}

void TableBuilder::fill_slots(std::span<const Entry> part, const Shape& shape,
                              const std::byte* pilots, std::byte* slots) const {
  for (const Entry& entry : part) {
    const uint8_t pilot = std::to_integer<uint8_t>(pilots[entry.bucket]);
    std::byte* const at = slots + slot_of(entry.hash, pilot, shape) * slot_bytes;
    MX_ASSERT(load_le<uint64_t>(at) == 0);
    Slot{fingerprint_of(entry.hash), entry.offset}.store(at);
  }
}

TableBuilder::Placed TableBuilder::place_part(std::span<const Entry> entries, const Shape& shape,
                                              uint64_t seed, std::byte* pilots,
                                              std::byte* slots) const {
  std::vector<uint32_t> starts(shape.buckets_per_part + 1);
  const auto count_buckets = [&](std::span<const Entry> of) {
    std::fill(starts.begin(), starts.end(), 0);
    for (const Entry& entry : of) ++starts[entry.bucket + 1];
    for (size_t b = 1; b < starts.size(); ++b) starts[b] += starts[b - 1];
  };
  count_buckets(entries);
  std::vector<Entry> part(entries.size());
  std::vector<uint32_t> next(starts.begin(), starts.end() - 1);
  for (const Entry& entry : entries) part[next[entry.bucket]++] = entry;
  for (size_t b = 0; b + 1 < starts.size(); ++b)
    std::sort(part.begin() + starts[b], part.begin() + starts[b + 1],
              [](const Entry& x, const Entry& y) {
                return std::tie(x.hash.high, x.ordinal) < std::tie(y.hash.high, y.ordinal);
              });

  Placed out;
  if (!drop_duplicates(part, out.duplicates)) return out;
  if (part.size() != entries.size()) count_buckets(part);
  std::vector<KeyHash> hashes;
  hashes.reserve(part.size());
  for (const Entry& entry : part) hashes.push_back(entry.hash);
  PartSearch search(shape);
  if (!search.run(hashes, starts, {pilots, shape.buckets_per_part}, seed)) return out;
  fill_slots(part, shape, pilots, slots);
  out.key_count = part.size();
  out.done = true;
  return out;
}

// False: this seed does not work.
bool TableBuilder::place(const Shape& shape, std::byte* pilots, std::byte* slots,
                         const RunTasks& run, BuiltTable& out) {
  const Grouped grouped = group_by_part(shape, run);
  std::vector<Placed> parts(shape.parts);
  run(shape.parts, [&](size_t p) {
    const std::span entries =
        std::span(grouped.entries)
            .subspan(grouped.starts[p], grouped.starts[p + 1] - grouped.starts[p]);
    parts[p] = place_part(entries, shape, shape.seed + p, pilots + p * shape.buckets_per_part,
                          slots + p * shape.slots_per_part * slot_bytes);
  });
  for (const Placed& part : parts) {
    if (!part.done) return false;
    out.key_count += part.key_count;
    out.duplicates.insert(out.duplicates.end(), part.duplicates.begin(), part.duplicates.end());
  }
  std::sort(out.duplicates.begin(), out.duplicates.end(),
            [](const Duplicate& a, const Duplicate& b) { return a.ordinal < b.ordinal; });
  return true;
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

std::expected<BuiltTable, BuildError> TableBuilder::build(uint64_t seed, const SourceFacts& source,
                                                          const RunTasks& run) && {
  const uint64_t blob_size = file_.size() - header_bytes;
  Shape shape = shape_for(seed);
  if (pairs_ >= UINT32_MAX || blob_size > blob_bytes_max || shape.parts > parts_max)
    return std::unexpected(BuildError::too_large);

  const uint64_t pilots_offset = aligned(header_bytes + blob_size);
  const uint64_t slots_offset = aligned(pilots_offset + shape.parts * shape.buckets_per_part);
  const uint64_t size = slots_offset + shape.parts * shape.slots_per_part * slot_bytes;
  Prng seeds(seed);
  for (uint32_t attempt = 0; attempt < attempts_max; ++attempt) {
    file_.resize(header_bytes + blob_size);
    file_.resize(size);  // zeros: no pilot searched, no slot used
    BuiltTable out;
    if (place(shape, file_.data() + pilots_offset, file_.data() + slots_offset, run, out)) {
      store_le(file_.data() + at_blob_size, blob_size);
      store_le(file_.data() + at_pilots_offset, pilots_offset);
      store_le(file_.data() + at_slots_offset, slots_offset);
      write_header(shape, out.key_count, source);
      out.bytes = std::move(file_);
      return out;
    }
    shape.seed = seeds.next();
  }
  return std::unexpected(BuildError::not_settling);
}

}  // namespace mx::maps
