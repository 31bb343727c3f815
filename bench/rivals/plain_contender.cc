// What the perfect hash is measured against first: a plain hash table of cache lines in the same
// kind of memory. A bucket is 64 bytes: seven entries of a 16-bit fingerprint and a 48-bit offset,
// and a count; a full bucket passes its keys to the next one. No pilots: one access finds the
// entry, one more the key.
#include <cstring>

#include "bench/rivals/contender.h"
#include "engine/io/file.h"
#include "maps/hash.h"
#include "proto/base/assert.h"

namespace mx::bench {
namespace {

class CacheLineHash final : public Contender {
 public:
  std::string name() const override { return "cache-line hash"; }

  void build(const Pairs& pairs, const std::string&) override {
    uint64_t blob_bytes = 0;
    for (size_t i = 0; i < pairs.keys.size(); ++i)
      blob_bytes += pair_header + pairs.keys[i].size() + pairs.values[i].size();
    buckets_ = pairs.keys.size() * 10 / (entries * 8) + 1;  // 80 % full
    memory_ = io::AlignedBuffer(buckets_ * sizeof(Bucket) + blob_bytes);
    uint64_t at = buckets_ * sizeof(Bucket);
    for (size_t i = 0; i < pairs.keys.size(); ++i) {
      insert(maps::hash_key(pairs.keys[i], 1), at);
      at += write_pair(memory_.data() + at, pairs.keys[i], pairs.values[i]);
    }
  }

  uint64_t bytes() const override { return memory_.size(); }

  std::string_view find(std::string_view key) const override {
    return find_hashed(key, maps::hash_key(key, 1));
  }

  // As the table's: what the next step reads is prefetched for all keys.
  void find_batch(std::span<const std::string_view> keys,
                  std::span<std::string_view> values) const override {
    std::array<maps::KeyHash, 8> hashes;
    for (size_t i = 0; i < keys.size(); ++i) {
      hashes[i] = maps::hash_key(keys[i], 1);
      __builtin_prefetch(table() + first_bucket(hashes[i]));
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      const Bucket& bucket = table()[first_bucket(hashes[i])];
      for (uint64_t e = 0; e < bucket.count; ++e)
        if (bucket.entry[e] >> 48 == hashes[i].low >> 48)
          __builtin_prefetch(memory_.bytes().data() + (bucket.entry[e] & offset_mask));
    }
    for (size_t i = 0; i < keys.size(); ++i) values[i] = find_hashed(keys[i], hashes[i]);
  }

 private:
  std::string_view find_hashed(std::string_view key, maps::KeyHash hash) const {
    const uint64_t fingerprint = hash.low >> 48;
    for (uint64_t b = first_bucket(hash);; b = b + 1 == buckets_ ? 0 : b + 1) {
      const Bucket& bucket = table()[b];
      for (uint64_t i = 0; i < bucket.count; ++i) {
        if (bucket.entry[i] >> 48 != fingerprint) continue;
        const std::byte* const pair = memory_.bytes().data() + (bucket.entry[i] & offset_mask);
        uint16_t key_size = 0;
        uint32_t value_size = 0;
        std::memcpy(&key_size, pair, 2);
        std::memcpy(&value_size, pair + 2, 4);
        const char* const text = reinterpret_cast<const char*>(pair + pair_header);
        if (std::string_view(text, key_size) == key) return {text + key_size, value_size};
      }
      if (bucket.count < entries) return {};
    }
  }

  static constexpr uint64_t entries = 7;
  static constexpr uint64_t pair_header = 6;
  static constexpr uint64_t offset_mask = (1ULL << 48) - 1;
  struct alignas(64) Bucket {
    uint64_t count;
    uint64_t entry[entries];
  };
  static_assert(sizeof(Bucket) == 64);

  const Bucket* table() const { return reinterpret_cast<const Bucket*>(memory_.bytes().data()); }
  uint64_t first_bucket(maps::KeyHash hash) const {
    __extension__ using Wide = unsigned __int128;
    return static_cast<uint64_t>((static_cast<Wide>(hash.high) * buckets_) >> 64);
  }
  void insert(maps::KeyHash hash, uint64_t offset) {
    MX_ASSERT(offset <= offset_mask);
    Bucket* const buckets = reinterpret_cast<Bucket*>(memory_.data());
    uint64_t b = first_bucket(hash);
    while (buckets[b].count == entries) b = b + 1 == buckets_ ? 0 : b + 1;
    buckets[b].entry[buckets[b].count++] = (hash.low >> 48) << 48 | offset;
  }
  static uint64_t write_pair(std::byte* to, std::string_view key, std::string_view value) {
    const auto key_size = static_cast<uint16_t>(key.size());
    const auto value_size = static_cast<uint32_t>(value.size());
    std::memcpy(to, &key_size, 2);
    std::memcpy(to + 2, &value_size, 4);
    std::memcpy(to + pair_header, key.data(), key.size());
    std::memcpy(to + pair_header + key.size(), value.data(), value.size());
    return pair_header + key.size() + value.size();
  }

  uint64_t buckets_ = 0;
  io::AlignedBuffer memory_;
};

}  // namespace

std::unique_ptr<Contender> make_plain() {
  return std::make_unique<CacheLineHash>();
}

}  // namespace mx::bench
