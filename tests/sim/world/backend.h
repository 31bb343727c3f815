// tests/sim/world/backend.h - the backend that mail is relayed to: takes it, refuses it for now or
// for good, hangs up, stalls, says too much, or is not there at all.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/world/ledger.h"
#include "tests/sim/world/world.h"

namespace mx::sim {

// Chances in percent of a command; `never` of a recipient.
struct BackendHabits {
  uint32_t later = 5, hangs_up = 2, stalls = 1, says_more = 1, says_early = 1, refuses = 2;
  uint32_t never = 5;    // recipients that it does not know
  uint32_t is_down = 0;  // of connections, besides the times when it is down
  uint32_t busy = 0;     // 421 as greeting
  bool pipelining = true, eight_bit = true, dsn = true, size = true;
  Duration takes;  // a message
};

class Backend {
 public:
  Backend(World& world, Ledger& ledger, const BackendHabits& habits)
      : world_(world), ledger_(ledger), habits_(habits) {}

  World::Answer connect();
  // No faults from here on; who was refused for good stays refused.
  void calm();
  void go_down(bool black_hole) { down_ = true, black_hole_ = black_hole; }
  void come_up() { down_ = false; }
  bool is_down() const { return down_; }

  World& world() { return world_; }
  Ledger& ledger() { return ledger_; }
  const BackendHabits& habits() const { return habits_; }
  bool knows(std::string_view address) const;

  uint64_t attempts = 0, attempts_down = 0;
  std::function<void(const Ledger::Taken&)> on_taken;

 private:
  World& world_;
  Ledger& ledger_;
  BackendHabits habits_;
  bool down_ = false, black_hole_ = false;
};

}  // namespace mx::sim
