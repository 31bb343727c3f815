// What rots in a sealed segment: every bit flipped, every two sectors swapped, sectors zeroed or
// taken from elsewhere, one at a time, in one process, from a seed.
//
//   rot_sim [--seed N] [--stride N]     every Nth bit (1: all of them)
//
// A queue is made by a life of the program without a crash. Then, for each damage: recovery that
// verifies everything tells of it, whatever it gives is whole, nothing is invented, at most the
// messages that the damage touches are missing, and recovery by footers never gives more than that
// less the readers' own check. A footer holds nothing of its own: without it the records are read.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "proto/base/assert.h"
#include "queue/segment_scan.h"
#include "tests/sim/life.h"

namespace {

using namespace mx;
using namespace mx::sim;

constexpr uint32_t sector = 512;

struct Totals {
  uint64_t cold = 0, flips = 0, swaps = 0, zeros = 0, strays = 0, lost = 0, unseen = 0,
           by_reader = 0;
};

class Rot {
 public:
  Rot(uint64_t seed, uint32_t stride) : prng_(seed), stride_(stride) {}
  std::string run(Totals& totals);

 private:
  void make_queue();
  // Empty when all is well. `touched_max`: how many messages the damage can concern.
  std::string judge(Totals& totals, size_t touched_max, bool must_be_seen);
  std::string read_lazily(const queue::Recovered& found, Totals& totals);
  std::string flip_bits(Totals& totals, uint32_t segment);
  std::string move_sectors(Totals& totals, uint32_t segment);

  Prng prng_;
  uint32_t stride_;
  bool has_cold_segment();
  bool has_unfinished_end(uint32_t segment) const;
  queue::Geometry geometry_{64U << 10, 14};
  std::unique_ptr<Disk> disk_;
  Oracle oracle_;
  queue::Recovered whole_;
  std::vector<uint32_t> end_;     // of what is used, a segment
  std::vector<uint32_t> footer_;  // where its footer begins, which nothing depends on
};

void Rot::make_queue() {
  Weather weather;
  weather.segment_bytes = geometry_.segment_bytes;
  weather.segment_count = geometry_.segment_count;
  weather.deliver_percent = 20;
  weather.abandon_percent = 0;
  weather.stuck_percent = 60;
  disk_ = std::make_unique<Disk>(geometry_.segment_bytes, geometry_.segment_count, weather.faults);
  {
    Life life(weather, *disk_, oracle_, queue::recover(*disk_, geometry_), prng_.next(), 0, [] {});
    for (int i = 0; i < 50 && (i == 0 || !has_cold_segment()); ++i) life.run(1500);
    MX_ASSERT(life.wrong().empty());
    MX_ASSERT(has_cold_segment());
  }
  disk_->crash(prng_);  // nothing is pending any more; the last batch may be torn
  oracle_.settle(queue::recover(*disk_, geometry_, queue::Verify::all));
  whole_ = queue::recover(*disk_, geometry_, queue::Verify::all);
  // Behind its last record a segment holds what an earlier life left.
  for (uint32_t segment = 0; segment < geometry_.segment_count; ++segment) {
    end_.push_back(0);
    footer_.push_back(0);
    if (whole_.segments[segment].state != queue::SegmentState::sealed) continue;
    queue::SegmentWalk walk(*disk_, segment, geometry_.segment_bytes,
                            whole_.segments[segment].life);
    queue::FoundRecord record;
    while (walk.next(record)) {
      if (record.header.type == queue::RecordType::footer && footer_[segment] == 0)
        footer_[segment] = record.offset;
      end_[segment] = record.offset + queue::record_bytes(record.header.length);
    }
    if (footer_[segment] == 0) footer_[segment] = end_[segment];
  }
}

bool Rot::has_cold_segment() {
  for (uint32_t segment = 0; segment < geometry_.segment_count; ++segment) {
    const queue::SegmentFace face = read_face(*disk_, segment, geometry_);
    const bool used = !std::ranges::all_of(disk_->image(segment).begin() + queue::records_offset,
                                           disk_->image(segment).end(),
                                           [](std::byte b) { return b == std::byte{0}; });
    if (face.kind == queue::SegmentFace::Kind::alive && used &&
        face.header.stream == queue::Stream::cold)
      return true;
  }
  return false;
}

// The torn end of a stream hides what happens to it.
bool Rot::has_unfinished_end(uint32_t segment) const {
  return whole_.segments[segment].life.sequence == whole_.largest_sequence ||
         std::ranges::any_of(
             whole_.damage, [&](const queue::Damage& damage) { return damage.segment == segment; });
}

std::string Rot::judge(Totals& totals, size_t touched_max, bool must_be_seen) {
  const queue::Recovered found = queue::recover(*disk_, geometry_, queue::Verify::all);
  if (!found.refusal.empty()) return found.refusal;
  std::string wrong = oracle_.check_rotten(found, *disk_);
  if (!wrong.empty()) return wrong;
  const size_t lost =
      whole_.messages.size() - std::min(whole_.messages.size(), found.messages.size());
  const bool seen = found.damage_count + found.torn_tails > whole_.damage_count + whole_.torn_tails;
  totals.lost += lost;
  if (!seen) ++totals.unseen;
  if (lost > touched_max)
    return std::to_string(lost) + " messages lost by a damage that touches " +
           std::to_string(touched_max);
  if (lost > 0 && !seen) return "a message is gone and nothing is told";
  if (must_be_seen && !seen) return "the damage is not seen";
  return read_lazily(queue::recover(*disk_, geometry_), totals);
}

// By footers: what can be read is whole; the rest is found by its reader.
std::string Rot::read_lazily(const queue::Recovered& found, Totals& totals) {
  uint64_t unreadable = 0;
  std::string wrong = oracle_.check_rotten(found, *disk_, &unreadable);
  totals.by_reader += unreadable;
  return wrong;
}

std::string Rot::flip_bits(Totals& totals, uint32_t segment) {
  auto& image = disk_->image(segment);
  const uint64_t bits = uint64_t{end_[segment]} * 8;
  for (uint64_t bit = prng_.below(stride_); bit < bits; bit += stride_) {
    const std::byte mask{static_cast<unsigned char>(1U << (bit % 8))};
    image[bit / 8] ^= mask;
    ++totals.flips;
    const bool footer = bit / 8 >= footer_[segment];
    std::string wrong = judge(totals, footer ? 0 : 1, !footer);
    image[bit / 8] ^= mask;
    if (!wrong.empty())
      return "bit " + std::to_string(bit) + " of segment " + std::to_string(segment) + ": " + wrong;
  }
  return {};
}

std::string Rot::move_sectors(Totals& totals, uint32_t segment) {
  auto& image = disk_->image(segment);
  const uint32_t sectors = end_[segment] / sector;
  const std::vector<std::byte> before = image;
  const auto at = [&](uint32_t number) { return image.data() + size_t{number} * sector; };
  const auto try_it = [&](const char* what, uint32_t a, uint32_t b) -> std::string {
    if (image == before) return {};
    const bool footer = a * sector >= footer_[segment];
    std::string wrong = judge(totals, footer ? 0 : 40, !footer);
    image = before;
    if (!wrong.empty())
      wrong = std::string(what) + " " + std::to_string(a) + " " + std::to_string(b) +
              " of segment " + std::to_string(segment) + ": " + wrong;
    return wrong;
  };
  for (uint32_t a = 0; a < sectors; ++a) {
    std::memset(at(a), 0, sector);
    ++totals.zeros;
    if (std::string wrong = try_it("zeroed sector", a, a); !wrong.empty()) return wrong;
    for (uint32_t b = a + 1 + static_cast<uint32_t>(prng_.below(stride_)); b < sectors;
         b += stride_) {
      std::swap_ranges(at(a), at(a) + sector, at(b));
      ++totals.swaps;
      if (std::string wrong = try_it("swapped sectors", a, b); !wrong.empty()) return wrong;
    }
    // A stray write: the same place of another segment.
    const uint32_t other = static_cast<uint32_t>(prng_.below(geometry_.segment_count));
    if (other == segment) continue;
    std::memcpy(at(a), disk_->image(other).data() + size_t{a} * sector, sector);
    ++totals.strays;
    if (std::string wrong = try_it("stray sector", a, other); !wrong.empty()) return wrong;
  }
  return {};
}

std::string Rot::run(Totals& totals) {
  make_queue();
  for (uint32_t segment = 0; segment < geometry_.segment_count; ++segment) {
    if (whole_.segments[segment].state != queue::SegmentState::sealed) continue;
    if (has_unfinished_end(segment)) continue;
    if (read_face(*disk_, segment, geometry_).header.stream == queue::Stream::cold) ++totals.cold;
    if (std::string wrong = flip_bits(totals, segment); !wrong.empty()) return wrong;
    if (std::string wrong = move_sectors(totals, segment); !wrong.empty()) return wrong;
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t seed = 1, stride = 499;
  for (int i = 1; i + 1 < argc; i += 2) {
    const uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seed") == 0) seed = value;
    if (std::strcmp(argv[i], "--stride") == 0) stride = std::max<uint64_t>(value, 1);
  }
  std::printf("seed %llu, stride %llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(stride));
  std::fflush(stdout);
  Totals totals;
  const std::string wrong = Rot(seed, static_cast<uint32_t>(stride)).run(totals);
  if (!wrong.empty()) {
    std::printf("FAILED: %s\n", wrong.c_str());
    return 1;
  }
  std::printf(
      "%llu bits flipped, %llu sectors swapped, %llu zeroed, %llu strays: all told; %llu messages "
      "missing in all, nothing else; %llu found by the reader of a message; %llu segments of the "
      "cold stream among them\n",
      static_cast<unsigned long long>(totals.flips), static_cast<unsigned long long>(totals.swaps),
      static_cast<unsigned long long>(totals.zeros), static_cast<unsigned long long>(totals.strays),
      static_cast<unsigned long long>(totals.lost),
      static_cast<unsigned long long>(totals.by_reader),
      static_cast<unsigned long long>(totals.cold));
  return totals.cold > 0 ? 0 : 1;
}
