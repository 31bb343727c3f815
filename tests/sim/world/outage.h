// tests/sim/world/outage.h - a backend that is down for hours while mail flows, in virtual time,
// and then comes back: what an outage must not do to intake, to the backend and to new mail.
#pragma once

#include <vector>

#include "tests/sim/world/scenario.h"

namespace mx::sim {

class Outage final : public Scenario {
 public:
  Outage(const Options& options, Duration length, Report& report);
  static ShardWeather weather();

 private:
  void prepare() override;
  bool may_end() override { return backlog_ != 0 && world_.now > up_at_ + seconds(60); }
  void judge() override;
  void arrive();
  void note_delivery(const Ledger::Taken& taken);
  void judge_intake();
  void judge_share();

  struct Delivery {
    Instant when;
    uint32_t mail;
  };
  Duration length_;
  Instant down_at_, up_at_;
  std::vector<Delivery> deliveries_;
  uint32_t backlog_ = 0;  // messages before the end of the outage; those after it are new
};

}  // namespace mx::sim
