// Whether backends are well: probes of those that are down, checks of those that nobody speaks
// with, and what is told of it.

#include <algorithm>

#include "engine/relay/connection.h"
#include "engine/relay/outbound.h"
#include "proto/base/assert.h"

namespace mx::relay {
namespace {

constexpr Duration address_look = seconds(5);

}  // namespace

// The next hop's backends as this shard may use them.
void Outbound::set_lanes(Destination& d) {
  d.version = d.hop.version();
  const config::RelaySettings& relay = settings_->relay;
  d.lanes.set(*d.hop.backends(), relay.ipv4, relay.ipv6,
              [&](Lane& gone) { alarms_.clear(log_, alarm_of(*gone.backend)); });
  if (d.lanes.up() || d.hop.refuses()) alarms_.clear(log_, alarm_of(d));
  if (d.hop.refuses()) return route_anew(d);  // to its bounce
  const bool unknown = d.lanes.empty() && d.hop.trouble() == nullptr;
  arm_health(loop_.now() + (unknown ? address_look : Duration{}));
}

// Mail for it goes by what the configuration says, not by what an address happens to lead to: its
// backends are looked after whether or not there is any.
bool Outbound::is_watched(const Destination& d) const {
  return &d == relay_ || &d == default_ ||
         std::ranges::any_of(named_, [&](const auto& named) { return named.second == &d; });
}

// Work waits: a backend whose time has come is probed, whoever has its timer.
void Outbound::probe_due(Destination& d) {
  for (const auto& lane : d.lanes.all()) {
    if (lane->backend->up() || connections_.used() == connections_.limit()) continue;
    if (const auto period = lane->backend->lease_probe(loop_.now())) open(d, *lane, *period, true);
  }
}

// The health timer: what has to be done now, and when to look again.
void Outbound::look_after_backends() {
  if (shutting_down_) return;
  const Duration interval = settings_->relay.check_interval;
  for (const auto& d : destinations_) {
    if (d->lanes.empty() && !d->hop.refuses()) {
      if (d->hop.version() > 0 && work_waits(*d)) no_backends(*d);
      arm_health(loop_.now() + address_look);
    }
    if (!is_watched(*d)) continue;
    // Another shard may have found it down, and its alarm been cleared by what we had seen before.
    if (!d->lanes.empty() && !d->lanes.up() && !alarms_.is_raised(alarm_of(*d)))
      went_down(*d, *d->lanes.all()[0]->backend, "it is down");
    for (const auto& lane : d->lanes.all()) {
      Backend& backend = *lane->backend;
      std::optional<Backend::Period> period;
      const bool room = connections_.used() < connections_.limit();
      if (!backend.up()) {
        const bool ours = backend.is_timed_by(this);
        if (ours && room) period = backend.lease_probe(loop_.now());
        if (ours && !period && backend.state() == Backend::State::down)
          arm_health(std::max(backend.probe_at(), loop_.now() + milliseconds(100)));
        if (!ours && interval.us > 0) arm_health(loop_.now() + interval);
      } else if (interval.us > 0) {
        if (room) period = backend.lease_check(loop_.now(), interval);
        arm_health(std::max(backend.silent_since() + interval, loop_.now() + seconds(1)));
      }
      if (period) open(*d, *lane, *period, true);
    }
  }
}

void Outbound::no_backends(Destination& d) {
  const auto trouble = d.hop.trouble();
  alarms_.raise(log_, alarm_of(d),
                fmt::format("{}: {}; mail waits in the queue", d.hop.name(),
                            trouble ? trouble->why : "it has no address of inet_protocols"));
}

void Outbound::arm_health(Instant at) {
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

// Another shard may have found it up meanwhile, or down again: what holds at the end is said.
void Outbound::went_down(Destination& d, const Backend& backend, std::string_view why) {
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

// Work waits and there is no connection for it: another shard that has more is to give one.
void Outbound::see_to_hunger(Destination& d, bool scarce) {
  const uint32_t own = d.lanes.connections();
  const bool uses = own > 0 || scarce;
  if (uses != d.uses) d.hop.set_user(uses);
  d.uses = uses;
  const bool hungry = scarce && d.lanes.up() && own < std::max(1U, d.hop.share());
  if (hungry != d.hungry) d.hop.set_hungry(hungry);
  d.hungry = hungry;
}

}  // namespace mx::relay
