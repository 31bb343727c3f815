// proto/base/prng.h - seeded pseudo-random numbers (xoshiro256**, public domain algorithm by
// Blackman and Vigna) for jitter, simulation and tests. Not for anything an attacker must not
// guess.
#pragma once

#include <bit>
#include <cstdint>

#include "proto/base/assert.h"

namespace mx {

class Prng {
 public:
  explicit Prng(uint64_t seed) {
    for (uint64_t& word : state_) {  // splitmix64, as the authors advise for seeding
      seed += 0x9E3779B97F4A7C15ULL;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
      word = z ^ (z >> 31);
    }
  }
  uint64_t next() {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  // Uniform enough for our uses in [0, bound).
  uint64_t below(uint64_t bound) {
    MX_ASSERT(bound > 0);
    __extension__ using Wide = unsigned __int128;
    return static_cast<uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
  }
  bool chance(uint32_t percent) { return below(100) < percent; }

 private:
  uint64_t state_[4];
};

}  // namespace mx
