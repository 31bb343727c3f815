// tools/mxq/drain.h - `mxq --drain-to HOST:PORT`: hands the whole queue to another MTA by SMTP.
//
// ringmx must not run. Each recipient that the other MTA has taken is marked done in the journal,
// durably before the next hundred messages, so that what is interrupted goes on where it was; a
// message may then be given once more, never lost. An interrupt (HUP, INT, TERM) waits for the
// present message; a second one does not. Held messages (quarantined ones, too) are given like any
// other: they are the other one's to hold.
#pragma once

#include <string>

#include "tools/mxq/rest.h"

namespace mx::mxq {

struct Drained {
  uint64_t messages = 0, recipients = 0;         // taken
  uint64_t held = 0;                             // of these messages
  uint64_t recipients_left = 0, unreadable = 0;  // not
};
struct HostPort {
  std::string host, port;
};
HostPort parse_host_port(const std::string& text);  // throws

// Says on standard error how far it is. Throws when the other MTA can't be reached at all.
Drained drain(QueueAtRest& queue, const Choice& choice, const config::Settings& settings,
              const HostPort& to);

}  // namespace mx::mxq
