// A whole shard - sessions, policy, journal, relay, notices, timers - under all faults at once, in
// virtual time, from a seed: the real code over a simulated ring, disk, network and clock (world/).
//
//   shard_sim [--seed N] [--scenarios N]   scenarios from seed N on
//   shard_sim --scenario N [--trace]       one again, as the failure message names it
//   --twice N                              the first N run twice: same seed, same history
//   --outage HOURS                         instead: the backend is down for that long, mail flows
//   on
//   --lie flush                            flushes report success and do nothing: this must fail
//
// Each scenario runs in a child process: what aborts there is a failure with a number, too.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "proto/base/assert.h"
#include "tests/sim/world/outage.h"
#include "tests/sim/world/scenario.h"

namespace {

using namespace mx;
using namespace mx::sim;

constexpr time_t time_most = 60;  // seconds of CPU for a scenario

// Files that stand for segments: nothing is ever written to them.
std::string segment_files(const std::string& under, uint32_t bytes, uint32_t count) {
  const std::string directory = under + "/" + std::to_string(bytes) + "-" + std::to_string(count);
  if (std::filesystem::exists(directory)) return directory;
  std::filesystem::create_directories(directory + "/segments");
  for (uint32_t i = 0; i < count; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "/segments/seg-%06u", i);
    const int fd = ::open((directory + name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    MX_ASSERT(fd >= 0 && ::ftruncate(fd, bytes) == 0);
    ::close(fd);
  }
  return directory;
}

// False: it failed, and that is said. outage_hours 0: none.
bool run(Options options, const std::string& under, uint32_t outage_hours, Report& report) {
  Prng prng(options.seed * 7919);
  const ShardWeather weather = outage_hours > 0 ? Outage::weather() : draw_shard_weather(prng);
  options.directory = segment_files(under, weather.segment_bytes, weather.segment_count);
  report = {};
  std::fflush(stdout);
  const pid_t child = ::fork();
  MX_ASSERT(child >= 0);
  if (child == 0) {
    const itimerval limit{{0, 0}, {time_most, 0}};
    ::setitimer(ITIMER_PROF, &limit, nullptr);
    if (outage_hours > 0) Outage(options, seconds(3600) * outage_hours, report).run();
    Scenario(options, weather, report).run();
  }
  int status = 0;
  MX_ASSERT(::waitpid(child, &status, 0) == child);
  if (report.done && report.wrong[0] == '\0') return true;
  std::string why = report.wrong;
  if (!report.done)
    why = WIFSIGNALED(status) ? std::string("ended by signal ") + strsignal(WTERMSIG(status))
                              : "ended with status " + std::to_string(WEXITSTATUS(status));
  std::printf("FAILED: %s\nagain with: shard_sim --scenario %llu --trace\n", why.c_str(),
              static_cast<unsigned long long>(options.seed));
  return false;
}

void add(Report& sum, const Report& one) {
  sum.operations += one.operations, sum.turns += one.turns, sum.errors += one.errors;
  sum.crashes += one.crashes, sum.wrong_reads += one.wrong_reads, sum.lives += one.lives;
  sum.mails += one.mails, sum.acknowledged += one.acknowledged, sum.delivered += one.delivered;
  sum.twice += one.twice, sum.notices += one.notices, sum.letters += one.letters,
      sum.held += one.held;
  sum.virtual_us += one.virtual_us;
}

void print(const Report& sum, uint64_t scenarios) {
  const auto u = [](uint64_t n) { return static_cast<unsigned long long>(n); };
  std::printf(
      "%llu scenarios, %llu lives, %llu crashes, %.1f hours; %llu operations, %llu errors, %llu "
      "wrong reads; %llu messages offered, %llu acknowledged; %llu copies delivered, %llu of them "
      "again; %llu notices, %llu letters to the postmaster, %llu held at "
      "the end\n",
      u(scenarios), u(sum.lives), u(sum.crashes), static_cast<double>(sum.virtual_us) / 3.6e9,
      u(sum.operations), u(sum.errors), u(sum.wrong_reads), u(sum.mails), u(sum.acknowledged),
      u(sum.delivered), u(sum.twice), u(sum.notices), u(sum.letters), u(sum.held));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  uint64_t seed = 1, scenarios = 100, twice = 0;
  uint32_t outage = 0;
  bool single = false, keep_on = false;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--trace") options.trace = true;
    if (name == "--keep-on") keep_on = true;
    if (name == "--seed") seed = std::strtoull(value, nullptr, 10);
    if (name == "--scenarios") scenarios = std::strtoull(value, nullptr, 10);
    if (name == "--twice") twice = std::strtoull(value, nullptr, 10);
    if (name == "--scenario") seed = std::strtoull(value, nullptr, 10), single = true;
    if (name == "--outage")
      outage = static_cast<uint32_t>(std::strtoul(value, nullptr, 10)), single = true;
    if (name == "--lie") options.flush_lies = std::strcmp(value, "flush") == 0;
  }
  if (single) scenarios = 1;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  void* const shared =
      ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MX_ASSERT(shared != MAP_FAILED);
  Report& report = *new (shared) Report();
  std::string under = (std::filesystem::temp_directory_path() / "shard-sim-XXXXXX").string();
  MX_ASSERT(::mkdtemp(under.data()) != nullptr);
  Report sum;
  uint64_t failed = 0;
  for (uint64_t i = 0; i < scenarios && (failed == 0 || keep_on); ++i) {
    options.seed = seed + i;
    if (!run(options, under, outage, report)) {
      ++failed;
      continue;
    }
    add(sum, report);
    const uint64_t hash = report.hash;
    if (i < twice && (!run(options, under, outage, report) || report.hash != hash)) {
      std::printf("FAILED: scenario %llu is not the same the second time\n",
                  static_cast<unsigned long long>(options.seed));
      ++failed;
    }
  }
  std::filesystem::remove_all(under);
  print(sum, scenarios);
  return failed == 0 ? 0 : 1;
}
