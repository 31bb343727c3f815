// engine/spool/block_pool.h - the memory of a shard for message bodies: 16 KiB blocks out of one
// mapping.
//
// A body is received into blocks, copied from them into the journal's batch, and the same blocks
// then serve as the cache for immediate delivery: one copy in, none out. The pool is the bound
// (`ringmx_body_cache`); an empty pool is back-pressure on receiving, and messages are kept for
// delivery only while a quarter is free. Pages are touched on first use. Owner and threads: one
// shard.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <vector>

#include "proto/base/assert.h"
#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/base/small_vector.h"

namespace mx::spool {

using BlockId = uint32_t;
inline constexpr BlockId no_block = UINT32_MAX;

struct BodyPart {
  BlockId block = no_block;
  uint32_t bytes = 0;
};
using BodyParts = SmallVector<BodyPart, 4>;

class BlockPool {
 public:
  explicit BlockPool(uint64_t bytes)
      : count_(static_cast<uint32_t>(bytes / limits::body_block_bytes)) {
    MX_ASSERT(count_ > 0);
    void* memory = ::mmap(nullptr, mapped(), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MX_ASSERT(memory != MAP_FAILED);
    memory_ = static_cast<std::byte*>(memory);
    free_.reserve(count_);
    for (uint32_t i = count_; i > 0; --i) free_.push_back(i - 1);
  }
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool() { ::munmap(memory_, mapped()); }

  BlockId take() {  // no_block when there is none
    if (free_.empty()) return no_block;
    const BlockId block = free_.back();
    free_.pop_back();
    return block;
  }
  void give_back(BlockId block) {
    MX_ASSERT(block < count_ && free_.size() < count_);
    free_.push_back(block);
  }
  void give_back(BodyParts& parts) {
    for (const BodyPart& part : parts) give_back(part.block);
    parts.clear();
  }
  std::byte* at(BlockId block) {
    MX_ASSERT(block < count_);
    return memory_ + size_t{block} * limits::body_block_bytes;
  }
  Bytes bytes(const BodyPart& part) { return {at(part.block), part.bytes}; }
  bool plenty() const { return free_.size() * 4 > count_; }
  uint32_t free() const { return static_cast<uint32_t>(free_.size()); }
  uint32_t count() const { return count_; }

 private:
  size_t mapped() const { return size_t{count_} * limits::body_block_bytes; }
  uint32_t count_;
  std::byte* memory_ = nullptr;
  std::vector<BlockId> free_;
};

}  // namespace mx::spool
