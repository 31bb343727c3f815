// maps/hash.h - the two hashes of a table file: 128 bits of a key under the table's seed, and 64
// bits as checksum of sections. XXH3 is fixed by its specification, so that files are portable
// between builds.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/bytes.h"

namespace mx::maps {

struct KeyHash {
  uint64_t low = 0, high = 0;
  bool operator==(const KeyHash&) const = default;
};

KeyHash hash_key(std::string_view folded_key, uint64_t seed);
uint64_t checksum(Bytes bytes);

}  // namespace mx::maps
