#include "maps/table.h"

#include <algorithm>
#include <cstring>

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

Lookup Table::find(std::string_view key) const {
  if (key.empty() || key.size() > limits::table_key_bytes_max) return Lookup::miss();
  char folded[limits::table_key_bytes_max];
  std::transform(key.begin(), key.end(), folded, to_lower);
  const KeyHash hash = hash_key({folded, key.size()}, shape_.seed);

  const uint64_t part = part_of(hash, shape_);
  const uint64_t bucket = part * shape_.buckets_per_part + bucket_of(hash, shape_);
  const uint8_t pilot = std::to_integer<uint8_t>(pilots_[bucket]);
  const uint64_t slot_index = part * shape_.slots_per_part + slot_of(hash, pilot, shape_);
  const Slot slot = Slot::load(slots_ + slot_index * slot_bytes);
  if (slot.fingerprint != fingerprint_of(hash)) return Lookup::miss();

  const uint64_t size = uint64_t{slot.key_size} + slot.value_size;
  if (slot.offset > blob_size_ || size > blob_size_ - slot.offset) return Lookup::tempfail();
  const std::string_view pair = as_text({blob_ + slot.offset, size});
  if (pair.substr(0, slot.key_size) != std::string_view{folded, key.size()}) return Lookup::miss();
  return Lookup::hit(pair.substr(slot.key_size));
}

}  // namespace mx::maps
