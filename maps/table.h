// maps/table.h - a compiled table over bytes that the caller owns: exact look-ups in an immutable
// set of (key, value), one pilot, one slot and, on a hit, one blob access.
//
// open() checks sizes, offsets and both checksums once; find() still checks the slot's blob range,
// so that not even a file made to deceive can make it read outside the bytes. The answer is exact:
// a fingerprint that agrees is followed by a comparison of the whole key. Owner and threads: const
// after open(), any thread; the bytes must outlive the Table and not change.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <span>
#include <string_view>

#include "maps/format.h"
#include "maps/lookup.h"
#include "proto/base/bytes.h"
#include "proto/base/limits.h"

namespace mx::maps {

enum class TableError : uint8_t {
  too_short,       // no whole header
  not_a_table,     // magic
  other_version,   // written by another version of the format
  damaged_header,  // checksum of the header, or fields that contradict each other
  wrong_size,      // truncated or with bytes after its end
  damaged,         // checksum of the contents
};
std::string_view describe(TableError error);

class Table {
 public:
  // Cost: one pass over all bytes for the checksum.
  static std::expected<Table, TableError> open(Bytes file);

  // The key is folded to lower case here. tempfail only for a table whose checksums agree and whose
  // slots lie. Cost: two cache misses for a hit, one (slot) for a miss, pilots mostly cached.
  Lookup find(std::string_view key) const;
  // The same for many keys: their memory accesses overlap, so that eight cost little more than one.
  // REQUIRES: as many answers as keys.
  void find_batch(std::span<const std::string_view> keys, std::span<Lookup> answers) const;

  // Every pair in the order of its source; a pair whose key came before is not one. False when the
  // table's blob is no sequence of pairs. Cost: a look-up a pair.
  bool for_each(
      const std::function<void(std::string_view key, std::string_view value)>& take) const;

  uint64_t key_count() const { return key_count_; }
  uint64_t seed() const { return shape_.seed; }
  int64_t source_mtime_ns() const {
    return source_mtime_ns_;
  }  // of the source when it was compiled
  uint64_t source_size() const { return source_size_; }

 private:
  // A look-up on its way: each step touches memory that the step before made known.
  struct Probe {
    KeyHash hash;
    const std::byte* pilot;  // nullptr: no table has such a key
    const std::byte* slot;
    std::string_view folded;
  };
  using Folded = std::array<char, limits::table_key_bytes_max>;

  Table() = default;
  bool read_header(Bytes file);
  void start(Probe& probe, std::string_view key, Folded& buffer) const;
  void find_slot(Probe& probe) const;
  Lookup read_slot(const Probe& probe) const;

  format::Shape shape_;
  const std::byte* pilots_ = nullptr;
  const std::byte* slots_ = nullptr;
  const std::byte* blob_ = nullptr;
  uint64_t blob_size_ = 0;
  uint64_t key_count_ = 0;
  int64_t source_mtime_ns_ = 0;
  uint64_t source_size_ = 0;
};

}  // namespace mx::maps
