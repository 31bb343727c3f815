// What is delivered: choosing the next message, reading it back, its transactions, and recording
// the outcome.

#include <algorithm>
#include <cstring>

#include "engine/io/crash_point.h"
#include "engine/observe/delay.h"
#include "engine/relay/connection.h"
#include "engine/relay/outbound.h"
#include "proto/base/assert.h"
#include "proto/base/text.h"
#include "queue/recovery.h"

namespace mx::relay {
namespace {

using Need = smtp::Client::Need;
constexpr uint32_t not_in_memory = UINT32_MAX;
constexpr Duration lease_retry = milliseconds(100);

FixedText<256> cut_reason(std::string_view text) {
  FixedText<256> out;
  const bool fits = out.assign(text.substr(0, out.capacity()));
  MX_ASSERT(fits);
  return out;
}

}  // namespace

void Outbound::restore(const queue::RecoveredMessage& message) {
  if (message.next_attempt == queue::held_until) return;  // waits for mxq -H
  schedule_.restore({message.id, message.attempts}, message.next_attempt, loop_.wall(),
                    loop_.now());
}

size_t Outbound::waiting() const {
  size_t count = incoming_.size() + undecided_.size() + schedule_.ready_count() +
                 schedule_.deferred_count() + route_reads_.used();
  for (const auto& d : destinations_) {
    count += d->retries.size();
    for (const auto* list : d->works) count += list->size();
  }
  return count;
}

// When there is something for a next hop.
std::optional<Instant> Outbound::due(Destination& d) {
  std::optional<Instant> at = loop_.now();
  if (d.fresh.empty() && d.waited.empty() && d.retries.empty())
    at = takes_schedule(d) ? schedule_.next_due(loop_.now()) : std::nullopt;
  if (at) at = std::max(*at, d.hop.next_delivery());
  return at;
}

// Something could be delivered now.
bool Outbound::work_waits(Destination& d) {
  const std::optional<Instant> at = due(d);
  return at && *at <= loop_.now();
}

// New mail and mail that waited take turns, so that neither starves the other.
bool Outbound::take_work(Destination& d, Work& work) {
  d.fresh_turn = !d.fresh_turn;
  if (d.fresh_turn || d.fresh.empty()) {
    std::optional<queue::Turn> turn;
    if (!d.waited.empty()) {
      work = std::move(d.waited.front());
      d.waited.pop_front();
      return true;
    }
    if (!d.retries.empty()) {
      turn = d.retries.front();
      d.retries.pop_front();
    } else if (takes_schedule(d)) {
      turn = schedule_.next_ready(loop_.now());
    }
    if (turn) {
      work = {turn->id, not_in_memory, turn->attempts};
      return true;
    }
  }
  if (d.fresh.empty()) return false;
  work = std::move(d.fresh.front());
  d.fresh.pop_front();
  return true;
}

// What comes while the next hop is down is not new any more when it is up again: new mail has its
// half of the turns from the first moment on.
void Outbound::let_wait(Destination& d) {
  if (d.waited.empty()) return d.waited.swap(d.fresh);
  d.waited.insert(d.waited.end(), std::move_iterator(d.fresh.begin()),
                  std::move_iterator(d.fresh.end()));
  d.fresh.clear();
}

// False: deleted, held, given up or tried otherwise since it got its turn.
bool Outbound::is_current(queue::MessageId id, uint16_t attempts, queue::MessageInfo& info) {
  return !notices_.claim(id) && spool_.index().find(id, info) && info.attempts == attempts &&
         info.next_attempt != queue::held_until;
}

void Outbound::arm_schedule() {
  if (shutting_down_ || !spool_.journal().keeps_marks()) return;
  std::optional<Instant> first;
  const auto consider = [&](Instant at) { first = first ? std::min(*first, at) : at; };
  // Mail to be routed waits for no next hop; what is read now leads here again.
  if (!single_ && route_reads_.used() == 0)
    if (const auto at = schedule_.next_due(loop_.now())) consider(*at);
  if (may_decide_ && !undecided_.empty()) consider(next_decision_);
  for (Destination* const d : active_) {
    if (!d->again.empty()) consider(std::max(loop_.now() + lease_retry, d->hop.next_delivery()));
    std::optional<Instant> at = due(*d);
    if (!at) continue;
    if (!d->lanes.up()) continue;  // see pump_active()
    // Work that found no connection though it is time: other shards have them all, or one is
    // probing. With connections of our own under way, their completions lead here again.
    if (*at <= loop_.now()) {
      if (d->delivering > 0 || d->lanes.hopeful() > 0) continue;
      at = loop_.now() + lease_retry;
    }
    consider(*at);
  }
  if (first) loop_.timers.arm(schedule_timer_, *first);
}

// The next message goes to this connection, if there is one.
void Outbound::assign(Connection& c) {
  Work work{};
  while (!shutting_down_ && spool_.journal().keeps_marks() && take_work(c.destination, work)) {
    if (!is_current(work.id, work.attempts, c.info)) {
      if (work.message_slot != not_in_memory) spool_.forget(work.message_slot);
      continue;
    }
    begin_delivery(c, std::move(work));
    if (c.busy) return;
  }
}

void Outbound::begin_delivery(Connection& c, Work work) {
  ++c.destination.delivering;
  ++c.lane->busy;
  ++c.deliveries;
  c.busy = true;
  c.moved = true;
  c.transactions = 0;
  c.assigned = loop_.now();
  c.next_recipient = 0;
  c.tried.clear();
  c.tried.resize((c.info.recipient_count + 63U) / 64U);
  c.visited = std::move(work.visited);
  c.tried_before = work.tried;
  c.went_back = work.went_back;
  c.again = c.unknown = false;
  c.elsewhere.clear();
  c.failed_recipients = 0;
  c.worst.clear();
  c.message_slot = work.message_slot;
  if (c.message_slot != not_in_memory) {
    if (!next_transaction(c)) delivery_over(c);
    return;
  }
  uint32_t slot = 0;
  spool::Message* message = spool_.messages().make(&slot);
  MX_ASSERT(message != nullptr);  // there are more slots than connections and blocks
  message->id = c.info.id;
  c.message_slot = slot;
  read_record(c, c.info.commit);
  c.extent_type = queue::RecordType::commit;
}

void Outbound::read_record(Connection& c, const queue::Extent& extent) {
  const queue::Window window = queue::window_of(extent);
  c.extent = extent;
  c.window.reset(static_cast<std::byte*>(std::aligned_alloc(queue::block_bytes, window.length)));
  MX_ASSERT(c.window != nullptr);
  c.reading = true;
  ++c.in_flight;
  loop_.ring.read(spool_.files().fd(extent.segment), {c.window.get(), window.length}, window.offset,
                  connections_.op(op_read, c.slot));
}

void Outbound::on_read(Connection& c, int result) {
  c.reading = false;
  c.moved = true;
  if (c.closing || !c.busy) return;
  const queue::Window window = queue::window_of(c.extent);
  if (result < 0 || static_cast<uint32_t>(result) != window.length) {
    damaged(c, "it cannot be read back from the queue");
    return;
  }
  const auto payload =
      queue::decode_record({c.window.get(), window.length}, c.extent,
                           spool_.pool().life(c.extent.segment), c.extent_type, c.info.id);
  if (!payload) {
    damaged(c, "its record in the queue does not verify");
    return;
  }
  if (c.extent_type != queue::RecordType::commit) {
    c.pieces.push_back({const_cast<std::byte*>(payload->data()), payload->size()});
    ++c.chunk;
    send_pieces(c, c.chunk == spool_.messages().at(c.message_slot).chunks.size());
    return;
  }
  queue::CommitView commit;
  if (!commit.open(*payload)) {
    damaged(c, "its commit record is malformed");
    return;
  }
  spool::Message& message = spool_.messages().at(c.message_slot);
  message.envelope.append(commit.envelope().data(), commit.envelope().size());
  message.chunks.clear();
  for (uint32_t i = 0; i < commit.chunk_count(); ++i) message.chunks.push_back(commit.chunk(i));
  c.window.reset();
  if (!next_transaction(c)) delivery_over(c);
}

// The message stays in the queue; a person has to look.
void Outbound::damaged(const queue::MessageInfo& info, std::string_view what) {
  tell_damage(info.id, what);
  attempt_over(info, what, false);
}

void Outbound::tell_damage(queue::MessageId id, std::string_view what) {
  alarms_.raise(log_, "queue-damaged",
                fmt::format("message {}: {}", queue::to_text(id).view(), what));
}

void Outbound::damaged(Connection& c, std::string_view what) {
  tell_damage(c.info.id, what);
  c.failed_recipients = c.info.pending_count;
  c.elsewhere.clear();
  const bool fits = c.worst.assign(what.substr(0, c.worst.capacity()));
  MX_ASSERT(fits);
  const bool in_dialogue = c.client.need() != Need::ready;
  delivery_over(c);
  if (in_dialogue)
    begin_close(c);  // in the middle of a body: the backend must not take it for whole
}

// What became of it in this attempt is noted, and is told when the attempt is over. A message that
// waits in between, or is steered by an operator, has its rows still.
bool Outbound::is_noted(queue::MessageId id, uint32_t recipient) const {
  const std::vector<NoticeRow>* const rows = notices_.rows(id);
  return rows != nullptr &&
         std::ranges::any_of(*rows, [&](const NoticeRow& r) { return r.recipient == recipient; });
}

// Starts a transaction for the next pending recipients. False: none is left.
bool Outbound::next_transaction(Connection& c) {
  const spool::Message& message = spool_.messages().at(c.message_slot);
  mail::EnvelopeReader envelope;
  if (!envelope.open({message.envelope.data(), message.envelope.size()})) {
    damaged(c, "its envelope is malformed");
    return true;
  }
  if (envelope.head().held && c.info.attempts == 0) {
    hold(c.info);
    release_message(c);
    end_delivery(c);
    return true;
  }
  c.null_sender = envelope.head().sender.empty();
  do {
    envelope.rewind();
    choose_recipients(c, envelope);
    if (c.positions.empty()) return false;
  } while (!backend_takes_eight_bit(c, envelope.head()));
  c.chunk = 0;
  smtp::Delivery delivery;
  delivery.sender = c.sender;
  delivery.recipients = c.recipients.data();
  delivery.recipient_count = c.recipients.size();
  delivery.size = envelope.head().size;
  const mail::EnvelopeHead& head = envelope.head();
  delivery.eight_bit = head.eight_bit;
  delivery.smtputf8 = head.smtputf8;
  delivery.smtputf8_needed = head.smtputf8 && (head.utf8_header || !is_ascii(c.sender) ||
                                               !std::ranges::all_of(c.recipients, is_ascii));
  delivery.dsn_return = head.dsn_return;
  delivery.envelope_id = head.envelope_id;
  if (!c.dsn.empty()) delivery.dsn = c.dsn.data();
  c.client.start(delivery);
  return true;
}

// 8-bit mail for a backend that does not announce 8BITMIME: nearly all take it all the same, so it
// is sent as it is, counted, and an alarm says so once. False (ringmx_8bit = bounce): its
// recipients are given up.
bool Outbound::backend_takes_eight_bit(Connection& c, const mail::EnvelopeHead& head) {
  if (!head.eight_bit || c.client.capabilities().eight_bit_mime) return true;
  const bool bounce = c.settings->relay.eight_bit_bounce;
  counters_.eight_bit_unannounced.add();
  if (c.destination.told)
    alarms_.raise(log_, eight_bit_alarm_of(*c.lane->backend),
                  fmt::format("{} does not announce 8BITMIME: 8-bit mail is {}", c.where(),
                              bounce ? "returned (ringmx_8bit = bounce)"
                                     : "sent as it is (ringmx_8bit = bounce returns it)"));
  if (!bounce) return true;
  static constexpr std::string_view why = "the next hop does not take 8-bit mail (8BITMIME)";
  const bool soft = settings_->bounces.soft_bounce;
  for (uint32_t i = 0; i < c.positions.size(); ++i) {
    ++c.failed_recipients;
    if (soft) {
      counters_.recipients_deferred.add();
      c.worst = cut_reason(why);
    } else {
      note_refused(c.info, c.positions[i], {5, 6, 3}, {}, why);
    }
    log_.line("smtp", "{}: to=<{}>, relay={}, dsn={}.6.3, status={} ({})",
              queue::to_text(c.info.id).view(), observe::Peer{c.recipients[i]}, c.where(),
              soft ? 4 : 5, soft ? "deferred" : "bounced", why);
  }
  return false;
}

// Those that go to this next hop, by one transport and under one envelope sender.
void Outbound::choose_recipients(Connection& c, mail::EnvelopeReader& envelope) {
  c.positions.clear();
  c.recipients.clear();
  c.dsn.clear();
  const auto bit = [](uint32_t i) { return uint64_t{1} << (i % 64); };
  bool relay = false;
  uint32_t limit = 0;
  mail::EnvelopeRecipient recipient;
  for (uint32_t i = 0; envelope.next_recipient(recipient); ++i) {
    if (i < c.next_recipient || (c.tried[i / 64] & bit(i)) != 0) continue;
    if (!spool_.index().is_pending(c.info.id, i)) continue;
    if (is_noted(c.info.id, i)) continue;
    if (recipient.note != mail::AliasNote::none) {
      c.tried[i / 64] |= bit(i);
      note_alias(c.info, i, recipient.note);
      continue;
    }
    const bool first = c.positions.empty();
    if (!first && recipient.sender != c.sender) continue;
    Destination* to = nullptr;
    const policy::Route route = route_of(recipient.address, &to);
    if (to == &c.destination && !first && route.relay != relay) continue;
    c.tried[i / 64] |= bit(i);
    if (to == nullptr) {
      settle_local(c.info, i, recipient.address, route);
      if (route.kind == policy::Route::Kind::retry) c.worst = cut_reason(route.text.view());
    } else if (to != &c.destination) {
      include(c.elsewhere, to->number);
    } else {
      if (first) {
        relay = route.relay;
        c.sender = recipient.sender;
        const uint32_t set = c.settings->relay.limits(relay).recipients;
        limit = set == 0 ? limits::recipients_max : set;
      }
      c.positions.push_back(i);
      if (!recipient.dsn.empty()) c.dsn.resize(c.recipients.size());
      if (!recipient.dsn.empty() || !c.dsn.empty()) c.dsn.push_back(recipient.dsn);
      c.recipients.push_back(recipient.address);
      if (c.positions.size() == limit) break;
    }
  }
  while (c.next_recipient < c.info.recipient_count &&
         (c.tried[c.next_recipient / 64] & bit(c.next_recipient)) != 0)
    ++c.next_recipient;
}

// The stored bytes as they are: all at once from memory, or chunk by chunk from the journal.
void Outbound::send_body(Connection& c) {
  spool::Message& message = spool_.messages().at(c.message_slot);
  if (c.reading) return;
  if (message.in_memory) {
    c.pieces.push_back({message.header.data(), message.header.size()});
    for (const spool::BodyPart& part : message.parts)
      if (part.bytes > 0) c.pieces.push_back({spool_.blocks().at(part.block), part.bytes});
    send_pieces(c, true);
    return;
  }
  if (c.chunk == message.chunks.size()) {
    damaged(c, "it has no chunk");
    return;
  }
  c.extent_type = message.chunks[c.chunk].type;
  read_record(c, message.chunks[c.chunk].extent);
}

// The final dot goes with the last piece; the machine is told when it has gone out (on_sent), so
// that a reply before that is seen to be early.
void Outbound::send_pieces(Connection& c, bool last) {
  static constexpr char final_dot[] = ".\r\n";
  if (last) c.pieces.push_back({const_cast<char*>(final_dot), 3});
  c.last_piece = last;
  c.sending_body = c.sending = c.moved = true;
  c.message = {};
  c.message.msg_iov = c.pieces.data();
  c.message.msg_iovlen = c.pieces.size();
  ++c.in_flight;
  loop_.ring.sendmsg(c.fd.get(), &c.message, connections_.op(op_send, c.slot));
}

// The message is the next one again: nothing was tried, or what is left may go on at once.
void Outbound::put_back(Connection& c) {
  const bool obeyed = obey_wish(c.info);
  const bool keep = !obeyed && c.message_slot != not_in_memory &&
                    spool_.messages().at(c.message_slot).in_memory && !c.sending_body;
  if (!obeyed)
    c.destination.fresh.push_front({c.info.id, keep ? c.message_slot : not_in_memory,
                                    c.info.attempts, c.tried_before, c.went_back,
                                    std::move(c.visited)});
  if (keep)
    c.message_slot = not_in_memory;
  else
    release_message(c);
  end_delivery(c);
}

void Outbound::end_delivery(Connection& c) {
  c.busy = false;
  c.visited.reset();
  activate(c.destination);
  --c.destination.delivering;
  --c.lane->busy;
  c.destination.hop.delivered(loop_.now());
}

// Mail in memory that waits for the next hop gives its blocks to mail that comes in; it is read
// back later.
void Outbound::shed_memory() {
  const spool::BlockPool& blocks = spool_.blocks();
  for (const auto& d : destinations_)
    for (auto* list : d->works)
      for (auto at = list->rbegin(); at != list->rend() && blocks.free() * 2 < blocks.count(); ++at)
        if (at->message_slot != not_in_memory)
          spool_.forget(std::exchange(at->message_slot, not_in_memory));
}

// Records the outcome for each recipient of the transaction and goes on to the next one.
void Outbound::transaction_over(Connection& c) {
  const bool closed = c.client.need() == Need::closed;
  queue::MessageInfo left;
  // The server closed a connection that had been idle, or after a transaction of this delivery:
  // nothing was tried, and it is not the message's fault. This ends: something was delivered on
  // the connection, or the message goes back but once in an attempt.
  const bool once = c.was_idle && !c.went_back;
  const bool may_go_back =
      c.transactions == 0 ? c.reused || once : c.failed_recipients == 0 && !c.again && !c.unknown;
  if (closed && !c.client.answered() && may_go_back) {
    c.went_back |= c.transactions == 0 && !c.reused;
    return put_back(c);
  }
  for (uint32_t i = 0; i < c.positions.size(); ++i)
    c.unknown |= c.client.recipient_outcome(i).result == smtp::Result::unknown;
  for (uint32_t i = 0; i < c.positions.size(); ++i) record(c, i);
  if (!closed) {
    c.lane->backend->delivered(loop_.now());
    if (c.lane->backend->heard(loop_.now())) went_up(c.destination, *c.lane->backend);
    c.client.finish();
    ++c.transactions;
    // Without marks all that is sent now would be sent again.
    if (!spool_.journal().keeps_marks() && c.failed_recipients == 0 &&
        spool_.index().find(c.info.id, left))
      return put_back(c);
    if (spool_.journal().keeps_marks() && next_transaction(c)) return;
  }
  delivery_over(c);
}

void Outbound::record(Connection& c, uint32_t position) {
  const smtp::Outcome& outcome = c.client.recipient_outcome(position);
  const Duration total = loop_.wall() - c.info.arrival;
  const Duration sending = loop_.now() - c.assigned;
  const uint32_t recipient = c.positions[position];
  const bool sent = outcome.result == smtp::Result::sent;
  const bool refused = outcome.result == smtp::Result::refused && !settings_->bounces.soft_bounce;
  if (sent) {
    io::crash_point(io::CrashPoint::delivered_before_mark);
    counters_.recipients_sent.add();
    if (!report_success(c, position)) {
      const bool known = spool_.journal().mark_done(c.info.id, recipient, 1, loop_.now());
      MX_ASSERT(known || spool_.journal().failed());
    }
  } else if (outcome.result == smtp::Result::deferred && may_go_again(c)) {
    c.again = true;
    c.worst = outcome.text;
    log_.line("smtp", "{}: to=<{}>: {}: {}; trying another", queue::to_text(c.info.id).view(),
              observe::Peer{c.recipients[position]}, c.where(), observe::Peer{outcome.text.view()});
    return;
  } else {
    ++c.failed_recipients;
    if (outcome.result == smtp::Result::unknown) counters_.outcome_unknown.add();
    const std::string_view remote = outcome.code == 0 ? std::string_view{} : c.where();
    if (refused) {
      note_refused(c.info, recipient, outcome.enhanced, remote, outcome.text.view());
    } else {
      counters_.recipients_deferred.add();
      c.worst = outcome.text;
    }
  }
  const std::string_view where = c.where();
  const bool answered = !sent && outcome.code != 0;
  const uint8_t status = sent ? uint8_t{2} : refused ? uint8_t{5} : uint8_t{4};
  log_.line("smtp",
            "{}: to=<{}>, relay={}, delay={}, delays={}/0/0/{}, dsn={}.{}.{}, "
            "status={} ({}{}{}{})",
            queue::to_text(c.info.id).view(), observe::Peer{c.recipients[position]}, c.where(),
            observe::delay_text(total).view(), observe::delay_text(total - sending).view(),
            observe::delay_text(sending).view(), status, outcome.enhanced.subject,
            outcome.enhanced.detail,
            sent      ? "sent"
            : refused ? "bounced"
                      : "deferred",
            answered ? "host " : "", answered ? where.substr(0, where.rfind(':')) : "",
            answered ? " said: " : "", observe::Peer{outcome.text.view()});
}

// The sender wants to hear of success, and the backend will not say it (RFC 3461 5.2.2): we do.
// False: it needn't be told.
bool Outbound::report_success(Connection& c, uint32_t position) {
  if (c.dsn.empty() || (c.dsn[position].notify & mail::notify_success) == 0 ||
      c.client.capabilities().dsn || settings_->bounces.quarantine)
    return false;
  const smtp::Outcome& outcome = c.client.recipient_outcome(position);
  notices_.add(c.info.id, {.recipient = c.positions[position],
                           .kind = mail::ReportKind::relayed,
                           .status_class = 2,
                           .subject = outcome.enhanced.subject,
                           .detail = outcome.enhanced.detail,
                           .remote = std::string(c.where()),
                           .text = std::string(outcome.text.view())});
  return true;
}

// Where the rest of a message's recipients go: to a next hop that is up, or that may be when it has
// been looked up.
Destination* Outbound::next_place(const Connection& c) const {
  Destination* next = nullptr;
  for (const uint32_t number : c.elsewhere) {
    if (c.visited != nullptr && contains(*c.visited, number)) continue;
    Destination* const d = find(number);
    MX_ASSERT(d != nullptr);  // see drop_idle()
    if (d->lanes.up()) return d;
    if (d->is_new()) next = d;
  }
  return next;
}

// All that goes to this next hop has been tried: the message goes on to another, is done, or waits.
void Outbound::delivery_over(Connection& c) {
  queue::MessageInfo left;
  const bool there = spool_.index().find(c.info.id, left);
  const bool again = c.again && there && !c.unknown;
  Destination* const next = again ? &c.destination : there ? next_place(c) : nullptr;
  if (next == nullptr) {
    attempt_over(c.info, c.worst.view(), c.null_sender);
    release_message(c);
  } else {
    // Why some of it waits is known here only.
    if (!again && !c.worst.empty()) {
      const bool known = spool_.journal().mark_deferred(
          left.id, left.next_attempt, left.attempts,
          c.worst.view().substr(0, limits::defer_reason_bytes_max), loop_.now());
      MX_ASSERT(known || spool_.journal().failed());
    }
    const bool keep = c.message_slot != not_in_memory &&
                      spool_.messages().at(c.message_slot).in_memory && !c.sending_body;
    if (!again) {
      if (c.visited == nullptr) c.visited = std::make_unique<Places>();
      include(*c.visited, c.destination.number);
    }
    (again ? next->again : next->fresh)
        .push_back({c.info.id, keep ? c.message_slot : not_in_memory, c.info.attempts,
                    again ? c.lane->backend->number() : uint8_t{0}, c.went_back,
                    std::move(c.visited)});
    activate(*next);
    if (keep)
      c.message_slot = not_in_memory;
    else
      release_message(c);
  }
  c.reused = true;
  end_delivery(c);
}

void Outbound::release_message(Connection& c) {
  if (c.sending_body) {  // the kernel still reads from the message's memory: on_sent() gives it
                         // back
    c.lingering_slot = std::exchange(c.message_slot, not_in_memory);
    return;
  }
  if (c.message_slot != not_in_memory) spool_.forget(c.message_slot);
  c.message_slot = not_in_memory;
  if (!c.reading) c.window.reset();
}

}  // namespace mx::relay
