#include "maps/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace mx::maps {

KeyHash hash_key(std::string_view folded_key, uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(folded_key.data(), folded_key.size(), seed);
  return {hash.low64, hash.high64};
}

uint64_t checksum(Bytes bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace mx::maps
