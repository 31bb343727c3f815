// cidr tables: compile and look-up by number of rules. The rules are networks of /20 to /32 (IPv6:
// /20 to /64) scattered over the space, every tenth with a value of its own. The network of every
// rule must be found; what is answered there is the unit test's matter. Addresses are asked for at
// random, so the large tables are measured with cold caches.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "maps/cidr.h"
#include "proto/base/assert.h"
#include "proto/base/prng.h"

namespace {

using namespace mx;

IpAddress random_address(Prng& random, bool v6) {
  IpAddress address{.v6 = v6, .bytes = {}};
  for (size_t i = 0; i < address.bits() / 8; ++i)
    address.bytes[i] = static_cast<uint8_t>(random.next());
  // The blocks in use begin with 2001:, 2400: to 2c0f:.
  if (v6) address.bytes[0] = static_cast<uint8_t>(0x20 + random.below(13));
  return address;
}

std::string source(uint64_t rules, bool v6) {
  Prng random(1);
  std::string text;
  for (uint64_t i = 0; i < rules; ++i) {
    const uint64_t bits = v6 ? 20 + random.below(45) : 20 + random.below(13);
    text += to_string(masked(random_address(random, v6), bits)) + "/" + std::to_string(bits);
    text += i % 10 == 0 ? " listed " + std::to_string(i) + "\n" : " REJECT\n";
  }
  return text;
}

maps::CidrTable compile_unchecked(std::string_view text) {
  std::vector<maps::SourceDiagnostic> diagnostics;
  maps::CidrTable table = maps::CidrTable::compile(text, diagnostics);
  MX_ASSERT(diagnostics.empty());
  return table;
}

maps::CidrTable compile(std::string_view text) {
  maps::CidrTable table = compile_unchecked(text);
  for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1))
    MX_ASSERT(table.find(rest.substr(0, rest.find('/'))).is_hit());
  return table;
}

void cidr_compile(benchmark::State& state, bool v6) {
  const std::string text = source(static_cast<uint64_t>(state.range(0)), v6);
  MX_ASSERT(compile(text).rule_count() == static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(compile_unchecked(text));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void cidr_find(benchmark::State& state, bool v6) {
  const maps::CidrTable table = compile(source(static_cast<uint64_t>(state.range(0)), v6));
  Prng random(2);
  std::vector<IpAddress> asked;
  for (int i = 0; i < 65'536; ++i) asked.push_back(random_address(random, v6));
  size_t at = 0, hits = 0;
  for (auto _ : state) {
    const bool hit = table.find(asked[at++ % asked.size()]).is_hit();
    hits += hit ? size_t{1} : size_t{0};
  }
  state.counters["hits"] = static_cast<double>(hits) / static_cast<double>(at);
  state.counters["ranges"] = static_cast<double>(table.range_count());
}

BENCHMARK_CAPTURE(cidr_compile, ipv4, false)
    ->Arg(10'000)
    ->Arg(1'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cidr_compile, ipv6, true)
    ->Arg(10'000)
    ->Arg(1'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cidr_find, ipv4, false)->Arg(10'000)->Arg(1'000'000);
BENCHMARK_CAPTURE(cidr_find, ipv6, true)->Arg(10'000)->Arg(1'000'000);

}  // namespace

BENCHMARK_MAIN();
