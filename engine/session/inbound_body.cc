// From DATA to the 250: receiving the body, the commit, and what is logged of a message.

#include <optional>

#include "engine/io/crash_point.h"
#include "engine/observe/local_zone.h"
#include "engine/policy/expand.h"
#include "engine/session/inbound.h"
#include "engine/session/session.h"
#include "proto/base/assert.h"
#include "proto/mail/received.h"

namespace mx::session {
namespace {

// What a recipient asked for, for whom it became. An alias is answered for here, as Postfix does
// (RFC 3461 5.2.7.3, also when it has one member): nobody behind it reports success again. And
// nobody behind a mailing list reports to the sender in the name of the original recipient.
mail::RecipientDsn dsn_of(const smtp::Transaction& tx, const policy::Expansion& expansion,
                          uint32_t i) {
  using Change = policy::Expansion::Change;
  const uint32_t original = expansion.original(i);
  if (original >= tx.recipient_count()) return {};
  mail::RecipientDsn dsn = tx.recipient_dsn(original);
  const Change change = expansion.change(original);
  if (change == Change::list) dsn.original = {};
  if (change != Change::none && (dsn.notify & mail::notify_success) != 0) {
    dsn.notify = static_cast<mail::DsnNotify>(dsn.notify & ~mail::notify_success);
    if (dsn.notify == 0) dsn.notify = mail::notify_never;
  }
  return dsn;
}

}  // namespace

void Inbound::begin_body(Session& s) {
  const config::Settings& settings = *s.snapshot->settings;
  const IntakeLimits limits{s.server.onward().size_within(settings.server.message_size_limit),
                            settings.hopcount_limit, settings.server.bare_newline};
  s.intake.begin(spool_, limits, std::exchange(s.promised, 0), loop_.wall());
  const smtp::Transaction& tx = s.server.transaction();
  const queue::MessageIdText id = queue::to_text(s.intake.id());
  mail::ReceivedFields fields;
  fields.helo = s.server.helo();
  fields.client_name = s.client_name();
  fields.client_address = s.ip.view();
  fields.hostname = settings.hostname;
  fields.queue_id = id.view();
  if (tx.recipient_count() == 1) fields.recipient = tx.recipient(0);
  fields.esmtp = s.server.esmtp();
  fields.utf8 = tx.options().smtputf8;
  fields.time = loop_.wall();
  fields.zone = observe::local_zone(fields.time);
  char header[limits::header_block_bytes_max];
  const std::optional<size_t> written = mail::write_received(fields, header);
  MX_ASSERT(written.has_value());
  if (s.effects) s.intake.header().append(s.effects->prepend);
  s.intake.header().append(header, *written);
}

// Body bytes that came behind DATA or BDAT.
void Inbound::push_input(Session& s) {
  const smtp::Chunk* chunk = s.server.chunk();
  if (chunk) s.intake.begin_chunk(*chunk);
  const std::string_view bytes =
      s.input().substr(0, chunk ? s.intake.chunk_left() : std::string_view::npos);
  if (bytes.empty()) return;
  s.intake.push(spool_, bytes);
  s.consume(bytes.size());
}

// Receives and scans until the end. False: nothing more to do now.
bool Inbound::advance_body(Session& s) {
  const bool begins = s.intake.idle();
  if (begins) begin_body(s);
  if (s.server.chunk() ? s.intake.ready_for_chunk() : begins) push_input(s);
  switch (s.intake.advance(spool_)) {
    case Intake::Step::wait:
      wait(s);
      return false;
    case Intake::Step::more: {
      if (!s.server.out().empty()) send_replies(s);  // as the 354, and the receive with it
      receive_body(s);
      return false;
    }
    case Intake::Step::end:
      break;
  }
  s.pending.append(s.intake.rest());
  s.message_size = s.intake.facts().size;
  s.server.body_ended(s.intake.facts());
  if (!s.server.transaction().started()) log_refused_body(s);
  return true;
}

void Inbound::log_refused_body(Session& s) {
  counters_.messages_refused.add();
  const smtp::BodyFacts& facts = s.intake.facts();
  refused_for_space_ |= facts.no_space;
  const char* why = facts.failed          ? "queue file write error"
                    : facts.no_space      ? "insufficient system storage"
                    : facts.too_big       ? "message file too big"
                    : facts.too_many_hops ? "too many hops"
                    : facts.bare_newline  ? "bare newline received"
                                          : "end-of-data restrictions";
  log_.line("smtpd", "{}: warning: message from {}[{}] refused: {}",
            queue::to_text(s.intake.id()).view(), s.client_name(), s.ip.view(), why);
  s.intake.reset(spool_);
}

// Who gets the message in the end, before it is made durable. False: it was answered.
bool Inbound::expand(Session& s) {
  using enum policy::Expansion::Result;
  policy::Rewrites rewrites;
  if (s.effects) rewrites = {s.effects->redirect, s.effects->bcc};
  const policy::Expansion::Result result =
      expansion_.expand(s.snapshot->policy, s.server.transaction(), rewrites);
  const queue::MessageIdText id = queue::to_text(s.intake.id());
  for (const std::string& warning : expansion_.warnings())
    log_.line("cleanup", "{}: warning: {}", id.view(), observe::Peer{warning});
  if (result == ok) {
    if (expansion_.size() > 0) return true;
    counters_.messages_discarded.add();
    discard(s);
    return false;
  }
  counters_.messages_refused.add();
  s.intake.reset(spool_);
  s.server.not_committed(result == limit ? smtp::CommitFailure::expansion
                                         : smtp::CommitFailure::write_error);
  return false;
}

// Acknowledged and thrown away, as a rule of the operator says.
void Inbound::discard(Session& s) {
  const queue::MessageIdText id = queue::to_text(s.intake.id());
  log_accepted(s, s.intake.id());
  log_.line("qmgr", "{}: removed (discarded)", id.view());
  s.intake.reset(spool_);
  s.server.committed(id.view());
}

// Aliases whose sender wants to hear of success: told with the first attempt (AliasNote).
uint32_t Inbound::add_alias_notes(const Session& s) {
  using Change = policy::Expansion::Change;
  const smtp::Transaction& tx = s.server.transaction();
  uint32_t added = 0;
  if (tx.sender().empty() || s.snapshot->settings->bounces.quarantine) return 0;
  for (uint32_t i = 0; i < tx.recipient_count(); ++i) {
    const Change change = expansion_.change(i);
    mail::EnvelopeRecipient note;
    note.dsn = tx.recipient_dsn(i);
    if (change == Change::none || (note.dsn.notify & mail::notify_success) == 0) continue;
    if (expansion_.size() + added == limits::recipients_max) break;
    note.address = tx.recipient(i);
    note.note = change == Change::list ? mail::AliasNote::delivered : mail::AliasNote::expanded;
    envelope_.add_recipient(note);
    ++added;
  }
  return added;
}

void Inbound::build_envelope(Session& s) {
  const smtp::Transaction& tx = s.server.transaction();
  mail::EnvelopeHead head;
  const smtp::MailOptions options = tx.options();
  head.eight_bit = options.eight_bit;
  head.smtputf8 = options.smtputf8;
  head.utf8_header = options.smtputf8 && s.intake.eight_bit_header();
  head.dsn_return = options.dsn_return;
  head.envelope_id = options.envelope_id;
  head.esmtp = s.server.esmtp();
  head.arrival = s.arrival;
  head.size = s.message_size;
  head.client_name = s.client_name();
  head.client_address = s.ip.view();
  head.helo = s.server.helo();
  head.sender = tx.sender();
  head.held = s.effects && s.effects->hold;
  envelope_.begin(head);
  for (uint32_t i = 0; i < expansion_.size(); ++i) {
    mail::EnvelopeRecipient recipient;
    recipient.address = expansion_.address(i);
    recipient.own_sender = expansion_.has_own_sender(i);
    if (recipient.own_sender) recipient.sender = expansion_.own_sender(i);
    if (tx.asks_dsn_by_recipient()) recipient.dsn = dsn_of(tx, expansion_, i);
    envelope_.add_recipient(recipient);
  }
  const uint32_t notes = tx.asks_dsn_by_recipient() ? add_alias_notes(s) : 0;
  const Bytes bytes = envelope_.bytes();
  s.envelope.append(bytes.data(), bytes.size());
  s.envelope_recipients = static_cast<uint16_t>(expansion_.size() + notes);
}

// Hands the message to the journal. False: the result, or room for it, is to come.
bool Inbound::advance_commit(Session& s) {
  if (s.effects && s.effects->discard) {  // counted when the rule acted
    discard(s);
    return true;
  }
  if (s.envelope.empty()) {
    if (!expand(s)) return true;
    s.arrival = loop_.wall();
    build_envelope(s);
  }
  const queue::Status status =
      s.intake.commit(spool_, s.envelope_recipients, {s.envelope.data(), s.envelope.size()},
                      sessions_.op(op_body, s.slot).pack());
  if (status == queue::Status::ok) {
    s.committing = true;
    return false;
  }
  if (status == queue::Status::later) {
    wait(s);
    return false;
  }
  s.envelope = {};
  s.intake.reset(spool_);
  s.server.not_committed(status == queue::Status::no_space ? smtp::CommitFailure::no_space
                                                           : smtp::CommitFailure::write_error);
  return true;
}

void Inbound::on_commit(const queue::CommitResult& result) {
  Session* found = sessions_.find(io::Op::unpack(result.cookie));
  MX_ASSERT(found != nullptr && found->committing);  // a committing session is never freed
  Session& s = *found;
  s.committing = false;
  const SmallVector<std::byte, 256> envelope = std::move(s.envelope);
  if (result.ok) {
    io::crash_point(io::CrashPoint::before_250);
    counters_.messages_accepted.add();
    counters_.recipients_accepted.add(s.envelope_recipients);
    counters_.bytes_accepted.add(s.message_size);
    log_accepted(s, result.id);
    Accepted accepted{result.id, UINT32_MAX};
    uint32_t slot = 0;
    if (spool_.messages().used() + spool::messages_for_reading < spool_.messages().limit()) {
      spool::Message* message = spool_.messages().make(&slot);
      if (s.intake.keep(spool_, *message)) {
        message->id = result.id;
        message->envelope.append(envelope.data(), envelope.size());
        accepted.message_slot = slot;
      } else {
        spool_.messages().free(slot);
      }
    }
    accepted_.push_back(accepted);
  }
  s.intake.reset(spool_);
  if (result.ok)
    s.server.committed(queue::to_text(result.id).view());
  else
    s.server.not_committed(smtp::CommitFailure::write_error);
  if (time_is_up_) s.server.abort({4, 3, 2}, "Server shutting down");
  advance(s);
  if (result.ok) io::crash_point(io::CrashPoint::after_250, loop_.ring);
  settle(s);
}

void Inbound::log_accepted(Session& s, queue::MessageId id) {
  const queue::MessageIdText text = queue::to_text(id);
  const smtp::Transaction& tx = s.server.transaction();
  if (const smtp::ForwardedAttributes* forwarded = s.server.forwarded()) {
    const bool known = !forwarded->address.empty() && forwarded->address.view() != "unknown";
    const std::string_view name = forwarded->name.empty() ? "unknown" : forwarded->name.view();
    log_.line("smtpd", "{}: client={}[{}], orig_queue_id={}, orig_client={}{}{}{}", text.view(),
              s.client_name(), s.ip.view(), forwarded->ident.view(), name, known ? "[" : "",
              known ? forwarded->address.view() : "", known ? "]" : "");
  } else {
    log_.line("smtpd", "{}: client={}[{}]", text.view(), s.client_name(), s.ip.view());
  }
  log_.line("qmgr", "{}: from=<{}>, size={}, nrcpt={} (queue active)", text.view(),
            observe::Peer{tx.sender()}, s.message_size, s.envelope_recipients);
}

// "disconnect from unknown[1.2.3.4] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4": accepted/total
// where they differ, as Postfix prints it.
void Inbound::log_disconnect(Session& s) {
  const smtp::CommandCounts& counts = s.server.counts();
  fmt::memory_buffer text;
  uint32_t accepted = 0, total = 0;
  const auto show = [&](const char* name, uint32_t ok, uint32_t all) {
    if (all == 0) return;
    if (ok == all)
      fmt::format_to(std::back_inserter(text), " {}={}", name, all);
    else
      fmt::format_to(std::back_inserter(text), " {}={}/{}", name, ok, all);
  };
  const auto count = [&](const char* name, const uint32_t(&pair)[2]) {
    accepted += pair[0];
    total += pair[1];
    show(name, pair[0], pair[1]);
  };
  count("helo", counts.helo);
  count("ehlo", counts.ehlo);
  count("xclient", counts.xclient);
  count("xforward", counts.xforward);
  count("starttls", counts.starttls);
  count("auth", counts.auth);
  count("mail", counts.mail);
  count("rcpt", counts.rcpt);
  count("data", counts.data);
  count("bdat", counts.bdat);
  count("rset", counts.rset);
  count("noop", counts.noop);
  count("vrfy", counts.vrfy);
  count("etrn", counts.etrn);
  count("quit", counts.quit);
  count("help", counts.help);
  count("unknown", counts.unknown);
  fmt::format_to(std::back_inserter(text), " commands=");
  if (accepted == total)
    fmt::format_to(std::back_inserter(text), "{}", total);
  else
    fmt::format_to(std::back_inserter(text), "{}/{}", accepted, total);
  log_.line("smtpd", "disconnect from {}[{}]{}", s.client_name(), s.ip.view(),
            std::string_view(text.data(), text.size()));
}

}  // namespace mx::session
