// maps/builder.h - builds a compiled table: add() every pair, then build() once.
//
// The perfect hash is built part by part (about 2^18 keys each): a part's keys are sorted into
// buckets, and from the largest bucket to the smallest a pilot is searched that sends all keys of
// the bucket to free slots. When none does, the pilot that displaces least wins and the displaced
// buckets are placed again, as in cuckoo hashing. A part that does not settle, or two keys with one
// hash, changes the seed by a fixed rule and starts over: the same pairs and seed always give the
// same bytes, on however many threads. Memory: the bytes of the result, while building 32 more a
// key, and 20 MiB a thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <span>
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

// Runs task(0) … task(count - 1), each once, in any order and on any thread, and returns when all
// are done: how the caller lends its threads.
using Task = std::function<void(size_t)>;
using RunTasks = std::function<void(size_t count, const Task& task)>;
void run_one_by_one(size_t count, const Task& task);

class TableBuilder {
 public:
  TableBuilder();
  // What is to come, so that the file is not copied as it grows: a hint.
  void reserve(uint64_t blob_bytes);
  // Adds a pair; its ordinal is the number of pairs added before. The key is folded to lower case.
  // REQUIRES: key of 1..limits::table_key_bytes_max bytes, value at most
  // limits::table_value_bytes_max.
  void add(std::string_view key, std::string_view value);
  size_t size() const { return pairs_; }
  std::expected<BuiltTable, BuildError> build(uint64_t seed, const SourceFacts& source,
                                              const RunTasks& run = run_one_by_one) &&;

 private:
  struct Entry {  // a key and where its pair is in the blob
    KeyHash hash;
    uint64_t offset = 0;
    uint32_t ordinal = 0;
    uint32_t bucket = 0;  // of its part
  };
  // All keys, grouped by part: part p in [starts[p], starts[p + 1]), in order within one.
  struct Grouped {
    std::vector<Entry> entries;
    std::vector<uint64_t> starts;
  };
  struct Placed {  // what became of one part
    bool done = false;
    uint64_t key_count = 0;
    std::vector<Duplicate> duplicates;
  };

  format::Shape shape_for(uint64_t seed) const;
  Grouped group_by_part(const format::Shape& shape, const RunTasks& run) const;
  bool place(const format::Shape& shape, std::byte* pilots, std::byte* slots, const RunTasks& run,
             BuiltTable& out);
  Placed place_part(std::span<const Entry> entries, const format::Shape& shape, uint64_t seed,
                    std::byte* pilots, std::byte* slots) const;
  bool drop_duplicates(std::vector<Entry>& part, std::vector<Duplicate>& duplicates) const;
  void fill_slots(std::span<const Entry> part, const format::Shape& shape, const std::byte* pilots,
                  std::byte* slots) const;
  void write_header(const format::Shape& shape, uint64_t key_count, const SourceFacts& source);
  format::PairSizes sizes_at(uint64_t offset) const;
  std::string_view key_of(const Entry& entry) const;
  template <typename Take>
  void hash_chunk(size_t chunk, const format::Shape& shape, const Take& take) const;

  std::vector<std::byte> file_;  // header and blob; build() appends pilots and slots
  size_t pairs_ = 0;
  std::vector<uint64_t> chunk_offsets_;  // in the blob, of every pairs_per_chunk-th pair
};

}  // namespace mx::maps
