// tests/sim/world/scenario.h - one scenario: a shard, its clients and backends, everything that can
// go wrong, from a seed; some lives, each ended by a power cut, a kill or in order; then peace, in
// which the queue must drain.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/observe/alarms.h"
#include "engine/policy/snapshot.h"
#include "engine/relay/next_hops.h"
#include "engine/session/client_table.h"
#include "engine/shard/shard.h"
#include "engine/spool/segment_files.h"
#include "queue/recovery.h"
#include "tests/sim/world/backend.h"
#include "tests/sim/world/client.h"
#include "tests/sim/world/ledger.h"
#include "tests/sim/world/world.h"

namespace mx::sim {

// What kind of days they are; drawn for each scenario, so that scenarios differ in kind.
struct ShardWeather {
  DiskFaults disk;
  RingFaults ring;
  ClientHabits clients;
  BackendHabits backend;
  uint32_t segment_bytes = 256U << 10, segment_count = 24;
  uint32_t connections = 20;  // of clients
  Duration horizon = seconds(60);
  uint32_t lives = 3;
  uint32_t operations_a_life = 2000;
  uint32_t orders = 5, outages = 1, clock_jumps = 0, reloads = 1;
  // Without a relayhost: of recipients; how many next hops there may be; look-ups that fail,
  // percent.
  uint32_t domains = 0, next_hops = 4096, names_fail = 0;
  bool two_backends = false, quarantine = false, dsync = false, tables_fail = false;
};
ShardWeather draw_shard_weather(Prng& prng);

// What a scenario came to, in memory that parent and child share.
struct Report {
  bool done = false;
  uint64_t hash = 0;
  uint64_t operations = 0, turns = 0, errors = 0, crashes = 0, wrong_reads = 0, lives = 0;
  uint64_t mails = 0, acknowledged = 0, delivered = 0, twice = 0, notices = 0, letters = 0,
           held = 0;
  int64_t virtual_us = 0;
  char wrong[2000] = "";
};

struct Options {
  uint64_t seed = 1;
  bool trace = false;
  bool flush_lies = false;
  std::string directory;  // of the segment files, which are handles only
};

class Scenario {
 public:
  Scenario(const Options& options, const ShardWeather& weather, Report& report);
  virtual ~Scenario() = default;
  // Ends the process.
  [[noreturn]] void run();

 protected:
  // Before the first life.
  virtual void prepare();
  // Peace: the last life has begun, or the horizon is over.
  virtual void calm();
  // Now and then while it is calm, and nothing is left to do.
  virtual bool may_end() { return true; }
  virtual void judge() {}
  virtual std::string main_cf(uint32_t variant) const;

  void live();
  void serve(shard::Shard& shard, observe::Log& log);
  [[noreturn]] void crash();
  [[noreturn]] void finish();
  [[noreturn]] void end(const std::string& why);
  void order();
  void steer(shard::Shard& shard, uint64_t draw);
  void reload();
  void post(std::function<void(shard::Shard&)> task);
  void look();
  void take_log();
  void check_recovered(const queue::Recovered& recovered);
  std::vector<std::string> held_addresses(const queue::Recovered& recovered);
  void load_snapshots();
  void look_up(relay::NextHops& next_hops);
  void answer(relay::NextHops& next_hops, const relay::NextHops::Pointer& hop);

  Options options_;
  ShardWeather weather_;
  Report& report_;
  World world_;
  Ledger ledger_{world_, weather_.domains};
  std::vector<std::unique_ptr<Backend>> backends_;
  std::unique_ptr<spool::SegmentFiles> files_;
  std::vector<policy::SnapshotPointer> snapshots_;
  // Of the present life.
  shard::Shard* shard_ = nullptr;
  observe::Log* log_ = nullptr;
  std::string log_text_;
  uint32_t lives_ = 0;
  bool calm_ = false, last_ = false, stopping_ = false, unclean_ = false;
  Instant calm_since_, life_since_;
  bool by_power_ = false;
};

}  // namespace mx::sim
