#include "maps/table.h"

#include <algorithm>
#include <cstring>

#include "proto/base/assert.h"
#include "proto/base/text.h"

namespace mx::maps {

using namespace format;

std::string_view describe(TableError error) {
  switch (error) {
    case TableError::too_short:
      return "too short for a compiled table";
    case TableError::not_a_table:
      return "not a compiled table";
    case TableError::other_version:
      return "compiled by another version";
    case TableError::damaged_header:
      return "damaged (header checksum)";
    case TableError::wrong_size:
      return "truncated, or longer than its header says";
    case TableError::damaged:
      return "damaged (checksum)";
  }
  return "unusable";
}

// Fields and their relations. All sums stay far below 2^64 by the format's limits.
bool Table::read_header(Bytes file) {
  const std::byte* header = file.data();
  if (load_le<uint32_t>(header + at_flags) != flag_folded_keys) return false;
  if (load_le<uint32_t>(header + at_kind) != kind_exact) return false;
  shape_.seed = load_le<uint64_t>(header + at_seed);
  shape_.parts = load_le<uint32_t>(header + at_parts);
  shape_.slots_per_part = load_le<uint64_t>(header + at_slots_per_part);
  shape_.buckets_per_part = load_le<uint64_t>(header + at_buckets_per_part);
  if (shape_.parts == 0 || shape_.parts > parts_max) return false;
  if (shape_.slots_per_part == 0 || shape_.slots_per_part > slots_per_part_max) return false;
  if (shape_.buckets_per_part == 0 || shape_.buckets_per_part > slots_per_part_max) return false;

  key_count_ = load_le<uint64_t>(header + at_key_count);
  if (key_count_ > shape_.parts * shape_.slots_per_part) return false;
  blob_size_ = load_le<uint64_t>(header + at_blob_size);
  if (blob_size_ > blob_bytes_max) return false;
  const uint64_t pilots_offset = load_le<uint64_t>(header + at_pilots_offset);
  const uint64_t slots_offset = load_le<uint64_t>(header + at_slots_offset);
  if (pilots_offset != aligned(header_bytes + blob_size_)) return false;
  if (slots_offset != aligned(pilots_offset + shape_.parts * shape_.buckets_per_part)) return false;
  const uint64_t size = slots_offset + shape_.parts * shape_.slots_per_part * slot_bytes;
  if (load_le<uint64_t>(header + at_file_size) != size) return false;

  source_mtime_ns_ = load_le<int64_t>(header + at_source_mtime);
  source_size_ = load_le<uint64_t>(header + at_source_size);
  blob_ = file.data() + header_bytes;
  pilots_ = file.data() + pilots_offset;
  slots_ = file.data() + slots_offset;
  return true;
}

std::expected<Table, TableError> Table::open(Bytes file) {
  if (file.size() >= magic.size() && std::memcmp(file.data(), magic.data(), magic.size()) != 0)
    return std::unexpected(TableError::not_a_table);
  if (file.size() < header_bytes) return std::unexpected(TableError::too_short);
  const std::byte* header = file.data();
  if (checksum(file.first(at_header_checksum)) != load_le<uint64_t>(header + at_header_checksum))
    return std::unexpected(TableError::damaged_header);
  if (load_le<uint32_t>(header + at_version) != version)
    return std::unexpected(TableError::other_version);
  Table table;
  if (!table.read_header(file)) return std::unexpected(TableError::damaged_header);
  if (load_le<uint64_t>(header + at_file_size) != file.size())
    return std::unexpected(TableError::wrong_size);
  if (checksum(file.subspan(header_bytes)) != load_le<uint64_t>(header + at_body_checksum))
    return std::unexpected(TableError::damaged);
  return table;
}

void Table::start(Probe& probe, std::string_view key, Folded& buffer) const {
  probe.pilot = probe.slot = nullptr;
  if (key.empty() || key.size() > buffer.size()) return;
  probe.folded = key;
  if (has_upper(key)) {  // most keys come folded
    lower_into(buffer.data(), key);
    probe.folded = {buffer.data(), key.size()};
  }
  probe.hash = hash_key(probe.folded, shape_.seed);
  const uint64_t part = part_of(probe.hash, shape_);
  probe.pilot = pilots_ + part * shape_.buckets_per_part + bucket_of(probe.hash, shape_);
}

void Table::find_slot(Probe& probe) const {
  if (probe.pilot == nullptr) return;
  const uint64_t part = part_of(probe.hash, shape_);
  const uint8_t pilot = std::to_integer<uint8_t>(*probe.pilot);
  probe.slot =
      slots_ + (part * shape_.slots_per_part + slot_of(probe.hash, pilot, shape_)) * slot_bytes;
}

Lookup Table::read_slot(const Probe& probe) const {
  if (probe.slot == nullptr) return Lookup::miss();
  const Slot slot = Slot::load(probe.slot);
  if (slot.fingerprint != fingerprint_of(probe.hash)) return Lookup::miss();
  if (slot.offset >= blob_size_) return Lookup::tempfail();
  const Bytes rest(blob_ + slot.offset, blob_size_ - slot.offset);
  PairSizes sizes;
  if (!sizes.load(rest)) return Lookup::tempfail();
  const std::string_view pair =
      as_text(rest.subspan(sizes.header, uint64_t{sizes.key} + sizes.value));
  if (pair.substr(0, sizes.key) != probe.folded) return Lookup::miss();
  return Lookup::hit(pair.substr(sizes.key));
}

Lookup Table::find(std::string_view key) const {
  Folded buffer;
  Probe probe;
  start(probe, key, buffer);
  find_slot(probe);
  return read_slot(probe);
}

bool Table::for_each(
    const std::function<void(std::string_view key, std::string_view value)>& take) const {
  for (Bytes rest(blob_, blob_size_); !rest.empty();) {
    PairSizes sizes;
    if (!sizes.load(rest)) return false;
    const std::string_view key = as_text(rest.subspan(sizes.header, sizes.key));
    const std::string_view value = as_text(rest.subspan(sizes.header + sizes.key, sizes.value));
    if (find(key).value.data() == value.data()) take(key, value);
    rest = rest.subspan(sizes.total());
  }
  return true;
}

// Step by step for a group of keys: each step prefetches what the next one reads.
void Table::find_batch(std::span<const std::string_view> keys, std::span<Lookup> answers) const {
  MX_ASSERT(keys.size() == answers.size());
  constexpr size_t group = 8;
  std::array<Folded, group> buffers;
  std::array<Probe, group> probes;
  for (size_t done = 0; done < keys.size(); done += group) {
    const size_t count = std::min(group, keys.size() - done);
    for (size_t i = 0; i < count; ++i) {
      start(probes[i], keys[done + i], buffers[i]);
      if (probes[i].pilot != nullptr) __builtin_prefetch(probes[i].pilot);
    }
    for (size_t i = 0; i < count; ++i) {
      find_slot(probes[i]);
      if (probes[i].slot != nullptr) __builtin_prefetch(probes[i].slot);
    }
    for (size_t i = 0; i < count; ++i) {
      if (probes[i].slot == nullptr) continue;
      const Slot slot = Slot::load(probes[i].slot);
      if (slot.fingerprint == fingerprint_of(probes[i].hash) && slot.offset < blob_size_)
        __builtin_prefetch(blob_ + slot.offset);
    }
    for (size_t i = 0; i < count; ++i) answers[done + i] = read_slot(probes[i]);
  }
}

}  // namespace mx::maps
