// engine/io/slot_pool.h - objects addressed by slot number and generation, at most `limit` of them.
//
// A slot's generation goes up each time it is freed, so that a late completion that names an
// earlier life is recognised. Objects live in chunks of 64 made on first use and never given back:
// the memory of a pool is bounded by its limit and follows the greatest number in use so far.
// Objects do not move.
//
// Owner and threads: one shard.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/io/op.h"
#include "proto/base/assert.h"

namespace mx::io {

template <typename T>
class SlotPool {
 public:
  explicit SlotPool(uint32_t limit) : limit_(limit) {}

  // The slot that make() will use. REQUIRES used() < limit().
  uint32_t next_slot() {
    if (free_.empty()) grow();
    return free_.back();
  }
  // Constructs an object in a free slot; nullptr when the pool is full.
  template <typename... Args>
  T* make(uint32_t* slot, Args&&... args) {
    if (used_ == limit_) return nullptr;
    *slot = next_slot();
    free_.pop_back();
    Entry& e = entry(*slot);
    e.object.emplace(std::forward<Args>(args)...);
    ++used_;
    return &*e.object;
  }
  void free(uint32_t slot) {
    Entry& e = entry(slot);
    MX_ASSERT(e.object.has_value());
    e.object.reset();
    e.generation = (e.generation + 1) & 0xFFFFFF;
    free_.push_back(slot);
    --used_;
  }
  // The object, or nullptr when the slot is free or in another life.
  T* find(uint32_t slot, uint32_t generation) {
    if (slot >= size()) return nullptr;
    Entry& e = entry(slot);
    return e.object && e.generation == generation ? &*e.object : nullptr;
  }
  // The object of whatever life, or nullptr when the slot is free.
  T* get(uint32_t slot) {
    if (slot >= size()) return nullptr;
    Entry& e = entry(slot);
    return e.object ? &*e.object : nullptr;
  }
  T* find(Op op) { return find(op.slot, op.generation); }
  T& at(uint32_t slot) {
    Entry& e = entry(slot);
    MX_ASSERT(e.object.has_value());
    return *e.object;
  }
  uint32_t generation(uint32_t slot) { return entry(slot).generation; }
  Op op(uint8_t kind, uint32_t slot) { return {kind, generation(slot), slot}; }
  uint32_t used() const { return used_; }
  uint32_t limit() const { return limit_; }
  template <typename Visit>
  void each(Visit&& visit) {
    for (uint32_t slot = 0; slot < size(); ++slot)
      if (entry(slot).object) visit(slot, *entry(slot).object);
  }

 private:
  struct Entry {
    std::optional<T> object;
    uint32_t generation = 0;
  };
  static constexpr uint32_t chunk = 64;

  uint32_t size() const { return size_; }
  Entry& entry(uint32_t slot) {
    MX_ASSERT(slot < size_);
    return chunks_[slot / chunk][slot % chunk];
  }
  void grow() {
    chunks_.push_back(std::make_unique<Entry[]>(chunk));
    const uint32_t more = std::min(chunk, limit_ - size_);
    for (uint32_t i = more; i > 0; --i) free_.push_back(size_ + i - 1);
    size_ += more;
  }

  uint32_t limit_, size_ = 0, used_ = 0;
  std::vector<std::unique_ptr<Entry[]>> chunks_;
  std::vector<uint32_t> free_;
};

}  // namespace mx::io
