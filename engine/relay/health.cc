// Whether backends are well: probes of those that are down, checks of those that nobody speaks
// with, and what is told of it.

#include <algorithm>

#include "engine/relay/connection.h"
#include "engine/relay/outbound.h"
#include "proto/base/assert.h"

namespace mx::relay {
namespace {

constexpr Duration address_look = seconds(5), others_look = seconds(5);
// Between two looks at all of them, for each.
constexpr Duration look_spacing{20};

}  // namespace

// The next hop's backends as this shard may use them.
void Outbound::set_lanes(Destination& d) {
  const uint32_t before = std::exchange(d.version, d.hop.version());
  const config::RelaySettings& relay = settings_->relay;
  d.lanes.set(*d.hop.backends(), relay.ipv4, relay.ipv6,
              [&](Lane& gone) { clear_alarms(*gone.backend); });
  if (d.lanes.up() || d.hop.refuses()) alarms_.clear(log_, alarm_of(d));
  // To its bounce, or to wait for any that it may go to.
  if (d.hop.refuses() || (before == 0 && d.version != 0 && !d.lanes.up())) route_anew(d);
  if (d.hop.refuses()) return;
  const bool unknown = d.lanes.empty() && d.hop.trouble() == nullptr;
  arm_health(loop_.now() + (unknown ? address_look : Duration{}));
}

// Work waits: a backend whose time has come is probed, whoever has its timer.
void Outbound::probe_due(Destination& d) {
  for (const auto& lane : d.lanes.all()) {
    if (lane->backend->up() || !has_room(d)) continue;
    if (const auto period = lane->backend->lease_probe(loop_.now())) open(d, *lane, *period, true);
  }
}

// The health timer: what has to be done now, and when to look again.
void Outbound::look_after_backends() {
  if (shutting_down_) return;
  looked_after_ = loop_.now();
  if (std::exchange(probe_all_, false))
    for (const auto& d : destinations_)
      for (const auto& lane : d->lanes.all()) lane->backend->probe_now(loop_.now(), this);
  for (const auto& d : destinations_) {
    const bool mail = d->has_work() || is_awaited(*d) || (takes_schedule(*d) && work_waits(*d));
    if (d->watched || mail) look_after(*d, mail);
  }
}

void Outbound::look_after(Destination& d, bool mail) {
  const Duration interval = settings_->relay.check_interval;
  if (d.lanes.empty() && !d.hop.refuses()) {
    if (!d.is_new() && mail) no_backends(d);
    arm_health(loop_.now() + address_look);
  }
  // Another shard may have found it down, and its alarm been cleared by what we had seen before.
  if (d.told && !d.lanes.empty() && !d.lanes.up() && !alarms_.is_raised(alarm_of(d)))
    went_down(d, *d.lanes.all()[0]->backend, "it is down");
  for (const auto& lane : d.lanes.all()) {
    Backend& backend = *lane->backend;
    std::optional<Backend::Period> period;
    const bool room = has_room(d);
    if (!backend.up()) {
      // With mail that waits it is probed whoever has its timer, but not by all at once.
      const bool ours = backend.is_timed_by(this);
      if ((ours || mail) && room) period = backend.lease_probe(loop_.now());
      if (ours && !period && backend.state() == Backend::State::down)
        arm_health(std::max(backend.probe_at(), loop_.now() + milliseconds(100)));
      if (!ours && mail) arm_health(loop_.now() + others_look);
      if (!ours && interval.us > 0 && d.watched) arm_health(loop_.now() + interval);
    } else if (interval.us > 0 && d.watched) {
      if (room) period = backend.lease_check(loop_.now(), interval);
      arm_health(std::max(backend.silent_since() + interval, loop_.now() + seconds(1)));
    }
    if (period) open(d, *lane, *period, true);
  }
}

void Outbound::no_backends(Destination& d) {
  if (!d.told) return;
  const auto trouble = d.hop.trouble();
  alarms_.raise(log_, alarm_of(d),
                fmt::format("{}: {}; mail waits in the queue", d.hop.name(),
                            trouble ? trouble->why : "it has no address of inet_protocols"));
}

void Outbound::arm_health(Instant at) {
  at = std::max(at, looked_after_ + look_spacing * std::ssize(destinations_));
  if (shutting_down_ || (health_timer_.armed && health_timer_.deadline <= at)) return;
  loop_.timers.arm(health_timer_, at);
}

// The usual next hop's alarm has a short name; those of others are told apart.
std::string Outbound::alarm_of(const Destination& d) const {
  return &d == relay_ ? "next-hop-down" : "next-hop-down " + d.hop.name();
}

std::string Outbound::alarm_of(const Backend& backend) {
  return "backend-down " + backend.text();
}

std::string Outbound::eight_bit_alarm_of(const Backend& backend) {
  return "backend-8bit " + backend.text();
}

// It is one of a next hop's no more.
void Outbound::clear_alarms(const Backend& backend) {
  alarms_.clear(log_, alarm_of(backend));
  alarms_.clear(log_, eight_bit_alarm_of(backend));
}

// Another shard may have found it up meanwhile, or down again: what holds at the end is said.
void Outbound::went_down(Destination& d, const Backend& backend, std::string_view why) {
  if (!d.told) return;  // a domain that mail is returned to
  if (d.lanes.all().size() > 1) {
    alarms_.raise(log_, alarm_of(backend),
                  fmt::format("{}{}", why, d.lanes.up() ? "; others have its mail" : ""));
    if (backend.up()) alarms_.clear(log_, alarm_of(backend));
  }
  if (d.lanes.up()) return;
  alarms_.raise(log_, alarm_of(d),
                fmt::format("{}: {}; mail waits in the queue", d.hop.name(), why));
  if (d.lanes.up()) alarms_.clear(log_, alarm_of(d));
}

void Outbound::went_up(Destination& d, const Backend& backend) {
  alarms_.clear(log_, alarm_of(backend));
  alarms_.clear(log_, alarm_of(d));
  if (!backend.up()) went_down(d, backend, "down again");
  next_hops_.changed();
  arm_health(loop_.now());  // its checks begin
}

// Another shard has work for it, and no connection.
void Outbound::hand_over_idle(Destination& d) {
  uint32_t own = d.lanes.connections();
  for (const auto& lane : d.lanes.all())
    while (!lane->idle.empty() && d.hop.hand_over(own--))
      if (Connection* const c = take_idle(*lane)) {
        c->client.quit();
        advance(*c);
        settle(*c);
      }
}

// Others ask for connections that are idle here.
void Outbound::look_at_hunger() {
  const uint64_t hungers = next_hops_.hungers();
  if (hungers == std::exchange(seen_hungers_, hungers) || connections_.used() == 0) return;
  for (const auto& d : destinations_) hand_over_idle(*d);
}

// Work waits and there is no connection for it: another shard that has more is to give one.
void Outbound::see_to_hunger(Destination& d, bool scarce) {
  const uint32_t own = d.lanes.connections();
  const bool uses = own > 0 || scarce;
  if (uses != d.uses) d.hop.set_user(uses);
  d.uses = uses;
  const bool hungry = scarce && d.lanes.up() && own < std::max(1U, d.hop.share());
  if (hungry != d.hungry) d.hop.set_hungry(hungry);
  d.hungry = hungry;
  if (hungry) next_hops_.hunger(loop_.now());  // its connections may be idle, and it asleep
}

}  // namespace mx::relay
