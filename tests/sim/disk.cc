#include "tests/sim/disk.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "proto/base/assert.h"

namespace mx::sim {

void Disk::write(uint32_t segment, uint32_t offset, Bytes data) {
  MX_ASSERT(offset % queue::block_bytes == 0);
  MX_ASSERT(data.size() % queue::block_bytes == 0);
  MX_ASSERT(reinterpret_cast<uintptr_t>(data.data()) % queue::block_bytes == 0);
  MX_ASSERT(offset + data.size() <= images_[segment].size());
  pending_.push_back({segment, offset, {data.begin(), data.end()}});
  if (stray_ != Stray::none) go_astray(pending_.back());
}

void Disk::go_astray(Write& write) {
  Prng prng(stray_seed_);
  const Stray kind = std::exchange(stray_, Stray::none);
  if (kind == Stray::stale) {
    const std::byte* const old = images_[write.segment].data() + write.offset;
    const size_t sectors = write.data.size() / faults_.sector_bytes;
    const size_t first = prng.below(sectors), count = 1 + prng.below(sectors - first);
    std::memcpy(write.data.data() + first * faults_.sector_bytes,
                old + first * faults_.sector_bytes, count * faults_.sector_bytes);
    return;
  }
  size_t victim = prng.below(images_.size());
  while (!spared_.empty() && spared_[victim]) victim = (victim + 1) % images_.size();
  auto& other = images_[victim];
  const size_t places = (other.size() - write.data.size()) / faults_.sector_bytes + 1;
  std::memcpy(other.data() + prng.below(places) * faults_.sector_bytes, write.data.data(),
              write.data.size());
  if (kind == Stray::elsewhere) pending_.pop_back();
}

void Disk::flush(uint32_t segment) {
  for (const Write& write : pending_)
    if (write.segment == segment)
      std::memcpy(images_[segment].data() + write.offset, write.data.data(), write.data.size());
  std::erase_if(pending_, [&](const Write& write) { return write.segment == segment; });
}

void Disk::scatter(const Write& write, Prng& prng) {
  std::byte* image = images_[write.segment].data() + write.offset;
  for (uint32_t at = 0; at < write.data.size(); at += faults_.sector_bytes) {
    if (prng.chance(faults_.arrives_percent)) {
      std::memcpy(image + at, write.data.data() + at, faults_.sector_bytes);
    } else if (prng.chance(faults_.garbage_percent)) {
      for (uint32_t i = 0; i < faults_.sector_bytes; ++i)
        image[at + i] = static_cast<std::byte>(prng.next());
    }
  }
}

void Disk::lose_pending(uint32_t segment, Prng& prng) {
  for (const Write& write : pending_)
    if (write.segment == segment) scatter(write, prng);
  std::erase_if(pending_, [&](const Write& write) { return write.segment == segment; });
}

void Disk::crash(Prng& prng) {
  for (const Write& write : pending_) scatter(write, prng);
  pending_.clear();
}

void Disk::sync_all() {
  for (const Write& write : pending_)
    std::memcpy(images_[write.segment].data() + write.offset, write.data.data(), write.data.size());
  pending_.clear();
}

void Disk::write_torn(uint32_t segment, uint32_t offset, Bytes data, Prng& prng) {
  scatter({segment, offset, {data.begin(), data.end()}}, prng);
}

int64_t Disk::read(uint32_t segment, uint32_t offset, MutableBytes into) {
  const auto& image = images_[segment];
  if (offset >= image.size()) return 0;
  const size_t count = std::min(into.size(), image.size() - offset);
  std::memcpy(into.data(), image.data() + offset, count);
  for (const Write& write : pending_) {
    if (write.segment != segment) continue;
    const size_t from = std::max<size_t>(write.offset, offset);
    const size_t to = std::min(write.offset + write.data.size(), offset + count);
    if (from < to)
      std::memcpy(into.data() + (from - offset), write.data.data() + (from - write.offset),
                  to - from);
  }
  return static_cast<int64_t>(count);
}

}  // namespace mx::sim
