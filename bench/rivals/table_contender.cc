// The perfect-hash table of maps/, read into huge-page memory as the daemon does.
#include <atomic>
#include <cstring>
#include <optional>
#include <thread>

#include "bench/rivals/contender.h"
#include "engine/io/file.h"
#include "maps/builder.h"
#include "maps/table.h"
#include "proto/base/assert.h"

namespace mx::bench {
namespace {

void run_on_threads(size_t threads, size_t count, const maps::Task& task) {
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) task(i);
  };
  std::vector<std::jthread> others;
  for (size_t i = 1; i < threads; ++i) others.emplace_back(work);
  work();
}

class PerfectHash final : public TableContender {
 public:
  explicit PerfectHash(size_t threads) : threads_(threads) {}

  std::string name() const override { return "ringmx"; }

  void build(const Pairs& pairs, const std::string&) override {
    maps::TableBuilder builder;
    for (size_t i = 0; i < pairs.keys.size(); ++i) builder.add(pairs.keys[i], pairs.values[i]);
    const auto built = std::move(builder).build(1, {}, [&](size_t count, const maps::Task& task) {
      run_on_threads(threads_, count, task);
    });
    MX_ASSERT(built.has_value());
    memory_ = io::AlignedBuffer(built->bytes.size());
    std::memcpy(memory_.data(), built->bytes.data(), built->bytes.size());
    const auto table = maps::Table::open(memory_.bytes());
    MX_ASSERT(table.has_value());
    table_ = *table;
  }

  uint64_t bytes() const override { return memory_.size(); }

  std::string_view find(std::string_view key) const override { return table_->find(key).value; }

  void find_batch(std::span<const std::string_view> keys,
                  std::span<std::string_view> values) const override {
    std::array<maps::Lookup, 8> answers;
    MX_ASSERT(keys.size() <= answers.size());
    table_->find_batch(keys, std::span(answers).first(keys.size()));
    for (size_t i = 0; i < keys.size(); ++i) values[i] = answers[i].value;
  }

  // Follows maps/README.md's grammar, so that the bare figure reads the same bytes.
  Touched touched(std::string_view key) const override {
    using namespace maps::format;
    const std::byte* const file = memory_.bytes().data();
    const Shape shape{load_le<uint64_t>(file + at_seed), load_le<uint32_t>(file + at_parts),
                      load_le<uint64_t>(file + at_buckets_per_part),
                      load_le<uint64_t>(file + at_slots_per_part)};
    const maps::KeyHash hash = maps::hash_key(key, shape.seed);
    const uint64_t part = part_of(hash, shape);
    Touched out;
    out.pilot = file + load_le<uint64_t>(file + at_pilots_offset) + part * shape.buckets_per_part +
                bucket_of(hash, shape);
    out.slot =
        file + load_le<uint64_t>(file + at_slots_offset) +
        (part * shape.slots_per_part + slot_of(hash, std::to_integer<uint8_t>(*out.pilot), shape)) *
            slot_bytes;
    const Slot slot = Slot::load(out.slot);
    if (slot.fingerprint == fingerprint_of(hash)) out.pair = file + header_bytes + slot.offset;
    return out;
  }

 private:
  size_t threads_;
  io::AlignedBuffer memory_;
  std::optional<maps::Table> table_;
};

}  // namespace

std::unique_ptr<TableContender> make_table(size_t threads) {
  return std::make_unique<PerfectHash>(threads);
}

}  // namespace mx::bench
