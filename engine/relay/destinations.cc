// Next hops as this shard sees them: which there are, which have a turn, and which may go.

#include <algorithm>

#include "engine/relay/connection.h"
#include "engine/relay/outbound.h"
#include "engine/relay/way.h"
#include "proto/base/assert.h"
#include "proto/base/text.h"

namespace mx::relay {
namespace {

// How long one that has no mail is kept, how often that is looked at, and how long one has to be
// down before its mail goes back to the schedule when others need the place.
constexpr Duration idle_life = seconds(60), idle_look = seconds(10), dead_life = seconds(30);
constexpr size_t ended_look = 10'000;
constexpr size_t named_max = 2 * limits::next_hops_max;
constexpr std::string_view none_is_up =
    "delivery temporarily suspended: none of its next hops is up";

}  // namespace

// Where both classes lead to one next hop, the transport of class relay has its limits.
void Outbound::set_next_hops(bool others) {
  const config::RelaySettings& settings = settings_->relay;
  const auto by_class = [&](const std::vector<config::NextHop>& hosts) {
    return hosts.empty() ? nullptr : destination(hosts, true, true);
  };
  named_.clear();  // known_tcp_ports may be another, or relay_domains
  if (others)
    for (const auto& d : destinations_) d->watched = d->told = false;
  const Destination* const was_relay = relay_;
  relay_ = by_class(settings.relay_hosts);
  default_ = by_class(settings.default_hosts);
  if (was_relay != nullptr && relay_ != was_relay)
    alarms_.clear(log_, "next-hop-down");  // the name is another's now
  for (Destination* const d : {default_, relay_}) {
    if (d == nullptr) continue;
    d->watched = d->told = true;
    d->hop.set_limits(settings.limits(d == relay_ ? !settings.relay_class_by_smtp
                                                  : settings.default_class_by_relay));
    activate(*d);
  }
  for (const auto& d : destinations_) {
    set_lanes(*d);
    if (d->has_work()) activate(*d);  // with another inet_protocols it may be up
  }
}

// nullptr: there are too many; never if main.cf names it.
Destination* Outbound::destination(const std::vector<config::NextHop>& hosts, bool configured,
                                   bool ours) {
  NextHops::Pointer hop = next_hops_.get(hosts, configured, ours);
  if (hop == nullptr) {  // what this shard can do without may be enough
    drop_idle(true);
    hop = next_hops_.get(hosts, configured, ours);
  }
  if (hop == nullptr) return nullptr;
  for (const auto& d : destinations_)
    if (d->shared == hop) return d.get();
  hop->hold();
  destinations_.push_back(std::make_unique<Destination>(std::move(hop), ++last_number_));
  Destination& d = *destinations_.back();
  d.used = loop_.now();
  set_lanes(d);
  if (!idle_timer_.armed) loop_.timers.arm(idle_timer_, loop_.now() + idle_look);
  return &d;
}

Destination* Outbound::find(uint32_t number) const {
  const auto found =
      std::ranges::lower_bound(destinations_, number, {}, [](const auto& d) { return d->number; });
  return found == destinations_.end() || (*found)->number != number ? nullptr : found->get();
}

// nullptr: it can't be used as a next hop, and why.
Destination* Outbound::find_destination(const policy::Route& route, Unusable& why) {
  Destination* to = route.own ? (route.relay ? relay_ : default_) : nullptr;
  if (to == nullptr) {
    const std::string_view name_given = route.next_hop.view();
    // `@`: the same name in transport_maps is a person's.
    char text[decltype(route.next_hop)::capacity() + 1] = {'@'};
    std::string_view key = name_given;
    if (route.by_domain) {
      lower_into(text + 1, name_given);
      key = {text, name_given.size() + 1};
    }
    const auto found = named_.find(key);
    const Named named = found != named_.end() ? found->second : name(route, key);
    to = named.to;
    why = named.why;
  }
  if (to != nullptr) to->used = loop_.now();
  return to;
}

// What can't be used is remembered too: it is said once.
Outbound::Named Outbound::name(const policy::Route& route, std::string_view key) {
  const config::RelaySettings& relay = settings_->relay;
  Named named;
  std::vector<config::NextHop> hosts;
  if (route.by_domain) named.why = Unusable::domain;
  if (auto found = hosts_of(route.by_domain ? key.substr(1) : key, route.by_domain, relay))
    hosts = std::move(*found);
  else
    log_.line("smtp", "warning: transport_maps: {}", observe::Peer{found.error()});
  // A table may send all domains there are by their MX: those are named by nobody.
  const bool by_hand = !route.own && !route.by_domain;
  if (!hosts.empty()) {
    named.to = destination(hosts, false, by_hand || route.ours);
    if (named.to == nullptr) {
      alarms_.raise(
          log_, "next-hops",
          fmt::format("no place is left (of {}): mail for others waits", limits::next_hops_max));
      return {nullptr, Unusable::crowd};
    }
    if (named.to != relay_ && named.to != default_) {
      const bool by_relay =
          !route.own ? route.relay
                     : (route.relay ? !relay.relay_class_by_smtp : relay.default_class_by_relay);
      named.to->hop.set_limits(relay.limits(by_relay));
    }
    named.to->watched |= by_hand;
    named.to->told |= by_hand || route.ours;
  }
  if (named_.size() >= named_max) named_.clear();
  named_.emplace(key, named);
  return named;
}

// It has something to do.
void Outbound::activate(Destination& d) {
  if (!std::exchange(d.active, true)) active_.push_back(&d);
}

// Backends of some next hops may be others, or up again.
void Outbound::look_at_changes() {
  const uint64_t changes = next_hops_.changes();
  if (changes == std::exchange(seen_changes_, changes)) return;
  for (const auto& d : destinations_) {
    if (d->version != d->hop.version()) set_lanes(*d);
    may_decide_ |= is_awaited(*d) && (d->lanes.up() || d->hop.refuses());
    if (d->has_work()) activate(*d);
  }
}

// Each that has something to do has a turn. With a next hop that is down there is nothing to do:
// the timer of its backends is the only one, and who finds one up wakes all shards.
void Outbound::pump_active() {
  for (size_t i = 0; i < active_.size(); ++i) pump(*active_[i]);  // there may come more
  std::erase_if(active_, [&](Destination* d) {
    const bool up = d->lanes.up();
    if (up) d->waits_since = {};
    if (takes_schedule(*d) || (up && d->has_work())) return false;
    if (d->has_work()) {
      if (d->waits_since.us == 0) {
        d->waits_since = loop_.now();
        look_elsewhere(*d);
      }
      arm_health(loop_.now());
    }
    see_to_hunger(*d, false);
    d->active = false;
    return true;
  });
}

// Those that have been idle for a while go; all that are idle, when others need the place.
void Outbound::drop_idle(bool all) {
  if (all && std::exchange(dropped_, loop_.now()) == loop_.now()) return;
  // Mail that is on its way to them by others, each of which may take its time.
  connections_.each([&](uint32_t, const Connection& c) {
    if (!c.busy) return;
    for (const uint32_t number : c.elsewhere) find(number)->used = loop_.now();
  });
  bool any = false;
  for (const auto& d : destinations_) {
    if (d.get() == relay_ || d.get() == default_ || d->active || d->has_work()) continue;
    if (d->connections > 0 || is_awaited(*d) || d->used == loop_.now()) continue;
    d->goes = all || (!d->watched && loop_.now() - d->used >= idle_life);
    any |= d->goes;
  }
  if (!any) return;
  std::erase_if(named_,
                [](const auto& each) { return each.second.to != nullptr && each.second.to->goes; });
  std::erase_if(destinations_, [&](const auto& d) {
    if (!d->goes) return false;
    // Mail of another shard may wait for it.
    const bool last = d->hop.let_go();
    if (last || d->lanes.up()) alarms_.clear(log_, alarm_of(*d));
    for (const auto& lane : d->lanes.all())
      if (last || lane->backend->up()) clear_alarms(*lane->backend);
    return true;
  });
  next_hops_.gave_back();
}

// Others need the place of those that are down: their mail waits in the schedule, like what a
// backend has put off.
void Outbound::give_up_dead() {
  const auto give_up = [&](const queue::Turn& turn, std::string_view why) {
    queue::MessageInfo info;
    if (is_current(turn.id, turn.attempts, info)) go_on(info, why);
  };
  for (const auto& d : destinations_) {
    const bool dead = d->waits_since.us != 0 && loop_.now() - d->waits_since >= dead_life;
    if (!dead || d->watched || d->active) continue;
    std::string why = suspended(d->hop);
    if (why.empty()) why = fmt::format("delivery temporarily suspended: {} is down", d->hop.name());
    for (auto* list : d->works) {
      for (const Work& work : std::exchange(*list, {})) {
        if (work.message_slot != UINT32_MAX) spool_.forget(work.message_slot);
        give_up({work.id, work.attempts}, why);
      }
    }
    for (const queue::Turn& turn : std::exchange(d->retries, {})) give_up(turn, why);
    d->waits_since = {};
  }
  for (const queue::Turn& turn : std::exchange(undecided_, {})) give_up(turn, none_is_up);
}

// Mail that came to an end while its next hop was down (too old, deleted) has its turn there still:
// those in front go, so that one which has no other is idle. A few thousand a look.
void Outbound::drop_ended() {
  size_t left = ended_look;
  const auto drop = [&](auto& list) {
    for (; left > 0 && !list.empty(); --left, list.pop_front()) {
      const auto& turn = list.front();
      if (!is_stale(turn.id, turn.attempts)) return;
      if constexpr (requires { turn.message_slot; })
        if (turn.message_slot != UINT32_MAX) spool_.forget(turn.message_slot);
    }
  };
  drop(undecided_);
  for (const auto& d : destinations_) {
    if (d->active) continue;
    for (auto* list : d->works) drop(*list);
    drop(d->retries);
    if (!d->has_work()) d->waits_since = {};
  }
}

void Outbound::look_at_idle() {
  if (shutting_down_) return;
  const auto may_go = [&](const auto& d) { return d.get() != relay_ && d.get() != default_; };
  const bool crowded = next_hops_.crowded();
  if (!crowded) alarms_.clear(log_, "next-hops");
  drop_ended();
  if (crowded && spool_.journal().keeps_marks()) give_up_dead();
  drop_idle(crowded);
  if (crowded || std::ranges::any_of(destinations_, may_go))
    loop_.timers.arm(idle_timer_, loop_.now() + idle_look);
}

}  // namespace mx::relay
