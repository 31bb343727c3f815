#include "engine/session/inbound.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/policy/find.h"
#include "engine/session/session.h"
#include "proto/base/assert.h"

namespace mx::session {
namespace {

using smtp::Need;

// Reserved at MAIL when SIZE= says less (DESIGN: space is reserved before it is promised).
constexpr uint64_t promise_min = 64U << 10;

IpAddress policy_address(const io::Endpoint& from) {
  IpAddress out;
  if (from.is_ipv6()) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&from.address);
    const auto* bytes = in6->sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
      std::copy(bytes + 12, bytes + 16, out.bytes.begin());
    } else {
      out.v6 = true;
      std::copy(bytes, bytes + 16, out.bytes.begin());
    }
  } else {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&from.address);
    std::memcpy(out.bytes.data(), &in->sin_addr, 4);
  }
  return out;
}

policy::NameStatus name_status(smtp::ClientAttributes::Name status) {
  using Name = smtp::ClientAttributes::Name;
  if (status == Name::known) return policy::NameStatus::found;
  return status == Name::tempfail ? policy::NameStatus::tempfail : policy::NameStatus::not_found;
}

}  // namespace

Inbound::Inbound(io::Loop& loop, spool::Spool& spool, observe::LogStream& log,
                 observe::Counters& counters, ClientTable& clients, uint32_t sessions_max)
    : loop_(loop),
      spool_(spool),
      log_(log),
      counters_(counters),
      clients_(clients),
      sessions_(sessions_max) {}

Inbound::~Inbound() {
  sessions_.each([&](uint32_t, Session& s) { loop_.timers.cancel(s.timer); });
}

void Inbound::set_snapshot(policy::SnapshotPointer snapshot, policy::SettingsPointer settings) {
  snapshot_ = std::move(snapshot);
  settings_ = std::move(settings);
}

void Inbound::renew_snapshots() {
  sessions_.each([&](uint32_t, Session& s) {
    if (s.snapshot) s.snapshot = snapshot_;
  });
}

void Inbound::adopt(io::Fd fd, const io::Endpoint& peer) {
  // The rest is for what is on the heap: what waits in `pending`, effects of policy.
  static_assert(sizeof(Session) <= limits::session_bytes * 3 / 4);
  counters_.connections.add();
  uint32_t slot = 0;
  Session* s = nullptr;
  if (!shutting_down_ && sessions_.used() < sessions_.limit())
    s = sessions_.make(&slot, sessions_.next_slot(), std::move(fd), peer, settings_,
                       under_stress());
  if (!s) {
    // Best effort: the socket buffer of a new connection takes this without waiting.
    static constexpr std::string_view text = "421 4.3.2 All server ports are busy\r\n";
    counters_.connections_refused.add();
    if (::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return;
    return;
  }
  counters_.sessions.set(sessions_.used());
  s->address = policy_address(peer);
  if (settings_->clients.proxy_protocol)
    await_header(*s);
  else
    begin(*s);
  advance(*s);
  settle(*s);
}

// It is known who the client is.
void Inbound::begin(Session& s) {
  s.server.set_client("unknown", s.ip.view());
  log_.line("smtpd", "connect from unknown[{}]", s.ip.view());
  char byte = 0;
  const bool talked_first =
      s.settings->server.forbid_unauth_pipelining &&
      (!s.input().empty() || ::recv(s.fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0);
  s.debugged = snapshot_->policy.debug_peers.match_client("unknown", s.ip.view(), s.address) ==
               policy::Match::yes;
  bool xclient = false;
  if (set_rights(s, &xclient) && count_connection(s, xclient)) s.server.connected(talked_first);
}

// What the client may do by its address. False: that can't be told, and the session ends.
bool Inbound::set_rights(Session& s, bool* may_xclient) {
  const policy::Policy& policy = snapshot_->policy;
  const auto listed = [&](const policy::MatchList& list) {
    return list.match_client(s.client_name(), s.ip.view(), s.address);
  };
  const policy::Match xclient = listed(policy.xclient_hosts);
  const policy::Match xforward = listed(policy.xforward_hosts);
  smtp::ClientRights rights;
  rights.xclient = xclient == policy::Match::yes;
  if (!s.named) s.may_xforward = xforward == policy::Match::yes;
  rights.xforward = s.may_xforward;  // XCLIENT does not change that, as in Postfix
  rights.discard = s.settings->server.discard_ehlo_keywords;
  maps::ValueText made;
  const maps::Key key{s.ip.view()};
  const maps::Lookup found = policy::find_in(policy.ehlo_keyword_maps, {&key, 1}, made).lookup;
  std::string_view unknown;
  if (found.outcome == maps::Outcome::hit)
    rights.discard = smtp::parse_ehlo_keywords(found.value, unknown);
  if (!unknown.empty())
    log_.line("smtpd", "warning: smtpd_discard_ehlo_keyword_address_maps: {}: no EHLO keyword: {}",
              s.ip.view(), observe::Peer{unknown});
  s.server.set_rights(rights);
  if (may_xclient != nullptr) *may_xclient = rights.xclient;
  if (found.outcome != maps::Outcome::tempfail && xclient != policy::Match::tempfail &&
      xforward != policy::Match::tempfail)
    return true;
  s.server.abort({4, 3, 0}, "Server local data error");
  return false;
}

// XCLIENT: from here on the client is another.
void Inbound::rename(Session& s, const smtp::ClientAttributes& attributes) {
  if (!s.named) {
    s.named = std::make_unique<smtp::ClientAttributes>();
    const bool fits = s.named->name.assign("unknown") && s.named->reverse_name.assign("unknown");
    MX_ASSERT(fits);
  }
  using Name = smtp::ClientAttributes::Name;
  if (attributes.name_status != Name::not_given) {
    s.named->name = attributes.name;
    s.named->name_status = attributes.name_status;
  }
  if (attributes.reverse_status != Name::not_given) {
    s.named->reverse_name = attributes.reverse_name;
    s.named->reverse_status = attributes.reverse_status;
  }
  if (attributes.has_address) {
    s.address = attributes.address;
    const bool fits = s.ip.assign(attributes.address_text.view());
    MX_ASSERT(fits);
  }
  s.deferred.reset();
  s.effects.reset();
  s.snapshot.reset();
  s.server.set_client(s.client_name(), s.ip.view());
  set_rights(s);
}

// Runs the session until it has to wait for something outside.
void Inbound::advance(Session& s) {
  if (s.awaits_header && !s.blocked()) take_header(s);
  if (s.awaits_header) return;
  while (!s.blocked()) {
    switch (s.server.need()) {
      case Need::input:
        if (!feed(s)) return;
        break;
      case Need::verdict:
        decide(s);
        break;
      case Need::pause:
        s.pausing = true;
        loop_.timers.arm(s.timer, loop_.now() + s.server.pause_length());
        return;
      case Need::body:
        if (!advance_body(s)) return;
        break;
      case Need::durable:
        if (!advance_commit(s)) return;
        break;
      case Need::close:
        if (!s.server.out().empty())
          send_replies(s);
        else
          begin_close(s);
        return;
    }
  }
}

// One command, or the replies so far and the next receive. False: nothing more to do now.
bool Inbound::feed(Session& s) {
  // Between transactions a session holds no snapshot: an idle one would keep old tables alive.
  if (s.snapshot && !s.server.transaction().started()) {
    s.snapshot.reset();
    s.effects.reset();
  }
  // A message by BDAT was given up between two chunks.
  const bool unwanted = !s.server.transaction().started() ||
                        s.server.transaction().chunks == smtp::Transaction::Chunks::refused;
  if (unwanted) s.intake.reset(spool_);
  const bool backlog = s.server.out().size() >= limits::reply_backlog_bytes_max;
  if (!s.input().empty() && !backlog) {
    transcribe(s);
    const bool command = !s.server.skipping();
    const size_t taken = s.server.feed(s.input());
    if (s.transcript && command) s.transcript->add('<', s.input().substr(0, taken));
    if (s.debugged) debug_lines(s, '<', s.input().substr(0, taken));
    s.consume(taken);
    return true;
  }
  if (shutting_down_ && s.input().empty() && !s.server.transaction().started()) {
    s.server.abort({4, 3, 2}, "Server shutting down");
    return true;
  }
  const bool replying = !s.server.out().empty();
  if (replying) send_replies(s);
  if (s.input().empty()) receive_command(s, replying);
  return false;
}

void Inbound::decide(Session& s) {
  const smtp::Question& question = s.server.question();
  if (question.client) {
    rename(s, *question.client);
    if (s.server.need() != smtp::Need::verdict) return;
  }
  if (question.stage == smtp::Stage::helo && next_hop_ != nullptr)
    s.server.set_onward({next_hop_->lacks_smtputf8(), next_hop_->size_limit()});
  if (const auto verdict = over_rate(s, question.stage)) return s.server.answer(*verdict);
  policy::SessionFacts facts;
  if (s.named) {
    facts.client.name = s.named->name.view();
    facts.client.name_status = name_status(s.named->name_status);
    facts.client.reverse_name = s.named->reverse_name.view();
    facts.client.reverse_status = name_status(s.named->reverse_status);
  }
  facts.client.address_text = s.ip.view();
  facts.client.address = s.address;
  facts.helo = s.server.helo();
  facts.pipelining_abuse = s.server.pipelining_abuse();
  facts.discarding = s.effects && s.effects->discard;
  const bool no_sender = question.stage == smtp::Stage::vrfy && !s.server.transaction().started();
  if (!no_sender) facts.deferred = s.deferred_before(question.stage);
  // A transaction keeps the policy that it began with.
  if (question.stage == smtp::Stage::mail) s.snapshot = snapshot_;
  const policy::Snapshot& snapshot = s.snapshot ? *s.snapshot : *snapshot_;
  policy::Decision decision =
      policy::decide(snapshot.policy, facts, question, s.server.transaction(), loop_.wall());
  // Restrictions that ask for facts are refused when the configuration is read.
  MX_ASSERT(decision.kind == policy::Decision::Kind::verdict);
  smtp::Verdict& verdict = decision.verdict;
  s.defer(question.stage, decision.deferred);
  const Duration sleep = decision.effects.sleep;
  if (!decision.effects.empty()) take_effects(s, std::move(decision.effects));
  if (question.stage == smtp::Stage::mail && shutting_down_) {
    verdict.kind = smtp::Verdict::Kind::refuse;
    verdict.code = 421;
    verdict.enhanced = {4, 3, 2};
    const bool fits = verdict.text.assign("Server shutting down");
    MX_ASSERT(fits);
  }
  if (verdict.permitted() && question.stage == smtp::Stage::mail) reserve_space(s, verdict);
  if (sleep > Duration()) {
    s.asleep = std::make_unique<smtp::Verdict>(verdict);
    s.pausing = true;
    loop_.timers.arm(s.timer, loop_.now() + sleep);
    return;
  }
  answer(s, verdict);
}

void Inbound::answer(Session& s, const smtp::Verdict& verdict) {
  if (!verdict.permitted()) {
    refuse(s, verdict);
    if (s.server.question().stage == smtp::Stage::end_of_data) log_refused_body(s);
  }
  if (verdict.permitted() && s.server.question().stage == smtp::Stage::etrn)
    queue_requested_ = true;
  s.server.answer(verdict);
}

// Adds what one question brought to what is known of the transaction.
void Inbound::take_effects(Session& s, policy::Effects&& effects) {
  for (const policy::LogNote& note : effects.notes) log_verdict(s, note.kind, note.text);
  if (effects.discard && !(s.effects && s.effects->discard)) counters_.messages_discarded.add();
  if (!s.effects) s.effects = std::make_unique<policy::Effects>();
  policy::Effects& all = *s.effects;
  if (all.prepend.size() + effects.prepend.size() <= limits::prepended_bytes_max)
    all.prepend += effects.prepend;
  else
    log_verdict(s, "warn", "too many headers to prepend: one is left out");
  if (!effects.redirect.empty()) all.redirect = std::move(effects.redirect);
  for (std::string& address : effects.bcc)
    if (all.bcc.size() < limits::bcc_addresses_max &&
        std::ranges::find(all.bcc, address) == all.bcc.end())
      all.bcc.push_back(std::move(address));
  all.discard = all.discard || effects.discard;
  all.hold = all.hold || effects.hold;
}

// Logs a refusal.
void Inbound::refuse(Session& s, const smtp::Verdict& verdict) {
  counters_.rejects.add();
  fmt::memory_buffer text;
  fmt::format_to(std::back_inserter(text), "{} {}.{}.{} {}", verdict.code, verdict.enhanced.status,
                 verdict.enhanced.subject, verdict.enhanced.detail, verdict.text.view());
  log_verdict(s, "reject", {text.data(), text.size()});
}

void Inbound::log_verdict(Session& s, std::string_view kind, std::string_view text) {
  const smtp::Question& question = s.server.question();
  const smtp::Transaction& tx = s.server.transaction();
  const bool at_mail = question.stage == smtp::Stage::mail;
  const bool at_rcpt = question.stage == smtp::Stage::rcpt;
  fmt::memory_buffer envelope;
  if (at_mail || tx.started())
    fmt::format_to(std::back_inserter(envelope), " from=<{}>",
                   observe::Peer{at_mail ? question.argument : tx.sender()});
  if (at_rcpt)
    fmt::format_to(std::back_inserter(envelope), " to=<{}>", observe::Peer{question.argument});
  log_.line("smtpd", "NOQUEUE: {}: {} from {}[{}]: {};{} proto={} helo=<{}>", kind,
            s.server.current_verb(), s.client_name(), s.ip.view(), observe::Peer{text},
            std::string_view(envelope.data(), envelope.size()), s.server.esmtp() ? "ESMTP" : "SMTP",
            observe::Peer{s.server.helo()});
}

// Space is promised before a message is begun; a refusal becomes the verdict.
bool Inbound::reserve_space(Session& s, smtp::Verdict& verdict) {
  if (s.promised > 0) spool_.pool().release(s.promised);
  s.promised = 0;
  bool fits = true;
  verdict.kind = smtp::Verdict::Kind::refuse;
  if (!spool_.journal().accepting()) {
    verdict.code = 421;
    verdict.enhanced = {4, 3, 0};
    verdict.error_class = smtp::error_resource;
    fits = verdict.text.assign("Error: queue file write error");
    MX_ASSERT(fits);
    return false;
  }
  const uint64_t wanted = std::max(s.server.question().declared_size, promise_min);
  if (!spool_.pool().reserve(wanted)) {
    refused_for_space_ = true;
    verdict.code = 452;
    verdict.enhanced = {4, 3, 1};
    verdict.error_class = smtp::error_resource;
    fits = verdict.text.assign("Insufficient system storage");
    MX_ASSERT(fits);
    return false;
  }
  s.promised = wanted;
  verdict = smtp::Verdict::permit();
  return true;
}

void Inbound::send_replies(Session& s) {
  MX_ASSERT(!s.sending && !s.server.out().empty());
  if (s.debugged) debug_lines(s, '>', s.server.out().text());
  transcribe(s);
  s.sending = true;
  ++s.in_flight;
  loop_.ring.send(s.fd.get(), as_bytes(s.server.out().text()), sessions_.op(op_reply, s.slot));
  const Duration timeout = s.timeout;
  loop_.timers.arm(s.timer, loop_.now() + (time_is_up_ ? std::min(timeout, seconds(1)) : timeout));
}

void Inbound::receive_command(Session& s, bool wait_first) {
  if (s.receiving || s.closing) return;
  s.receiving = true;
  s.receive_is_body = false;
  ++s.in_flight;
  loop_.ring.recv_select(s.fd.get(), loop_.buffers->group(), wait_first,
                         sessions_.op(op_command, s.slot));
  loop_.timers.arm(s.timer, loop_.now() + s.timeout);
}

// Prepares to receive into the body's block. False when no memory is free: the session waits.
bool Inbound::receive_body(Session& s) {
  if (s.receiving || s.closing) return true;
  const MutableBytes space = s.intake.space(spool_);
  if (space.empty()) {
    wait(s);
    return false;
  }
  s.receiving = true;
  s.receive_is_body = true;
  ++s.in_flight;
  loop_.ring.recv(s.fd.get(), space, sessions_.op(op_body, s.slot));
  loop_.timers.arm(s.timer, loop_.now() + s.timeout);
  return true;
}

void Inbound::wait(Session& s) {
  if (s.waiting) return;
  s.waiting = true;
  waiting_.push_back(s.slot);
}

void Inbound::resume_waiting() {
  if (loop_.buffers->half_free() && !starved_.empty()) {
    resuming_.swap(starved_);
    for (const uint32_t slot : resuming_)
      if (Session* s = sessions_.get(slot); s && !s->receiving) {
        advance(*s);
        settle(*s);
      }
    resuming_.clear();
  }
  if (waiting_.empty() || !spool_.take_room_signal()) return;
  resuming_.swap(waiting_);
  for (const uint32_t slot : resuming_) {
    Session* s = sessions_.get(slot);
    if (!s || !s->waiting) continue;
    s->waiting = false;
    advance(*s);
    settle(*s);
  }
  resuming_.clear();
}

void Inbound::begin_close(Session& s) {
  if (s.closing) return;
  s.closing = true;
  end_transcript(s);
  log_disconnect(s);
  loop_.timers.cancel(s.timer);
  if (s.in_flight > 0) loop_.ring.cancel_fd(s.fd.get(), {});
}

// The end of every entry into a session: frees it when it is over. The session is not touched after
// this.
void Inbound::settle(Session& s) {
  if (!s.closing || s.in_flight > 0 || s.committing) return;
  s.intake.reset(spool_);
  if (s.promised > 0) spool_.pool().release(s.promised);
  if (s.counted) clients_.close(s.prefix);
  loop_.timers.cancel(s.timer);
  loop_.ring.close(s.fd.release(), {});
  sessions_.free(s.slot);
  counters_.sessions.set(sessions_.used());
}

void Inbound::on_command(Session& s, const io::Completion& completion) {
  s.receiving = false;
  if (completion.result == -ENOBUFS) {
    counters_.receive_buffers_empty.add();
    starved_.push_back(s.slot);
    return;
  }
  if (completion.result <= 0) {
    if (completion.flags & IORING_CQE_F_BUFFER) loop_.buffers->drop(completion);
    lost(s);
    return;
  }
  s.pending.append(as_text(loop_.buffers->received(completion)));
  loop_.buffers->release(completion);
  advance(s);
}

void Inbound::on_body(Session& s, const io::Completion& completion) {
  s.receiving = false;
  if (completion.result <= 0) {
    lost(s);
    return;
  }
  s.intake.received(static_cast<uint32_t>(completion.result));
  advance(s);
}

// The peer has gone, in whatever state the session is.
void Inbound::lost(Session& s) {
  if (s.closing) return;
  if (s.server.need() != Need::close && std::string_view(s.server.current_verb()) != "QUIT") {
    s.end_reason = "lost connection";
    log_.line("smtpd", "lost connection after {} from {}[{}]", s.server.current_verb(),
              s.client_name(), s.ip.view());
  }
  begin_close(s);
}

void Inbound::on_completion(const io::Completion& completion) {
  Session* s = sessions_.find(completion.op);
  if (!s) {  // a completion of an earlier life can't be: slots are freed after their last one
    MX_ASSERT(false);
    return;
  }
  MX_ASSERT(s->in_flight > 0);
  --s->in_flight;
  switch (completion.op.kind) {
    case op_command:
      on_command(*s, completion);
      break;
    case op_body:
      on_body(*s, completion);
      break;
    case op_reply: {
      s->sending = false;
      const bool whole = completion.result == static_cast<int32_t>(s->server.out().size());
      s->server.out().clear();
      if (s->transcript) s->transcript->replies_sent();
      if (!whole) lost(*s);
      advance(*s);
      break;
    }
    default:
      MX_ASSERT(false);
  }
  settle(*s);
}

void Inbound::on_timer(io::Timer& timer) {
  Session& s = sessions_.at(timer.slot);
  if (s.asleep) {
    s.pausing = false;
    answer(s, *std::exchange(s.asleep, nullptr));
  } else if (s.pausing) {
    s.pausing = false;
    s.server.paused();
  } else if (s.waiting) {  // for memory, all that time: better that the client comes again
    s.waiting = false;
    s.server.abort({4, 3, 2}, "Error: no memory for the message");
  } else if (s.committing) {  // the disk is slow: not the peer's fault
    loop_.timers.arm(s.timer, loop_.now() + s.timeout);
  } else if (s.awaits_header) {
    give_up_header(s, "timeout");
  } else if (s.sending) {  // the peer takes nothing: a reply would not reach it
    lost(s);
  } else {
    log_.line("smtpd", "timeout after {} from {}[{}]", s.server.current_verb(), s.client_name(),
              s.ip.view());
    s.end_reason = "timeout";
    s.server.abort({4, 4, 2}, "Error: timeout exceeded");
  }
  advance(s);
  settle(s);
}

bool Inbound::next_accepted(Accepted& accepted) {
  if (accepted_at_ == accepted_.size()) {
    accepted_.clear();
    accepted_at_ = 0;
    return false;
  }
  accepted = accepted_[accepted_at_++];
  return true;
}

void Inbound::begin_shutdown() {
  shutting_down_ = true;
  sessions_.each([&](uint32_t, Session& s) {
    const bool idle = !s.blocked() && s.server.need() == Need::input && s.input().empty() &&
                      !s.server.transaction().started();
    if (!idle) return;
    s.server.abort({4, 3, 2}, "Server shutting down");
    advance(s);
    settle(s);
  });
}

void Inbound::end_all() {
  time_is_up_ = true;
  sessions_.each([&](uint32_t, Session& s) {
    if (s.closing || s.committing) return;
    s.pausing = s.waiting = false;
    if (s.sending)
      lost(s);
    else
      s.server.abort({4, 3, 2}, "Server shutting down");
    advance(s);
    settle(s);
  });
}

}  // namespace mx::session
