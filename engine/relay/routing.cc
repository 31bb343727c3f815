// Where messages go: routes of recipients to destinations, and what ends without a connection.

#include <algorithm>
#include <cstdlib>

#include "engine/config/addresses.h"
#include "engine/observe/delay.h"
#include "engine/relay/connection.h"
#include "engine/relay/outbound.h"
#include "maps/keys.h"
#include "proto/base/assert.h"
#include "queue/recovery.h"

namespace mx::relay {
namespace {

using Kind = policy::Route::Kind;
constexpr uint32_t not_in_memory = UINT32_MAX;
constexpr Duration decide_again = seconds(1);

}  // namespace

void Outbound::set_snapshot(policy::SnapshotPointer snapshot, policy::SettingsPointer settings) {
  const bool first = snapshot_ == nullptr;
  const bool other_routes =
      !first && snapshot_->policy.transport_maps != snapshot->policy.transport_maps;
  const bool other_settings = settings_.get() != settings.get();
  snapshot_ = std::move(snapshot);
  settings_ = std::move(settings);
  notices_.set_snapshot(snapshot_, settings_);
  letters_.set_snapshot(snapshot_, settings_);
  loop_.timers.arm(sweep_timer_, loop_.now() + sweep_interval());
  schedule_.set_backoff({settings_->queue.minimal_backoff, settings_->queue.maximal_backoff});
  const Destination* const was_relay = relay_;
  const Destination* const was_default = default_;
  set_next_hops(other_settings || other_routes);
  const bool moved = !first && (was_relay != relay_ || was_default != default_);
  single_ = relay_ != nullptr && relay_ == default_ && snapshot_->policy.transport_maps.empty();
  // The old next hop may be dead for good.
  for (const auto& d : destinations_)
    if (moved || (other_routes && !d->lanes.up())) route_anew(*d);
  may_decide_ = true;
}

// What waits for it. What has to be read for that comes behind new mail; it is not known any more
// where that has been.
void Outbound::route_anew(Destination& d) {
  for (auto* list : d.works) {
    for (Work& work : std::exchange(*list, {})) {
      if (work.message_slot != not_in_memory)
        incoming_.push_back(std::move(work));
      else if (work.visited == nullptr)
        schedule_.add_ready({work.id, work.attempts});
      else
        end_attempt(work);
    }
  }
  for (const queue::Turn& turn : std::exchange(d.retries, {})) schedule_.add_ready(turn);
  if (!incoming_.empty()) loop_.run_again();
}

// It has just gone down, or was thought up: new mail in memory may have another next hop that is.
void Outbound::look_elsewhere(Destination& d) {
  for (auto* list : {&d.fresh, &d.waited}) {
    for (Work& work : std::exchange(*list, {}))
      (work.message_slot != not_in_memory ? incoming_ : *list).push_back(std::move(work));
  }
  if (!incoming_.empty()) loop_.run_again();
}

// It has been where it may go.
void Outbound::end_attempt(const Work& work) {
  queue::MessageInfo info;
  if (work.message_slot != not_in_memory) spool_.forget(work.message_slot);
  if (is_current(work.id, work.attempts, info)) attempt_over(info, {}, false);
}

// Mail for several next hops of which none was up: one may be now. Not for each of many that come
// up one after the other.
void Outbound::decide() {
  if (!may_decide_ || loop_.now() < next_decision_) return;
  may_decide_ = false;
  if (undecided_.empty()) return;
  next_decision_ = loop_.now() + decide_again;
  for (const queue::Turn& turn : std::exchange(undecided_, {})) schedule_.add_ready(turn);
}

// Where mail for `address`, in wire form, goes now. *to stays nullptr when no connection is needed.
policy::Route Outbound::route_of(std::string_view address, Destination** to) {
  maps::KeyText internal;
  policy::Route route;
  Unusable unusable = Unusable::syntax;
  if (maps::unquote_address(internal, address)) {
    route = policy::route(snapshot_->policy, internal.view());
    if (route.kind == Kind::hop) *to = find_destination(route, unusable);
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
  route.kind = unusable == Unusable::domain ? Kind::error : Kind::retry;
  route.enhanced =
      unusable == Unusable::domain ? smtp::EnhancedCode{5, 1, 3} : smtp::EnhancedCode{4, 3, 5};
  const bool fits =
      route.text.assign(unusable == Unusable::domain  ? "bad address syntax"
                        : unusable == Unusable::crowd ? "too many next hops are in use at once"
                                                      : "its next hop can't be used: bad syntax");
  MX_ASSERT(fits);
  return route;
}

// Messages that nobody has looked at yet get a destination. With one for all, that is it: what else
// there is to an envelope is seen when it is delivered.
void Outbound::route_waiting() {
  while (!incoming_.empty()) {
    if (single_) {
      Work work = std::move(incoming_.front());
      incoming_.pop_front();
      if (work.visited != nullptr && contains(*work.visited, relay_->number))
        end_attempt(work);
      else
        relay_->fresh.push_back(std::move(work));
      continue;
    }
    if (incoming_.front().message_slot == not_in_memory &&
        route_reads_.used() == route_reads_.limit())
      return;
    Work work = std::move(incoming_.front());
    incoming_.pop_front();
    if (work.message_slot == not_in_memory) {
      read_to_route({work.id, work.attempts});
      continue;
    }
    queue::MessageInfo info;
    const spool::Message& message = spool_.messages().at(work.message_slot);
    if (is_current(work.id, work.attempts, info))
      dispatch(info, std::move(work), {message.envelope.data(), message.envelope.size()});
    else
      spool_.forget(work.message_slot);
  }
  if (single_) return;
  while (route_reads_.used() < route_reads_.limit()) {
    const auto turn = schedule_.next_ready(loop_.now());
    if (!turn) return;
    read_to_route(*turn);
  }
}

// REQUIRES: a RouteRead is free.
void Outbound::read_to_route(const queue::Turn& turn) {
  queue::MessageInfo info;
  if (!is_current(turn.id, turn.attempts, info)) return;
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
    if (!payload)
      damaged(info, "its commit record does not verify, or can't be read");
    else if (!commit.open(*payload))
      damaged(info, "its commit record is malformed");
    else
      dispatch(info, {info.id, not_in_memory, info.attempts}, commit.envelope());
  }
  std::free(read.window);
}

template <typename Visit>
void Outbound::each_pending(const queue::MessageInfo& info, mail::EnvelopeReader& envelope,
                            Visit&& visit) {
  envelope.rewind();
  mail::EnvelopeRecipient recipient;
  for (uint32_t i = 0; envelope.next_recipient(recipient); ++i)
    if (spool_.index().is_pending(info.id, i) && !is_noted(info.id, i)) visit(i, recipient);
}

// The first of a message's next hops that is up, or any when none is. The next attempt begins with
// the next recipient's: one that takes its time and then nothing is not always asked first.
// `visited`: where it has been in this attempt, see next_place(); or nullptr.
Destination* Outbound::choose(const queue::MessageInfo& info, const Places* visited,
                              mail::EnvelopeReader& envelope, bool& several) {
  Destination* chosen = nullptr;
  const uint32_t first = info.attempts % std::max<uint32_t>(1, info.pending_count);
  for (const bool behind : {true, false}) {
    uint32_t nth = 0;
    each_pending(info, envelope, [&](uint32_t, const mail::EnvelopeRecipient& recipient) {
      if ((nth++ >= first) != behind || (chosen != nullptr && chosen->lanes.up())) return;
      Destination* to = nullptr;
      if (recipient.note == mail::AliasNote::none) route_of(recipient.address, &to);
      if (to == nullptr) return;
      const bool hopeful = to->lanes.up() || to->is_new();
      if (visited != nullptr && (!hopeful || contains(*visited, to->number))) return;
      several |= chosen != nullptr && to != chosen;
      if (chosen == nullptr || to->lanes.up()) chosen = to;
    });
    if (first == 0) break;
  }
  return chosen;
}

// With one that is dead it would wait until its end, though another may be up in a moment.
void Outbound::await_any(const queue::MessageInfo& info, mail::EnvelopeReader& envelope) {
  undecided_.push_back({{info.id, info.attempts}, ++last_undecided_});
  bool found = false;
  each_pending(info, envelope, [&](uint32_t, const mail::EnvelopeRecipient& recipient) {
    Destination* to = nullptr;
    if (recipient.note == mail::AliasNote::none) route_of(recipient.address, &to);
    if (to != nullptr) to->awaited = last_undecided_;
    found |= to != nullptr;
  });
  may_decide_ |= !found;  // it was just learned that nothing can be sent to any of them
  arm_health(loop_.now());
}

// Gives a message to one of its destinations that is up; if none is, it waits for one.
void Outbound::dispatch(const queue::MessageInfo& info, Work work, Bytes bytes) {
  mail::EnvelopeReader envelope;
  bool several = false;  // next hops
  const auto forget = [&] {
    if (work.message_slot != not_in_memory) spool_.forget(work.message_slot);
  };
  if (!envelope.open(bytes)) {
    damaged(info, "its envelope is malformed");
    return forget();
  }
  if (envelope.head().held && info.attempts == 0) {
    hold(info);
    return forget();
  }
  Destination* const chosen = choose(info, work.visited.get(), envelope, several);
  if (chosen != nullptr && several && !chosen->lanes.up() && work.visited == nullptr) {
    await_any(info, envelope);
    return forget();
  }
  if (chosen != nullptr) {
    work.tried = 0;
    if (work.message_slot != not_in_memory)
      chosen->fresh.push_back(std::move(work));
    else
      chosen->retries.push_back({info.id, info.attempts});
    return activate(*chosen);
  }
  FixedText<480> why;
  each_pending(info, envelope, [&](uint32_t i, const mail::EnvelopeRecipient& recipient) {
    if (recipient.note != mail::AliasNote::none) return note_alias(info, i, recipient.note);
    Destination* to = nullptr;
    const policy::Route route = route_of(recipient.address, &to);
    if (to != nullptr) return;  // it has been there; or there is a way since this moment: it waits
    settle_local(info, i, recipient.address, route);
    if (route.kind == Kind::retry) why = route.text;
  });
  attempt_over(info, why.view(), envelope.head().sender.empty());
  forget();
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
            "{}: to=<{}>, relay=none, delay={}, dsn={}.{}.{}, status={} ({})",
            queue::to_text(info.id).view(), observe::Peer{address},
            observe::delay_text(total).view(),
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
