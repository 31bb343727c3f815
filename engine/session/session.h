// engine/session/session.h - the state of one inbound connection. Private to this folder.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/session/inbound.h"
#include "engine/session/transcript.h"

namespace mx::session {

struct Inbound::Session {
  Session(uint32_t own_slot, io::Fd socket, const io::Endpoint& from,
          policy::SettingsPointer pinned, bool stressed)
      : slot(own_slot),
        fd(std::move(socket)),
        ip(from.ip_text()),
        settings(std::move(pinned)),
        timeout(stressed ? settings->stressed_timeout : settings->smtpd_timeout),
        server(stressed ? settings->stressed_server : settings->server) {
    timer.kind = timer_session;
    timer.slot = own_slot;
  }

  uint32_t slot;
  io::Fd fd;
  FixedText<48> ip;
  IpAddress address;
  policy::SettingsPointer settings;  // of the machine, for the session's life
  Duration timeout;                  // smtpd_timeout
  policy::SnapshotPointer snapshot;  // of the present transaction; else nullptr
  // What policy does to the present transaction besides permitting it; nullptr: nothing.
  std::unique_ptr<policy::Effects> effects;
  // With smtpd_delay_reject = no: what each stage before RCPT deferred.
  struct Deferred {
    std::optional<smtp::Verdict> connect, helo, mail;
  };
  std::unique_ptr<Deferred> deferred;
  std::unique_ptr<smtp::Verdict> asleep;  // to be answered when the `sleep` restriction is over
  // Who XCLIENT says the client is; nullptr: the one that is connected.
  std::unique_ptr<smtp::ClientAttributes> named;
  std::unique_ptr<Transcript> transcript;  // nullptr: nobody will want it
  std::string_view end_reason;             // why the session was aborted; lives for ever
  smtp::Server server;
  Intake intake;
  io::Timer timer;
  SmallVector<char, 224> pending;  // received commands; fed up to pending_at
  uint32_t pending_at = 0;
  WallTime arrival;
  uint64_t promised = 0;  // reserved at MAIL, until the intake takes it over
  uint64_t message_size = 0;
  SmallVector<std::byte, 256>
      envelope;  // of the message being committed; its recipients are expanded
  uint16_t envelope_recipients = 0;
  uint8_t in_flight = 0;   // operations whose completion is still to come
  bool receiving = false;  // one of them is a receive
  bool receive_is_body = false;
  bool sending = false;
  bool pausing = false;     // an error sleep is on, or one that a restriction asks for
  bool waiting = false;     // for memory or the journal
  bool committing = false;  // handed to the journal, result to come
  bool closing = false;
  bool may_xforward = false;
  bool limited = false;   // smtpd_client_*_limit are for this client: `prefix`
  bool counted = false;   // … and this connection is one of the table's
  bool debugged = false;  // debug_peer_list
  IpAddress prefix;
  bool awaits_header = false;  // the PROXY header comes before all else
  Instant header_deadline;     // … until then

  std::string_view client_name() const { return named ? named->name.view() : "unknown"; }
  std::string_view input() const { return pending.text().substr(pending_at); }
  void consume(size_t bytes) {
    pending_at += static_cast<uint32_t>(bytes);
    if (pending_at < pending.size()) return;
    pending.clear();
    pending_at = 0;
  }
  // SessionFacts::deferred: what was deferred before `stage`.
  const smtp::Verdict* deferred_before(smtp::Stage stage) const {
    if (!deferred) return nullptr;
    const auto pointer = [](const std::optional<smtp::Verdict>& verdict) {
      return verdict ? &*verdict : nullptr;
    };
    switch (stage) {
      case smtp::Stage::helo:
        return pointer(deferred->connect);
      case smtp::Stage::mail:
      case smtp::Stage::etrn:
        return pointer(deferred->helo);
      case smtp::Stage::rcpt:
      case smtp::Stage::vrfy:
        return pointer(deferred->mail);
      case smtp::Stage::connect:
      case smtp::Stage::data:
      case smtp::Stage::end_of_data:
        return nullptr;
    }
    return nullptr;
  }
  void defer(smtp::Stage stage, const std::optional<smtp::Verdict>& verdict) {
    if (!deferred && !verdict) return;
    if (!deferred) deferred = std::make_unique<Deferred>();
    if (stage == smtp::Stage::connect) deferred->connect = verdict;
    if (stage <= smtp::Stage::helo) deferred->helo = verdict;
    if (stage <= smtp::Stage::mail) deferred->mail = verdict;
  }
  // Something outside has to happen before the machine may go on.
  bool blocked() const { return sending || closing || waiting || pausing || committing; }
};

}  // namespace mx::session
