// Where messages go: routes of recipients to destinations, and what ends without a connection.

#include <algorithm>
#include <cstdlib>

#include "engine/config/addresses.h"
#include "engine/relay/connection.h"
#include "engine/relay/outbound.h"
#include "maps/keys.h"
#include "proto/base/assert.h"
#include "queue/recovery.h"

namespace mx::relay {
namespace {

using Kind = policy::Route::Kind;
constexpr uint32_t not_in_memory = UINT32_MAX;

}  // namespace

void Outbound::set_snapshot(policy::SnapshotPointer snapshot, policy::SettingsPointer settings) {
  const bool other_routes =
      snapshot_ != nullptr && snapshot_->policy.transport_maps != snapshot->policy.transport_maps;
  snapshot_ = std::move(snapshot);
  settings_ = std::move(settings);
  notices_.set_snapshot(snapshot_, settings_);
  letters_.set_snapshot(snapshot_, settings_);
  loop_.timers.arm(sweep_timer_, loop_.now() + sweep_interval());
  schedule_.set_backoff({settings_->queue.minimal_backoff, settings_->queue.maximal_backoff});
  const Destination* const was_relay = relay_;
  const Destination* const was_default = default_;
  set_next_hops();
  const bool moved = was_relay != nullptr && (was_relay != relay_ || was_default != default_);
  single_ = relay_ == default_ && snapshot_->policy.transport_maps.empty();
  named_.clear();  // known_tcp_ports may be another
  // The old next hop may be dead for good.
  for (const auto& d : destinations_)
    if (moved || (other_routes && !d->lanes.up())) route_anew(*d);
  if (moved || other_routes) up_before_ = 0;
}

// What waits for it. What has to be read for that comes behind new mail.
void Outbound::route_anew(Destination& d) {
  for (auto* list : d.works) {
    for (const Work& work : *list) {
      if (work.message_slot != not_in_memory)
        incoming_.push_back(work);
      else
        schedule_.add_ready({work.id, work.attempts});
    }
    list->clear();
  }
  for (const queue::Turn& turn : std::exchange(d.retries, {})) schedule_.add_ready(turn);
  if (!incoming_.empty()) loop_.run_again();
}

// Where both classes lead to one next hop, the transport of class relay has its limits.
void Outbound::set_next_hops() {
  const config::RelaySettings& settings = settings_->relay;
  Destination* const relay = destination(settings.relay_hosts, true);
  Destination* const other = destination(settings.default_hosts, true);
  if (relay == nullptr || other == nullptr) {
    log_.line("master", "warning: too many next hops since the start: the old ones stay in use");
  } else {
    if (relay_ != nullptr && relay != relay_)
      alarms_.clear(log_, "next-hop-down");  // the name is another's now
    relay_ = relay;
    default_ = other;
  }
  MX_ASSERT(relay_ != nullptr && default_ != nullptr);  // the first ones always have room
  default_->hop.set_limits(settings.limits(settings.default_class_by_relay));
  relay_->hop.set_limits(settings.limits(!settings.relay_class_by_smtp));
  for (const auto& d : destinations_) set_lanes(*d);
}

Outbound::Mask Outbound::up_mask() const {
  Mask up = 0;
  for (const auto& d : destinations_)
    if (d->lanes.up()) up |= Mask{1} << d->index;
  return up;
}

// Mail for several next hops of which none was up: one may be now.
void Outbound::decide() {
  if (undecided_.empty()) return;
  const Mask up = up_mask();
  if ((up & ~up_before_) != 0)
    for (const queue::Turn& turn : std::exchange(undecided_, {})) schedule_.add_ready(turn);
  up_before_ = up;
}

// nullptr: there are too many.
Outbound::Destination* Outbound::destination(const std::vector<config::NextHop>& hosts,
                                             bool configured) {
  NextHop* const hop = next_hops_.get(hosts, configured);
  if (hop == nullptr) return nullptr;
  for (const auto& d : destinations_)
    if (&d->hop == hop) return d.get();
  static_assert(limits::next_hops_max <= 64);  // bits of a Mask
  destinations_.push_back(
      std::make_unique<Destination>(*hop, static_cast<uint32_t>(destinations_.size())));
  set_lanes(*destinations_.back());
  return destinations_.back().get();
}

// nullptr: it can't be used as a next hop.
Outbound::Destination* Outbound::find_destination(const policy::Route& route) {
  if (route.own) return route.relay ? relay_ : default_;
  const std::string_view text = route.next_hop.view();
  if (const auto found = named_.find(text); found != named_.end()) return found->second;
  if (named_.size() >= 4 * limits::next_hops_max) named_.clear();
  const config::RelaySettings& relay = settings_->relay;
  const auto hosts = config::parse_next_hops(text, relay.default_port, relay.known_ports);
  Destination* found = nullptr;
  if (!hosts)
    log_.line("smtp", "warning: transport_maps: {}", observe::Peer{hosts.error()});
  else if (!hosts->empty() && (found = destination(*hosts, false)) == nullptr)
    log_.line("smtp", "warning: transport_maps: more than {} next hops", limits::next_hops_max);
  if (found != nullptr && found != relay_ && found != default_)
    found->hop.set_limits(relay.limits(route.relay));
  named_.emplace(text, found);
  return found;
}

// Where mail for `address`, in wire form, goes now. *to stays nullptr when no connection is needed.
policy::Route Outbound::route_of(std::string_view address, Destination** to) {
  maps::KeyText internal;
  policy::Route route;
  if (maps::unquote_address(internal, address)) {
    route = policy::route(snapshot_->policy, internal.view());
    if (route.kind == Kind::hop) *to = find_destination(route);
    if (*to != nullptr && (*to)->hop.refuses()) {
      const auto trouble = std::exchange(*to, nullptr)->hop.trouble();
      if (trouble != nullptr && trouble->code.status == 5) {
        route.kind = Kind::error;
        route.enhanced = trouble->code;
        const bool fits = route.text.assign(trouble->why.substr(0, route.text.capacity()));
        MX_ASSERT(fits);
        return route;
      }
    }
    if (*to != nullptr) {
      if (!route.own) return route;
      // The class's transport decides on the recipient limit.
      const config::RelaySettings& relay = settings_->relay;
      route.relay = route.relay ? !relay.relay_class_by_smtp : relay.default_class_by_relay;
      return route;
    }
  }
  if (route.kind != Kind::hop) return route;
  route.kind = Kind::retry;
  route.enhanced = {4, 3, 5};
  const bool fits =
      route.text.assign("its next hop can't be used: bad syntax, or too many of them");
  MX_ASSERT(fits);
  return route;
}

// Messages that nobody has looked at yet get a destination. With one for all, that is it: what else
// there is to an envelope is seen when it is delivered.
void Outbound::route_waiting() {
  while (!incoming_.empty()) {
    const Work work = incoming_.front();
    if (single_) {
      relay_->fresh.push_back(work);
    } else if (work.message_slot == not_in_memory) {
      if (!read_to_route({work.id, work.attempts})) return;
    } else {
      queue::MessageInfo info;
      const spool::Message& message = spool_.messages().at(work.message_slot);
      if (is_current(work.id, work.attempts, info))
        dispatch(info, work, {message.envelope.data(), message.envelope.size()});
      else
        spool_.forget(work.message_slot);
    }
    incoming_.pop_front();
  }
  if (single_) return;
  while (route_reads_.used() < route_reads_.limit()) {
    const auto turn = schedule_.next_ready(loop_.now());
    if (!turn) return;
    read_to_route(*turn);
  }
}

// False: not now.
bool Outbound::read_to_route(const queue::Turn& turn) {
  if (route_reads_.used() == route_reads_.limit()) return false;
  queue::MessageInfo info;
  if (!is_current(turn.id, turn.attempts, info)) return true;
  const queue::Window window = queue::window_of(info.commit);
  uint32_t slot = 0;
  RouteRead* const read = route_reads_.make(&slot);
  MX_ASSERT(read != nullptr);
  read->info = info;
  read->length = window.length;
  read->window = static_cast<std::byte*>(std::aligned_alloc(queue::block_bytes, window.length));
  MX_ASSERT(read->window != nullptr);
  loop_.ring.read(spool_.files().fd(info.commit.segment), {read->window, window.length},
                  window.offset, route_reads_.op(op_route, slot));
  return true;
}

void Outbound::on_route_read(const io::Completion& completion) {
  RouteRead* const found = route_reads_.find(completion.op);
  MX_ASSERT(found != nullptr);
  const RouteRead read = *found;
  route_reads_.free(completion.op.slot);
  queue::MessageInfo info;
  if (!shutting_down_ && is_current(read.info.id, read.info.attempts, info) && !obey_wish(info)) {
    std::optional<Bytes> payload;
    if (completion.result >= 0 && static_cast<uint32_t>(completion.result) == read.length)
      payload = queue::decode_record({read.window, read.length}, read.info.commit,
                                     spool_.pool().life(read.info.commit.segment),
                                     queue::RecordType::commit, info.id);
    queue::CommitView commit;
    if (payload && commit.open(*payload))
      dispatch(info, {info.id, not_in_memory, info.attempts}, commit.envelope());
    else
      relay_->retries.push_back(
          {info.id, info.attempts});  // reads it again, and tells of the damage
  }
  std::free(read.window);
}

// Gives a message to the first of its destinations that is up; if none is, it waits for one.
void Outbound::dispatch(const queue::MessageInfo& info, const Work& work, Bytes bytes) {
  mail::EnvelopeReader envelope;
  Destination* chosen = nullptr;
  bool several = false;  // next hops
  const bool readable = envelope.open(bytes);
  if (readable && envelope.head().held && info.attempts == 0) {
    hold(info);
    if (work.message_slot != not_in_memory) spool_.forget(work.message_slot);
    return;
  }
  const auto each_pending = [&](auto&& visit) {
    envelope.rewind();
    mail::EnvelopeRecipient recipient;
    for (uint32_t i = 0; envelope.next_recipient(recipient); ++i)
      if (spool_.index().is_pending(info.id, i) && !is_noted(info.id, i)) visit(i, recipient);
  };
  if (!readable) {
    chosen = relay_;  // tells of the damage
  } else {
    each_pending([&](uint32_t, const mail::EnvelopeRecipient& recipient) {
      if (chosen != nullptr && chosen->lanes.up()) return;
      Destination* to = nullptr;
      if (recipient.note == mail::AliasNote::none) route_of(recipient.address, &to);
      several |= to != nullptr && chosen != nullptr && to != chosen;
      if (to != nullptr && (chosen == nullptr || to->lanes.up())) chosen = to;
    });
  }
  if (chosen != nullptr && several && !chosen->lanes.up()) {
    // With one that is dead it would wait until its end, though another may be up in a moment.
    if (undecided_.empty()) up_before_ = up_mask();
    undecided_.push_back({work.id, work.attempts});
    if (work.message_slot != not_in_memory) spool_.forget(work.message_slot);
    return;
  }
  if (chosen != nullptr) {
    if (work.message_slot != not_in_memory)
      chosen->fresh.push_back(work);
    else
      chosen->retries.push_back({work.id, work.attempts});
    return;
  }
  FixedText<480> why;
  each_pending([&](uint32_t i, const mail::EnvelopeRecipient& recipient) {
    if (recipient.note != mail::AliasNote::none) return note_alias(info, i, recipient.note);
    Destination* to = nullptr;
    const policy::Route route = route_of(recipient.address, &to);
    settle_local(info, i, recipient.address, route);
    if (route.kind == Kind::retry) why = route.text;
  });
  attempt_over(info, why.view(), envelope.head().sender.empty());
  if (work.message_slot != not_in_memory) spool_.forget(work.message_slot);
}

// A recipient that needs no connection.
void Outbound::settle_local(const queue::MessageInfo& info, uint32_t recipient,
                            std::string_view address, const policy::Route& route) {
  const bool discarded = route.kind == Kind::discard;
  const bool refused = route.kind == Kind::error && !settings_->bounces.soft_bounce;
  if (discarded) {
    counters_.recipients_discarded.add();
    const bool known = spool_.journal().mark_done(info.id, recipient, 1, loop_.now());
    MX_ASSERT(known || spool_.journal().failed());
  } else if (refused) {
    note_refused(info, recipient, route.enhanced, {}, route.text.view());
  } else {
    counters_.recipients_deferred.add();
  }
  const Duration total = loop_.wall() - info.arrival;
  log_.line(discarded ? "discard" : "error",
            "{}: to=<{}>, relay=none, delay={:.2g}, dsn={}.{}.{}, status={} ({})",
            queue::to_text(info.id).view(), observe::Peer{address}, total.seconds(),
            discarded ? 2
            : refused ? 5
                      : 4,
            route.enhanced.subject, route.enhanced.detail,
            discarded ? "sent"
            : refused ? "bounced"
                      : "deferred",
            observe::Peer{route.text.view()});
}

}  // namespace mx::relay
