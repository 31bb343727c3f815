#include "tests/sim/world/outage.h"

#include <algorithm>
#include <cstdio>

namespace mx::sim {
namespace {

constexpr Duration before = seconds(600), interval = seconds(4);
constexpr uint32_t new_connections = 50;
constexpr Duration answer_most = milliseconds(100);  // the disk and the network take a few each
constexpr int64_t probe_seconds = 60;                // relay/next_hop.cc: no oftener
constexpr uint64_t attempts_spare = 30;              // until the breaker has opened
constexpr uint32_t share_least = 45;                 // of deliveries, percent

}  // namespace

ShardWeather Outage::weather() {
  ShardWeather w;
  w.segment_bytes = 1U << 20;
  w.segment_count = 128;
  w.connections = w.orders = w.outages = w.reloads = 0;
  w.lives = 1;
  w.ring.disk_us = 2000;
  w.ring.network_us = 1000;
  w.clients = {.pipelined = 50,
               .chunked = 20,
               .slow = 0,
               .hangs_up = 0,
               .resets = 0,
               .big = 0,
               .too_big = 0,
               .null_sender = 0,
               .never = 0,
               .messages_max = 1,
               .recipients_max = 1};
  w.backend = {.later = 0,
               .hangs_up = 0,
               .stalls = 0,
               .says_more = 0,
               .says_early = 0,
               .refuses = 0,
               .never = 0,
               .takes = milliseconds(200)};
  return w;
}

Outage::Outage(const Options& options, Duration length, Report& report)
    : Scenario(options, weather(), report), length_(length) {}

void Outage::prepare() {
  calm_ = true;
  down_at_ = world_.now + before;
  up_at_ = down_at_ + length_;
  calm_since_ = up_at_;
  backends_[0]->on_taken = [this](const Ledger::Taken& taken) { note_delivery(taken); };
  world_.at(down_at_, [this] { backends_[0]->go_down(false); });
  // The second half it does not even refuse.
  world_.at(down_at_ + Duration{length_.us / 2}, [this] { backends_[0]->go_down(true); });
  world_.at(up_at_, [this] { backends_[0]->come_up(); });
  arrive();
}

void Outage::arrive() {
  Client::start(world_, ledger_, weather_.clients, true);
  if (world_.now + interval < up_at_) world_.after(interval, [this] { arrive(); });
}

// With the first delivery after the outage begins the drain, and more new mail comes than the
// backend takes.
void Outage::note_delivery(const Ledger::Taken& taken) {
  for (const auto& [mail, recipient] : taken) deliveries_.push_back({world_.now, mail});
  if (backlog_ != 0 || world_.now < up_at_) return;
  backlog_ = static_cast<uint32_t>(ledger_.mails().size());
  ClientHabits habits = weather_.clients;
  habits.messages_max = 40;
  world_.after(seconds(1), [this, habits] {
    for (uint32_t i = 0; i < new_connections; ++i) Client::start(world_, ledger_, habits, true);
  });
}

void Outage::judge_intake() {
  Duration longest;
  for (const Mail& mail : ledger_.mails()) {
    if (mail.answer != Answer::accepted) world_.wrong("mail was not accepted during the outage");
    if (mail.number < backlog_) longest = std::max(longest, mail.waited);
  }
  std::printf("final dot to 250 during the outage: %lld us at most\n",
              static_cast<long long>(longest.us));
  if (longest > answer_most) world_.wrong("the outage made clients wait");
}

// While both old and new mail wait, new mail has its half.
void Outage::judge_share() {
  uint32_t old_left = backlog_, fresh_waiting = 0;
  uint64_t fresh = 0, all = 0;
  std::vector<Instant> accepted;
  for (const Mail& mail : ledger_.mails())
    if (mail.number >= backlog_) accepted.push_back(mail.answered);
  std::sort(accepted.begin(), accepted.end());
  size_t next = 0;
  for (const Delivery& each : deliveries_) {
    while (next < accepted.size() && accepted[next] <= each.when) ++next, ++fresh_waiting;
    const bool is_fresh = each.mail >= backlog_;
    if (old_left > 100 && fresh_waiting > 100) {
      ++all;
      fresh += is_fresh ? 1 : 0;
    }
    is_fresh ? --fresh_waiting : --old_left;
  }
  if (all == 0) world_.wrong("old and new mail never waited together");
  std::printf("while both waited: %llu of %llu deliveries were new mail\n",
              static_cast<unsigned long long>(fresh), static_cast<unsigned long long>(all));
  if (fresh * 100 < all * share_least) world_.wrong("new mail waits behind the backlog");
}

void Outage::judge() {
  const Backend& backend = *backends_[0];
  const uint64_t most =
      static_cast<uint64_t>(length_.us / 1'000'000 / probe_seconds) + attempts_spare;
  const Instant end = deliveries_.empty() ? up_at_ : deliveries_.back().when;
  std::printf(
      "down for %.1f hours: %llu connections tried (at most %llu allowed), %u messages waited, all "
      "delivered %.1f s after its end\n",
      length_.seconds() / 3600, static_cast<unsigned long long>(backend.attempts_down),
      static_cast<unsigned long long>(most), backlog_, (end - up_at_).seconds());
  if (backend.attempts_down > most) world_.wrong("the dead backend was not left in peace");
  if (deliveries_.size() != ledger_.mails().size()) world_.wrong("not all was delivered, once");
  judge_intake();
  judge_share();
}

}  // namespace mx::sim
