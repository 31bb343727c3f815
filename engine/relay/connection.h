// engine/relay/connection.h - one connection to the next hop and the delivery on it. Private to
// this folder.
#pragma once

#include <sys/socket.h>

#include <cstdlib>
#include <memory>

#include "engine/relay/outbound.h"
#include "proto/mail/envelope.h"

namespace mx::relay {

struct AlignedFree {
  void operator()(std::byte* p) const { std::free(p); }
};

struct Outbound::Connection {
  Connection(uint32_t own_slot, Destination& to, std::shared_ptr<Lane> by,
             policy::SettingsPointer pinned)
      : slot(own_slot),
        destination(to),
        lane(std::move(by)),
        settings(std::move(pinned)),
        client(settings->relay.client, lane->backend->endpoint().port()) {
    timer.kind = timer_connection;
    timer.slot = own_slot;
  }

  uint32_t slot;
  Destination& destination;
  std::shared_ptr<Lane> lane;
  policy::SettingsPointer settings;
  smtp::Client client;
  io::Fd fd;
  io::Timer timer;
  uint8_t in_flight = 0;
  Backend::Period period = 0;  // of the backend, when it was begun
  Instant begun, deadline;     // deadline: of the wait that is on now, while it is being opened
  bool probe = false;          // sees whether the backend is well; takes mail only if there is some
  bool counted = false;        // one of those that the next hop may have
  bool stalled = false;        // takes unusually long to be opened
  uint32_t deliveries = 0;
  bool connecting = false, receiving = false, sending = false, closing = false;
  bool sending_body = false;  // the send under way is (a piece of) a body
  bool last_piece = false;    // … and ends with the final dot
  bool ready_once = false;    // greeting and EHLO are done
  bool is_idle = false;       // in its lane's idle list
  bool was_idle = false;      // … was there some time
  uint32_t seen_replies = 0;
  bool moved = true;  // something came to pass since the timer was armed; bytes alone are nothing

  // The delivery; valid while `busy`.
  bool busy = false;
  bool reused = false;        // not the first delivery on this connection
  uint32_t transactions = 0;  // of the delivery, that came to an end
  queue::MessageInfo info;
  uint32_t message_slot = UINT32_MAX;
  uint32_t lingering_slot = UINT32_MAX;  // given up, but a send of its bytes is still under way
  uint32_t next_recipient = 0;           // all before it were tried in this delivery
  SmallVector<uint64_t, 2> tried;        // a bit a recipient
  std::unique_ptr<Places> visited;       // destinations of this attempt, before this one
  uint8_t tried_before = 0;              // in this attempt, see Work::tried
  bool went_back = false;                // see Work
  bool again = false;                    // there are recipients to try once more, elsewhere
  bool unknown = false;  // there are some that may have been delivered: none goes twice at once
  Places elsewhere;      // where other recipients go
  uint32_t failed_recipients = 0;
  FixedText<256> worst;                // why, for the journal
  SmallVector<uint32_t, 8> positions;  // recipient indexes of the transaction
  SmallVector<std::string_view, 8> recipients;
  SmallVector<mail::RecipientDsn, 1> dsn;  // one a recipient; empty: nobody asked for anything
  std::string_view sender;                 // of the transaction
  bool null_sender = false;                // of the message
  Instant assigned;
  // Reading back.
  std::unique_ptr<std::byte, AlignedFree> window;
  queue::Extent extent;
  queue::RecordType extent_type = queue::RecordType::none;
  uint32_t chunk = 0;  // next of the message's
  bool reading = false;
  // The send under way.
  SmallVector<iovec, 20> pieces;
  msghdr message{};

  std::string_view where() const { return lane->backend->text(); }
};

}  // namespace mx::relay
