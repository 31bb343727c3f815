// What is delivered: choosing the next message, reading it back, its transactions, and recording
// the outcome.

#include <algorithm>
#include <cstring>

#include "engine/relay/connection.h"
#include "engine/relay/outbound.h"
#include "proto/base/assert.h"
#include "queue/recovery.h"

namespace mx::relay {
namespace {

using Need = smtp::Client::Need;
constexpr uint32_t not_in_memory = UINT32_MAX;
constexpr Duration lease_retry = milliseconds(100);
constexpr Duration recovery_look = seconds(5);

}  // namespace

void Outbound::restore(const queue::RecoveredMessage& message) {
  schedule_.restore(message.id, message.next_attempt, loop_.wall(), loop_.now());
}

void Outbound::flush() {
  schedule_.wake_all();
}

// Something could be delivered now.
bool Outbound::work_waits() {
  if (!fresh_.empty() || schedule_.ready_count() > 0) return true;
  const std::optional<Instant> due = schedule_.next_due(loop_.now());
  return due && *due <= loop_.now();
}

// New mail and mail that waited take turns, so that neither starves the other.
bool Outbound::take_work(Fresh& work) {
  fresh_turn_ = !fresh_turn_;
  if (fresh_turn_ || fresh_.empty()) {
    if (const auto id = schedule_.next_ready(loop_.now())) {
      work = {*id, not_in_memory};
      return true;
    }
  }
  if (fresh_.empty()) return false;
  work = fresh_.front();
  fresh_.pop_front();
  return true;
}

void Outbound::arm_schedule() {
  if (shutting_down_ || !spool_.journal().accepting()) return;
  std::optional<Instant> at = schedule_.next_due(loop_.now());
  if (!fresh_.empty()) at = loop_.now();
  if (!at) return;
  // While the next hop is down, its timer is the only one.
  // Another shard may find it up before that: look again after a few seconds at most.
  if (!next_hop_.up()) {
    at = std::max(*at, next_hop_.retry_at());
    at = std::min(*at, loop_.now() + recovery_look);
  }
  // Work that found no connection though it is time: other shards have them all, or one is probing.
  // With connections of our own under way, their completions lead here again.
  if (*at <= loop_.now()) {
    if (delivering_ > 0 || opening_ > 0) return;
    at = loop_.now() + lease_retry;
  }
  loop_.timers.arm(schedule_timer_, *at);
}

// The next message goes to this connection; without one it becomes idle.
void Outbound::assign(Connection& c) {
  Fresh work{};
  while (!shutting_down_ && spool_.journal().accepting() && take_work(work)) {
    if (!spool_.index().find(work.id, c.info)) {  // deleted meanwhile
      if (work.message_slot != not_in_memory) spool_.forget(work.message_slot);
      continue;
    }
    begin_delivery(c, work);
    if (c.busy) return;
  }
  if (c.is_idle) return;
  c.is_idle = true;
  idle_.push_back(c.slot);
}

void Outbound::begin_delivery(Connection& c, const Fresh& work) {
  ++delivering_;
  c.busy = true;
  c.replied = false;
  c.assigned = loop_.now();
  c.next_recipient = 0;
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
void Outbound::damaged(Connection& c, std::string_view what) {
  const queue::MessageIdText id = queue::to_text(c.info.id);
  alarms_.raise(log_, "queue-damaged", fmt::format("message {}: {}", id.view(), what));
  c.failed_recipients = c.info.pending_count;
  const bool fits = c.worst.assign(what.substr(0, c.worst.capacity()));
  MX_ASSERT(fits);
  const bool in_dialogue = c.client.need() != Need::ready;
  delivery_over(c);
  if (in_dialogue)
    begin_close(c);  // in the middle of a body: the backend must not take it for whole
}

// Starts a transaction for the next pending recipients. False: none is left.
bool Outbound::next_transaction(Connection& c) {
  const spool::Message& message = spool_.messages().at(c.message_slot);
  mail::EnvelopeReader envelope;
  if (!envelope.open({message.envelope.data(), message.envelope.size()})) {
    damaged(c, "its envelope is malformed");
    return true;
  }
  const uint32_t configured = c.settings->relay.relay_recipient_limit;
  const uint32_t limit = configured == 0 ? limits::recipients_max : configured;
  c.positions.clear();
  c.recipients.clear();
  std::string_view address;
  for (uint32_t i = 0; envelope.next_recipient(address); ++i) {
    if (i < c.next_recipient || !spool_.index().is_pending(c.info.id, i)) continue;
    if (c.positions.size() == limit) break;
    c.positions.push_back(i);
    c.recipients.push_back(address);
  }
  if (c.positions.empty()) return false;
  c.next_recipient = c.positions.back() + 1;
  c.chunk = 0;
  smtp::Delivery delivery;
  delivery.sender = envelope.head().sender;
  delivery.recipients = c.recipients.data();
  delivery.recipient_count = c.recipients.size();
  delivery.size = envelope.head().size;
  delivery.eight_bit = envelope.head().eight_bit;
  c.client.start(delivery);
  return true;
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
  c.sending_body = c.sending = true;
  c.message = {};
  c.message.msg_iov = c.pieces.data();
  c.message.msg_iovlen = c.pieces.size();
  ++c.in_flight;
  loop_.ring.sendmsg(c.fd.get(), &c.message, connections_.op(op_send, c.slot));
}

// The message of a connection that went before anything was tried is the next one again.
void Outbound::put_back(Connection& c) {
  const bool keep = c.message_slot != not_in_memory &&
                    spool_.messages().at(c.message_slot).in_memory && !c.sending_body;
  fresh_.push_front({c.info.id, keep ? c.message_slot : not_in_memory});
  if (keep)
    c.message_slot = not_in_memory;
  else
    release_message(c);
  c.busy = false;
  --delivering_;
}

// Mail in memory that waits for the next hop gives its blocks to mail that comes in; it is read
// back later.
void Outbound::shed_memory() {
  const spool::BlockPool& blocks = spool_.blocks();
  for (auto at = fresh_.rbegin(); at != fresh_.rend() && blocks.free() * 2 < blocks.count(); ++at)
    if (at->message_slot != not_in_memory)
      spool_.forget(std::exchange(at->message_slot, not_in_memory));
}

// Records the outcome for each recipient of the transaction and goes on to the next one.
void Outbound::transaction_over(Connection& c) {
  const bool closed = c.client.need() == Need::closed;
  if (closed && c.reused && !c.replied) {
    // The server closed a connection that had been idle: nothing was tried, and it is not the
    // message's fault.
    put_back(c);
    return;
  }
  for (uint32_t i = 0; i < c.positions.size(); ++i) record(c, i);
  if (!closed) {
    c.client.finish();
    if (next_transaction(c)) return;
  }
  delivery_over(c);
}

void Outbound::record(Connection& c, uint32_t position) {
  const smtp::Outcome& outcome = c.client.recipient_outcome(position);
  const Duration total = loop_.wall() - c.info.arrival;
  const Duration sending = loop_.now() - c.assigned;
  const bool sent = outcome.result == smtp::Result::sent;
  if (sent) {
    counters_.recipients_sent.add();
    next_hop_.delivered();
    const bool known = spool_.journal().mark_done(c.info.id, c.positions[position], 1, loop_.now());
    MX_ASSERT(known || spool_.journal().failed());
  } else {
    ++c.failed_recipients;
    counters_.recipients_deferred.add();
    if (outcome.result == smtp::Result::unknown) counters_.outcome_unknown.add();
    c.worst = outcome.text;
  }
  // A refusal is kept and tried again, as with soft_bounce: there are no bounces yet.
  const uint8_t status = sent ? uint8_t{2} : uint8_t{4};
  log_.line("smtp",
            "{}: to=<{}>, relay={}, delay={:.2g}, delays={:.2g}/0/0/{:.2g}, dsn={}.{}.{}, "
            "status={} ({}{})",
            queue::to_text(c.info.id).view(), observe::Peer{c.recipients[position]}, c.where(),
            total.seconds(), std::max(0.0, (total - sending).seconds()), sending.seconds(), status,
            outcome.enhanced.subject, outcome.enhanced.detail, sent ? "sent" : "deferred",
            sent || outcome.code == 0 ? "" : "host said: ", observe::Peer{outcome.text.view()});
}

// All that could be tried has been: the message is done, or waits.
void Outbound::delivery_over(Connection& c) {
  const queue::MessageIdText id = queue::to_text(c.info.id);
  queue::MessageInfo left;
  if (spool_.index().find(c.info.id, left)) {
    const auto attempts = static_cast<uint16_t>(std::min<uint32_t>(left.attempts + 1U, UINT16_MAX));
    const Duration delay = schedule_.delay(attempts);
    const std::string_view why = c.worst.view().substr(0, limits::defer_reason_bytes_max);
    const bool known =
        spool_.journal().mark_deferred(c.info.id, loop_.wall() + delay, attempts, why, loop_.now());
    MX_ASSERT(known || spool_.journal().failed());
    schedule_.defer(c.info.id, loop_.now() + delay);
  } else {
    counters_.messages_done.add();
    log_.line("qmgr", "{}: removed", id.view());
  }
  release_message(c);
  c.busy = false;
  c.reused = true;
  --delivering_;
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
