// Tables: build and look-up by number of keys. Every answer is checked. Rivals and cold-cache
// figures are another matter; this shows when a change makes the table slower than it was.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "maps/builder.h"
#include "maps/table.h"
#include "proto/base/assert.h"
#include "proto/base/prng.h"

namespace {

using namespace mx;

std::string key(uint64_t i) {
  return "user" + std::to_string(i * 2654435761U % 1'000'000'007U) + "@domain" +
         std::to_string(i % 1000) + ".example.org";
}

std::vector<std::byte> build(uint64_t keys) {
  maps::TableBuilder builder;
  for (uint64_t i = 0; i < keys; ++i) builder.add(key(i), "OK");
  auto built = std::move(builder).build(1, {});
  MX_ASSERT(built.has_value());
  MX_ASSERT(built->key_count == keys);
  return std::move(built->bytes);
}

void table_build(benchmark::State& state) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(build(keys));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void table_find(benchmark::State& state, bool present) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  const std::vector<std::byte> bytes = build(keys);
  const auto table = maps::Table::open(bytes);
  MX_ASSERT(table.has_value());
  Prng random(1);
  std::vector<std::string> asked;
  for (int i = 0; i < 65'536; ++i) asked.push_back((present ? "" : "x") + key(random.below(keys)));
  size_t at = 0;
  for (auto _ : state) {
    const maps::Lookup found = table->find(asked[at++ % asked.size()]);
    MX_ASSERT(found.is_hit() == present);
  }
}

BENCHMARK(table_build)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(table_find, hit, true)->Arg(10'000)->Arg(1'000'000);
BENCHMARK_CAPTURE(table_find, miss, false)->Arg(10'000)->Arg(1'000'000);

}  // namespace

BENCHMARK_MAIN();
