// maps/builder.h - builds a compiled table: add() every pair, then build() once.
//
// The perfect hash is built part by part (about 2^18 keys each): a part's keys are sorted into
// buckets, and from the largest bucket to the smallest a pilot is searched that sends all keys of
// the bucket to free slots. When none does, the pilot that displaces least wins and the displaced
// buckets are placed again, as in cuckoo hashing. A part that does not settle, or two keys with one
// hash, changes the seed by a fixed rule and starts over: the same pairs and seed always give the
// same bytes. Memory: 8 bytes a key while adding, 32 more while building, beside the bytes of the
// result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>
#include <vector>

#include "maps/format.h"

namespace mx::maps {

enum class BuildError : uint8_t {
  too_large,     // more keys or bytes than the format holds
  not_settling,  // no seed of the series worked: does not happen with a hash that works
};

struct SourceFacts {
  int64_t mtime_ns = 0;
  uint64_t size = 0;
};

// A pair whose key came before: the first stays.
struct Duplicate {
  uint32_t ordinal = 0;
  std::string_view key;  // in BuiltTable::bytes
};

struct BuiltTable {
  std::vector<std::byte> bytes;       // the file
  std::vector<Duplicate> duplicates;  // in order
  uint64_t key_count = 0;
};

class TableBuilder {
 public:
  TableBuilder();
  // Adds a pair; its ordinal is the number of pairs added before. The key is folded to lower case.
  // REQUIRES: key of 1..limits::table_key_bytes_max bytes, value at most
  // limits::table_value_bytes_max.
  void add(std::string_view key, std::string_view value);
  size_t size() const { return sizes_.size(); }
  std::expected<BuiltTable, BuildError> build(uint64_t seed, const SourceFacts& source) &&;

 private:
  struct Sizes {
    uint32_t value = 0;
    uint16_t key = 0;
  };
  struct Entry {  // a key and where its pair is in the blob
    KeyHash hash;
    uint64_t offset = 0;
    uint32_t ordinal = 0;
    uint32_t bucket = 0;
  };
  enum class Attempt : uint8_t { done, other_seed };

  format::Shape shape_for(uint64_t seed) const;
  Attempt place(const format::Shape& shape, std::byte* pilots, std::byte* slots, BuiltTable& out);
  std::vector<Entry> hash_by_part(const format::Shape& shape, std::vector<uint64_t>& starts) const;
  Attempt drop_duplicates(std::vector<Entry>& part, std::vector<Duplicate>& duplicates) const;
  void fill_slots(const std::vector<Entry>& part, const format::Shape& shape,
                  const std::byte* pilots, std::byte* slots) const;
  void write_header(const format::Shape& shape, uint64_t key_count, const SourceFacts& source);
  std::string_view key_of(const Entry& entry) const;

  std::vector<std::byte> file_;  // header and blob; build() appends pilots and slots
  std::vector<Sizes> sizes_;     // of each pair, in order
};

}  // namespace mx::maps
