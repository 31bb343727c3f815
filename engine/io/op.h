// engine/io/op.h - what an io_uring completion belongs to, packed into its user_data:
// kind (8 bits) | generation (24 bits) | slot (32 bits). The kind says which handler, the slot
// which object of that handler, the generation which life of the slot: a completion of an earlier
// life is dropped.
#pragma once

#include <cstdint>

namespace mx::io {

struct Op {
  uint8_t kind = 0;
  uint32_t generation = 0;  // 24 bits
  uint32_t slot = 0;

  uint64_t pack() const {
    return uint64_t{kind} << 56 | (uint64_t{generation} & 0xFFFFFF) << 32 | slot;
  }
  static Op unpack(uint64_t user_data) {
    return {static_cast<uint8_t>(user_data >> 56),
            static_cast<uint32_t>(user_data >> 32) & 0xFFFFFF, static_cast<uint32_t>(user_data)};
  }
};

// A completion whose owner does not care (close, cancel) carries this kind.
inline constexpr uint8_t op_ignored = 0;

}  // namespace mx::io
