// The journal under power cuts and device errors, in one process, from a seed.
//
//   journal_sim [--seed N] [--points N]   scenarios from seed N on until N points are checked
//   journal_sim --scenario N              one scenario again, as the failure message names it
//
// A scenario is a few lives of the program. At every operation of a life the disk is copied and
// crashed there; what recovery finds is held against the oracle, recovered once more (it must be
// the same), lived on for a while and crashed again. A part of the scenarios has one operation
// fail.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/sim/life.h"

namespace {

using namespace mx;
using namespace mx::sim;

struct Totals {
  uint64_t points = 0, scenarios = 0, failures_injected = 0, drains = 0;
  uint64_t messages = 0, marks = 0, relocated = 0, retired = 0, refused = 0, torn_tails = 0,
           by_footer = 0, bulk_batches = 0, moved = 0, emptied = 0, copies = 0, salvages = 0,
           marks_after_failure = 0;
  void add(const queue::JournalStats& stats) {
    moved += stats.moved;
    messages += stats.messages;
    bulk_batches += stats.bulk_batches;
    marks += stats.marks;
    relocated += stats.relocated;
    retired += stats.segments_retired;
    refused += stats.refused_no_space;
  }
};

class Scenario {
 public:
  Scenario(uint64_t seed, Totals& totals) : totals_(totals), prng_(seed) {}

  // Empty when all is well.
  std::string run();

 private:
  bool start(Disk& disk, Oracle& oracle, queue::Recovered& recovered);
  void crash_here(const Disk& disk, const Oracle& oracle);

  Totals& totals_;
  Prng prng_;
  Weather weather_;
  std::string wrong_;
};

// Recovers, twice, and checks.
bool Scenario::start(Disk& disk, Oracle& oracle, queue::Recovered& recovered) {
  const queue::Geometry geometry{weather_.segment_bytes, weather_.segment_count};
  recovered = queue::recover(disk, geometry);
  wrong_ = recovered.refusal.empty() ? oracle.check(recovered, disk) : recovered.refusal;
  if (wrong_.empty() && !same(recovered, queue::recover(disk, geometry)))
    wrong_ = "a second recovery differs";
  totals_.by_footer += recovered.segments_by_footer;
  if (wrong_.empty() &&
      !same_messages(recovered, queue::recover(disk, geometry, queue::Verify::all)))
    wrong_ = "the footers and the records differ";
  // Without garbage no crash looks like damage.
  for (const queue::Damage& damage : recovered.damage)
    if (wrong_.empty() && weather_.faults.garbage_percent == 0 && !damage.torn_tail)
      wrong_ = "damage told after a mere crash: segment " + std::to_string(damage.segment) + ": " +
               damage.text;
  if (!wrong_.empty()) return false;
  totals_.torn_tails += recovered.torn_tails;
  for (const auto& message : recovered.messages) totals_.copies += message.copies.size();
  oracle.settle(recovered);
  return true;
}

void Scenario::crash_here(const Disk& disk, const Oracle& oracle) {
  if (!wrong_.empty()) return;
  Disk after = disk;
  Oracle truth = oracle;
  // Twice: the second time in the life that follows.
  for (int depth = 0; depth < 2; ++depth) {
    ++totals_.points;
    after.crash(prng_);
    queue::Recovered recovered;
    if (!start(after, truth, recovered)) return;
    if (depth == 1) return;
    Weather weather = weather_;
    weather.shards = 1 + static_cast<uint32_t>(prng_.below(3));
    Life life(weather, after, truth, recovered, prng_.next(), 0, [] {});
    life.run(10 + static_cast<uint32_t>(prng_.below(60)));
    if (!life.wrong().empty()) wrong_ = life.wrong();
  }
}

std::string Scenario::run() {
  weather_ = draw_weather(prng_);
  Disk disk(weather_.segment_bytes, weather_.segment_count, weather_.faults);
  Oracle oracle;
  const uint32_t lives = 2 + static_cast<uint32_t>(prng_.below(4));
  for (uint32_t i = 0; i < lives; ++i) {
    queue::Recovered recovered;
    if (!start(disk, oracle, recovered)) return wrong_;
    const uint64_t fail_at = prng_.chance(30) ? 1 + prng_.below(40) : 0;
    if (fail_at != 0) ++totals_.failures_injected;
    const uint32_t again[] = {0, 0, 5, 30};
    weather_.fails_again_percent = again[prng_.below(4)];
    // Some lives are long and looked at rarely, so that the pool wraps and runs low.
    const bool is_long = prng_.chance(30);
    Life life(weather_, disk, oracle, recovered, prng_.next(), fail_at, [&] {
      if (!is_long || prng_.chance(3)) crash_here(disk, oracle);
    });
    life.run(is_long ? 5000 : fail_at != 0 ? 400 : 150);
    if (wrong_.empty()) wrong_ = life.wrong();
    if (wrong_.empty() && i + 1 == lives && fail_at == 0 && weather_.faults.garbage_percent == 0) {
      ++totals_.drains;
      wrong_ = life.drain();
    }
    totals_.add(life.stats());
    totals_.emptied += life.segments_emptied();
    totals_.salvages += life.salvages();
    totals_.marks_after_failure += life.marks_after_failure();
    if (!wrong_.empty()) return wrong_;
    disk.crash(prng_);
  }
  queue::Recovered recovered;
  start(disk, oracle, recovered);
  return wrong_;
}

constexpr uint64_t progress_each = 250'000;  // crash points

}  // namespace

int main(int argc, char** argv) {
  uint64_t seed = 1, points = 20'000;
  bool single = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    const uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seed") == 0) seed = value;
    if (std::strcmp(argv[i], "--points") == 0) points = value;
    if (std::strcmp(argv[i], "--scenario") == 0) seed = value, single = true;
  }
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  Totals totals;
  uint64_t said = 0;
  for (uint64_t at = seed; totals.points < points; ++at) {
    const std::string wrong = Scenario(at, totals).run();
    ++totals.scenarios;
    if (!wrong.empty()) {
      std::printf("FAILED: %s\nagain with: journal_sim --scenario %llu\n", wrong.c_str(),
                  static_cast<unsigned long long>(at));
      return 1;
    }
    if (single) break;
    if (totals.points / progress_each != said) {
      said = totals.points / progress_each;
      std::fprintf(stderr, "%llu crash points so far, next scenario %llu\n",
                   static_cast<unsigned long long>(totals.points),
                   static_cast<unsigned long long>(at + 1));
    }
  }
  std::printf(
      "%llu crash points in %llu scenarios; %llu failures injected, %llu drained; %llu messages, "
      "%llu marks, %llu relocated, %llu segments retired, %llu refused for space, %llu torn "
      "tails, %llu segments read by footer, %llu batches of large bodies, %llu messages moved, "
      "%llu segments emptied, %llu moves cut "
      "short, %llu journals went on with marks after a failure, %llu marks durable then\n",
      static_cast<unsigned long long>(totals.points),
      static_cast<unsigned long long>(totals.scenarios),
      static_cast<unsigned long long>(totals.failures_injected),
      static_cast<unsigned long long>(totals.drains),
      static_cast<unsigned long long>(totals.messages),
      static_cast<unsigned long long>(totals.marks),
      static_cast<unsigned long long>(totals.relocated),
      static_cast<unsigned long long>(totals.retired),
      static_cast<unsigned long long>(totals.refused),
      static_cast<unsigned long long>(totals.torn_tails),
      static_cast<unsigned long long>(totals.by_footer),
      static_cast<unsigned long long>(totals.bulk_batches),
      static_cast<unsigned long long>(totals.moved),
      static_cast<unsigned long long>(totals.emptied),
      static_cast<unsigned long long>(totals.copies),
      static_cast<unsigned long long>(totals.salvages),
      static_cast<unsigned long long>(totals.marks_after_failure));
  return 0;
}
