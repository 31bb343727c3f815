// proto/mail/received.h - the Received header that this program puts before a message (RFC
// 5321 4.4), in Postfix's shape:
//
//   Received: from HELO (name [address])
//   <tab>by myhostname (ringmx) with ESMTP id QUEUEID
//   <tab>for <recipient>; Tue, 18 May 2010 10:00:00 +0200 (CEST)
//
// The for line is there only when the message has exactly one recipient; else "id QUEUEID;" and the
// date on a line of its own. Whatever a client calls itself, the header keeps its shape: bytes that
// could end a comment, a line or the header become '?'. Names over limits::domain_bytes_max are cut
// and marked with "...".
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "proto/base/time.h"

namespace mx::mail {

// How local time is written: minutes east of UTC, and the zone's short name.
struct TimeZone {
  int offset_minutes = 0;
  std::string_view name = "UTC";
};

struct ReceivedFields {
  std::string_view helo;            // empty: the client's name is used in its place
  std::string_view client_name;     // "unknown" when there is none
  std::string_view client_address;  // without brackets or tag
  std::string_view hostname;        // ours
  std::string_view queue_id;
  std::string_view
      recipient;  // of the only recipient, without angle brackets; empty: more than one
  bool esmtp = false;
  bool utf8 = false;  // SMTPUTF8 was given: "with UTF8SMTP" (RFC 6531 4.3)
  WallTime time;
  TimeZone zone;
};

// Writes the header, CR LF at the end of every line, and returns its length; nothing when `out` is
// too short (limits::header_block_bytes_max is always enough).
std::optional<size_t> write_received(const ReceivedFields& fields, std::span<char> out);

// "Tue, 18 May 2010 10:00:00 +0200 (CEST)" (RFC 5322 3.3); at most date_bytes_max with a zone name
// of up to 15.
inline constexpr size_t date_bytes_max = 56;
std::optional<size_t> write_date(WallTime time, const TimeZone& zone, std::span<char> out);

}  // namespace mx::mail
