// engine/session/session.h - the state of one inbound connection. Private to this folder.
#pragma once

#include "engine/session/inbound.h"

namespace mx::session {

struct Inbound::Session {
  Session(uint32_t own_slot, io::Fd socket, const io::Endpoint& from,
          policy::SettingsPointer pinned)
      : slot(own_slot),
        fd(std::move(socket)),
        ip(from.ip_text()),
        settings(std::move(pinned)),
        server(settings->server) {
    peer_address = from;
    timer.kind = timer_session;
    timer.slot = own_slot;
  }

  uint32_t slot;
  io::Fd fd;
  io::Endpoint peer_address;
  FixedText<48> ip;
  IpAddress address;
  policy::SettingsPointer settings;  // of the machine, for the session's life
  policy::SnapshotPointer snapshot;  // of the present transaction; else nullptr
  smtp::Server server;
  Intake intake;
  io::Timer timer;
  SmallVector<char, 224> pending;  // received commands; fed up to pending_at
  uint32_t pending_at = 0;
  WallTime arrival;
  uint64_t promised = 0;  // reserved at MAIL, until the intake takes it over
  uint64_t message_size = 0;
  uint8_t in_flight = 0;   // operations whose completion is still to come
  bool receiving = false;  // one of them is a receive
  bool receive_is_body = false;
  bool sending = false;
  bool pausing = false;     // an error sleep is on
  bool waiting = false;     // for memory or the journal
  bool committing = false;  // handed to the journal, result to come
  bool closing = false;

  std::string_view input() const { return pending.text().substr(pending_at); }
  void consume(size_t bytes) {
    pending_at += static_cast<uint32_t>(bytes);
    if (pending_at < pending.size()) return;
    pending.clear();
    pending_at = 0;
  }
  // Something outside has to happen before the machine may go on.
  bool blocked() const { return sending || closing || waiting || pausing || committing; }
};

}  // namespace mx::session
