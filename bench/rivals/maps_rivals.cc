// maps_rivals - the compiled table beside LMDB, tinycdb, cmph and a plain hash table of cache
// lines, in one run on one machine: build time, size, look-ups of present and of absent keys, one
// after the other and eight at a time; and beside them the bare memory accesses that the table's
// look-ups make. All contenders give the same answers, or the run fails.
//
// Time of a look-up: the least of several rounds, in which the contenders take turns, so that a
// busy neighbour hurts all alike. "Dependent": a fence between look-ups lets none begin before the
// one before it is complete. Keys asked for lie one after the other in memory: what is measured is
// the table, not the question.
#include <immintrin.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/rivals/contender.h"
#include "proto/base/assert.h"
#include "proto/base/prng.h"

namespace mx::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t batch = 8;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Recipient addresses as an MX has them: about 35 bytes, a thousand domains.
std::string key_text(uint64_t i) {
  return "user" + std::to_string(i * 2654435761U % 1'000'000'007U) + "@domain" +
         std::to_string(i % 1000) + ".example.org";
}

Pairs make_pairs(uint64_t count) {
  Pairs pairs;
  for (uint64_t i = 0; i < count; ++i) {
    pairs.keys.add(key_text(i));
    pairs.values.add(std::to_string(i));
  }
  return pairs;
}

// Questions in random order; of present keys with the answers.
struct Questions {
  Strings keys, answers;
  bool present = false;
};

Questions make_questions(uint64_t keys, size_t count, bool present) {
  Questions out;
  out.present = present;
  Prng random(present ? 1 : 2);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t which = random.below(keys);
    std::string key = key_text(which);
    if (present)
      out.answers.add(std::to_string(which));
    else
      key.back() = 'x';  // sorts beside a present key: no tree finds it sooner
    out.keys.add(key);
  }
  return out;
}

void check(const Contender& contender, const Questions& questions) {
  const auto right = [&](size_t i, std::string_view value) {
    return questions.present ? value.data() != nullptr && value == questions.answers[i]
                             : value.data() == nullptr;
  };
  for (size_t i = 0; i + batch <= questions.keys.size(); i += batch) {
    std::array<std::string_view, batch> keys, values;
    for (size_t j = 0; j < batch; ++j) keys[j] = questions.keys[i + j];
    contender.find_batch(keys, values);
    for (size_t j = 0; j < batch; ++j) {
      if (right(i + j, values[j]) && right(i + j, contender.find(keys[j]))) continue;
      std::fprintf(stderr, "maps_rivals: %s answers \"%.*s\" wrongly\n", contender.name().c_str(),
                   static_cast<int>(keys[j].size()), keys[j].data());
      std::exit(1);
    }
  }
}

// A value's first byte is read: an answer that nobody looks at costs less than it seems.
void use(std::string_view value) {
  if (value.data() == nullptr) return;
  char first = value.front();
  asm volatile("" : "+r"(first));
}

double time_dependent(const Contender& contender, const Questions& questions) {
  const auto start = Clock::now();
  for (size_t i = 0; i < questions.keys.size(); ++i) {
    use(contender.find(questions.keys[i]));
    _mm_lfence();
  }
  return seconds_since(start) / static_cast<double>(questions.keys.size());
}

double time_batch(const Contender& contender, const Questions& questions) {
  const auto start = Clock::now();
  size_t done = 0;
  for (; done + batch <= questions.keys.size(); done += batch) {
    std::array<std::string_view, batch> keys, values;
    for (size_t j = 0; j < batch; ++j) keys[j] = questions.keys[done + j];
    contender.find_batch(keys, values);
    for (const std::string_view value : values) use(value);
    _mm_lfence();
  }
  return seconds_since(start) / static_cast<double>(done);
}

// Reads a byte at an address that depends on the byte read before.
size_t touch(const std::byte* at, size_t before) {
  size_t zero = 0;
  asm volatile("" : "+r"(zero));
  return std::to_integer<size_t>(at[before & zero]);
}

// Addresses are kept disguised: processors that prefetch through arrays of pointers find none.
constexpr uintptr_t disguise = 0x5A5A5A5A5A5A5A5A;
const std::byte* disguised(const std::byte* at) {
  return reinterpret_cast<const std::byte*>(reinterpret_cast<uintptr_t>(at) ^ disguise);
}

size_t touch_all(const Touched& at) {
  const size_t pilot = touch(disguised(at.pilot), 0);
  const size_t slot = touch(disguised(at.slot), pilot);
  return at.pair == nullptr ? slot : touch(disguised(at.pair), slot);
}

double time_bare(const std::vector<Touched>& addresses, size_t at_once) {
  const auto start = Clock::now();
  for (size_t i = 0; i < addresses.size(); ++i) {
    size_t last = touch_all(addresses[i]);
    asm volatile("" : "+r"(last));
    if ((i + 1) % at_once == 0) _mm_lfence();
  }
  return seconds_since(start) / static_cast<double>(addresses.size());
}

struct Row {
  std::string name;
  double build = 0;  // seconds
  uint64_t bytes = 0;
  // Seconds a look-up; rounds keep the least.
  double hit = 1, miss = 1, hit_batch = 1, miss_batch = 1;
};

void keep_least(double& least, double value) {
  least = std::min(least, value);
}

void measure(const Contender& contender, const Questions& hits, const Questions& misses, Row& row) {
  keep_least(row.hit, time_dependent(contender, hits));
  keep_least(row.miss, time_dependent(contender, misses));
  keep_least(row.hit_batch, time_batch(contender, hits));
  keep_least(row.miss_batch, time_batch(contender, misses));
}

std::vector<Touched> addresses_of(const TableContender& table, const Questions& questions) {
  std::vector<Touched> out;
  for (size_t i = 0; i < questions.keys.size(); ++i) {
    const Touched at = table.touched(questions.keys[i]);
    out.push_back({disguised(at.pilot), disguised(at.slot),
                   at.pair == nullptr ? nullptr : disguised(at.pair)});
  }
  return out;
}

struct Options {
  std::vector<uint64_t> keys{10'000, 1'000'000, 10'000'000};
  size_t questions = 200'000;
  uint32_t rounds = 5;
  bool json = false;
};

std::vector<Row> run(uint64_t keys, const Options& options, const std::string& folder) {
  const Questions hits = make_questions(keys, options.questions, true);
  const Questions misses = make_questions(keys, options.questions, false);
  const auto table = make_table(1);
  std::vector<std::unique_ptr<Contender>> rivals;
  rivals.push_back(make_plain());
  rivals.push_back(make_lmdb());
  rivals.push_back(make_cdb());
  rivals.push_back(make_cmph());
  std::vector<const Contender*> all{table.get()};
  for (const auto& rival : rivals) all.push_back(rival.get());

  std::vector<Row> rows;
  {
    const Pairs pairs = make_pairs(keys);
    const auto build = [&](Contender& contender) {
      const auto start = Clock::now();
      contender.build(pairs, folder);
      rows.push_back({contender.name(), seconds_since(start), contender.bytes()});
    };
    build(*table);
    for (const auto& rival : rivals) build(*rival);
    const auto start = Clock::now();
    make_table(std::thread::hardware_concurrency())->build(pairs, folder);
    rows.push_back({"ringmx, all cores", seconds_since(start), table->bytes()});
  }
  for (const Contender* contender : all) {
    check(*contender, hits);
    check(*contender, misses);
  }
  const auto hit_addresses = addresses_of(*table, hits);
  const auto miss_addresses = addresses_of(*table, misses);
  Row bare{"bare memory accesses"};
  for (uint32_t round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < all.size(); ++i) measure(*all[i], hits, misses, rows[i]);
    keep_least(bare.hit, time_bare(hit_addresses, 1));
    keep_least(bare.miss, time_bare(miss_addresses, 1));
    keep_least(bare.hit_batch, time_bare(hit_addresses, batch));
    keep_least(bare.miss_batch, time_bare(miss_addresses, batch));
  }
  rows.push_back(bare);
  return rows;
}

void print(uint64_t keys, const std::vector<Row>& rows) {
  std::printf("%llu keys            build s   bytes/key    hit ns   miss ns  hit/8 ns miss/8 ns\n",
              static_cast<unsigned long long>(keys));
  for (const Row& row : rows) {
    const auto number = [](double value, double scale, bool known) {
      char text[32] = "-";
      if (known) std::snprintf(text, sizeof text, "%.*f", scale == 1 ? 2 : 1, value * scale);
      return std::string(text);
    };
    const bool timed = row.hit < 1;
    std::printf(
        "%-22s %9s %11s %9s %9s %9s %9s\n", row.name.c_str(),
        number(row.build, 1, row.build > 0).c_str(),
        number(static_cast<double>(row.bytes) / static_cast<double>(keys), 10.0 / 10, row.bytes > 0)
            .c_str(),
        number(row.hit, 1e9, timed).c_str(), number(row.miss, 1e9, timed).c_str(),
        number(row.hit_batch, 1e9, timed).c_str(), number(row.miss_batch, 1e9, timed).c_str());
  }
  const Row& ours = rows.front();
  const Row& bare = rows.back();
  std::printf("ringmx / bare: hit %.2f, miss %.2f, hit/8 %.2f, miss/8 %.2f\n\n",
              ours.hit / bare.hit, ours.miss / bare.miss, ours.hit_batch / bare.hit_batch,
              ours.miss_batch / bare.miss_batch);
  std::fflush(stdout);
}

nlohmann::json to_json(uint64_t keys, const std::vector<Row>& rows) {
  nlohmann::json out = {{"keys", keys}, {"rows", nlohmann::json::array()}};
  for (const Row& row : rows)
    out["rows"].push_back({{"name", row.name},
                           {"build_s", row.build},
                           {"bytes", row.bytes},
                           {"hit_ns", row.hit * 1e9},
                           {"miss_ns", row.miss * 1e9},
                           {"hit_batch_ns", row.hit_batch * 1e9},
                           {"miss_batch_ns", row.miss_batch * 1e9}});
  return out;
}

}  // namespace
}  // namespace mx::bench

int main(int argc, char** argv) {
  using namespace mx::bench;
  Options options;
  CLI::App app("Compiled tables beside LMDB, tinycdb, cmph and a plain hash table.", "maps_rivals");
  app.add_option("--keys", options.keys, "numbers of keys")->delimiter(',');
  app.add_option("--questions", options.questions, "look-ups of each kind a round");
  app.add_option("--rounds", options.rounds, "rounds, of which the least time counts");
  app.add_flag("--json", options.json, "print JSON");
  CLI11_PARSE(app, argc, argv);
  char folder[] = "/tmp/maps-rivals-XXXXXX";
  if (::mkdtemp(folder) == nullptr) {
    std::perror(folder);
    return 1;
  }
  nlohmann::json all = nlohmann::json::array();
  for (const uint64_t keys : options.keys) {
    const std::vector<Row> rows = run(keys, options, folder);
    if (options.json)
      all.push_back(to_json(keys, rows));
    else
      print(keys, rows);
  }
  if (options.json) std::printf("%s\n", all.dump(2).c_str());
  std::filesystem::remove_all(folder);
  return 0;
}
