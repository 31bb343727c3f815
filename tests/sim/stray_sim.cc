// The journal on a disk that errs while it runs and says nothing: a write lands elsewhere, or
// elsewhere as well, or some of its sectors stay as they were. In one process, from a seed.
//
//   stray_sim [--seed N] [--strays N]   scenarios from seed N on until N writes went astray
//   stray_sim --scenario N              one scenario again, as the failure message names it
//
// Such a disk loses what was acknowledged, and nobody can help that. What must hold: whatever
// recovery gives is whole and was really accepted; when a message is missing, recovery tells of
// damage; a second recovery is the same; what recovery by footers gives is whole, or found out by
// its reader; and the queue lives on. Only the very last batches of a life may go unseen: nothing
// follows that would miss them. For the same reason nothing lands in the last segment of a stream
// of an earlier life.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "queue/segment_scan.h"
#include "tests/sim/life.h"

namespace {

using namespace mx;
using namespace mx::sim;

constexpr uint32_t batches_after = 4;  // of each shard, so that something follows
constexpr uint32_t steps_most = 20'000;

struct Totals {
  uint64_t strays = 0, scenarios = 0, lost = 0, told = 0, unreadable = 0, messages = 0;
};

class Scenario {
 public:
  Scenario(uint64_t seed, Totals& totals) : totals_(totals), prng_(seed) {}
  std::string run();

 private:
  std::vector<bool> ends(Disk& disk) const;
  std::string live(Disk& disk, Oracle& oracle, const queue::Recovered& recovered);
  std::string judge(Disk& disk, Oracle& oracle, queue::Recovered& found, bool something_follows);

  Totals& totals_;
  Prng prng_;
  Weather weather_;
  bool something_follows_ = false;
};

// The last segment of each stream of the lives so far, and of this one's cold stream: what comes
// there next may not come in this life.
std::vector<bool> Scenario::ends(Disk& disk) const {
  std::map<std::tuple<uint64_t, uint16_t, queue::Stream>, std::pair<uint64_t, uint32_t>> last;
  std::pair<uint64_t, uint64_t> newest;  // sequence, epoch
  for (uint32_t i = 0; i < weather_.segment_count; ++i) {
    const queue::SegmentFace face =
        queue::read_face(disk, i, {weather_.segment_bytes, weather_.segment_count});
    if (face.kind != queue::SegmentFace::Kind::alive) continue;
    const queue::Life& life = face.header.life;
    newest = std::max(newest, {life.sequence, life.epoch});
    auto& [sequence, segment] = last[{life.epoch, face.header.shard, face.header.stream}];
    if (life.sequence > sequence) sequence = life.sequence, segment = i;
  }
  std::vector<bool> ends(weather_.segment_count);
  for (const auto& [stream, end] : last)
    ends[end.second] =
        std::get<0>(stream) != newest.second || std::get<2>(stream) == queue::Stream::cold;
  return ends;
}

std::string Scenario::live(Disk& disk, Oracle& oracle, const queue::Recovered& recovered) {
  Life life(weather_, disk, oracle, recovered, prng_.next(), 0, [] {});
  life.run(static_cast<uint32_t>(50 + prng_.below(1500)));
  disk.spare(ends(disk));
  constexpr Disk::Stray kinds[] = {Disk::Stray::elsewhere, Disk::Stray::twice, Disk::Stray::stale};
  disk.stray_next(kinds[prng_.below(3)], prng_.next());
  for (uint32_t i = 0; i < steps_most && disk.stray_waits(); ++i) life.run(1);
  const bool astray = !disk.stray_waits();
  if (astray) ++totals_.strays;
  disk.stray_next(Disk::Stray::none, 0);
  const std::vector<uint64_t> before = life.batches();
  const auto followed = [&] {
    return std::ranges::equal(before, life.batches(), [](uint64_t then, uint64_t now) {
      return now >= then + batches_after;
    });
  };
  for (uint32_t i = 0; i < steps_most && !followed(); ++i) life.run(1);
  something_follows_ = followed();
  totals_.messages += life.stats().messages;
  return life.wrong();
}

std::string Scenario::judge(Disk& disk, Oracle& oracle, queue::Recovered& found,
                            bool something_follows) {
  const queue::Geometry geometry{weather_.segment_bytes, weather_.segment_count};
  const std::vector<queue::Damage> before = std::move(found.damage);
  found = queue::recover(disk, geometry, queue::Verify::all);
  if (!found.refusal.empty()) return found.refusal;
  if (!same(found, queue::recover(disk, geometry, queue::Verify::all)))
    return "a second recovery differs";
  std::string wrong = oracle.check_rotten(found, disk);
  if (!wrong.empty()) return wrong;
  const queue::Recovered quick = queue::recover(disk, geometry);
  wrong = oracle.check_rotten(quick, disk, &totals_.unreadable);
  if (!wrong.empty()) return "by footers: " + wrong;
  const uint64_t lost = oracle.count_missing(found);
  totals_.lost += lost;
  if (lost == 0) return {};
  ++totals_.told;
  const bool told = std::ranges::any_of(found.damage, [&](const queue::Damage& damage) {
    const auto is_it = [&](const queue::Damage& old) {
      return old.segment == damage.segment && old.offset == damage.offset &&
             old.text == damage.text;
    };
    return !damage.torn_tail && std::ranges::none_of(before, is_it);
  });
  if (something_follows && !told)
    return std::to_string(lost) + " messages are gone and nothing is told";
  return {};
}

std::string Scenario::run() {
  weather_ = draw_weather(prng_);
  weather_.faults.garbage_percent = 0;
  weather_.astray = true;
  Disk disk(weather_.segment_bytes, weather_.segment_count, weather_.faults);
  Oracle oracle;
  queue::Recovered found =
      queue::recover(disk, {weather_.segment_bytes, weather_.segment_count}, queue::Verify::all);
  for (int i = 0; i < 3; ++i) {
    std::string wrong = live(disk, oracle, found);
    if (!wrong.empty()) return wrong;
    disk.crash(prng_);
    wrong = judge(disk, oracle, found, something_follows_);
    if (!wrong.empty()) return wrong;
    oracle.settle(found);
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t seed = 1, strays = 1000;
  bool single = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    const uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seed") == 0) seed = value;
    if (std::strcmp(argv[i], "--strays") == 0) strays = value;
    if (std::strcmp(argv[i], "--scenario") == 0) seed = value, single = true;
  }
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  Totals totals;
  for (uint64_t at = seed; totals.strays < strays; ++at) {
    const std::string wrong = Scenario(at, totals).run();
    ++totals.scenarios;
    if (!wrong.empty()) {
      std::printf("FAILED: %s\nagain with: stray_sim --scenario %llu\n", wrong.c_str(),
                  static_cast<unsigned long long>(at));
      return 1;
    }
    if (single) break;
  }
  const auto u = [](uint64_t n) { return static_cast<unsigned long long>(n); };
  std::printf(
      "%llu writes astray in %llu scenarios with %llu messages: %llu messages lost, each told of "
      "(in %llu recoveries); %llu found by the reader of a message\n",
      u(totals.strays), u(totals.scenarios), u(totals.messages), u(totals.lost), u(totals.told),
      u(totals.unreadable));
  return 0;
}
