// proto/mail/report.h - writes delivery status notifications: the message that tells a sender what
// became of theirs (RFC 3461, RFC 3464, multipart/report of RFC 6522; RFC 6533 when an address is
// not ASCII), in Postfix's shape.
//
// Pure: everything that is said comes in. The result is in wire form: CRLF, dot-stuffed, without
// the final dot; a header block and a body, as the journal stores them. What a backend, a client or
// a sender wrote can't add a line or a field: control bytes become '?', long texts are folded. The
// original is in wire form already and goes in as it is.
//
// Cost: one pass; memory grows with recipients (about 1 KB each) and the original.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proto/base/time.h"
#include "proto/mail/dsn.h"
#include "proto/mail/received.h"

namespace mx::mail {

enum class ReportKind : uint8_t { failed, delayed, relayed };

// One recipient of the original message.
struct ReportedRecipient {
  std::string_view address;   // as on the wire, without angle brackets
  std::string_view original;  // ORCPT= as given; empty: none
  uint8_t status_class = 5;   // 2, 4 or 5
  uint16_t subject = 0, detail = 0;
  std::string_view remote;       // "host[address]:port" of who said so; empty: we do
  std::string_view text;         // why; with `remote`: that server's reply
  std::string_view action = {};  // "expanded" or "delivered": an alias; empty: what the kind says
};

struct Report {
  ReportKind kind = ReportKind::failed;
  bool to_postmaster = false;  // a copy, for notify_classes
  std::string_view hostname, mail_name;
  std::string_view report_id;  // queue id of the report
  std::string_view to;         // who gets it
  std::string_view original_id;
  std::string_view sender;       // of the original; empty: null
  std::string_view envelope_id;  // ENVID= as given
  WallTime arrival;              // of the original
  WallTime now;
  TimeZone zone;
  Duration delay_warning, lifetime;  // delayed: what the text says
  std::span<const ReportedRecipient> recipients;
  std::string_view content;  // of the original, wire form: whole, or its header lines only
  bool content_is_whole = false;
};

struct ReportText {
  std::string header, body;
  bool eight_bit = false;  // needs 8BITMIME
  bool utf8 = false;       // needs SMTPUTF8: an address is not ASCII
};
ReportText write_report(const Report& report);

// The part of a message in wire form that is its header lines, at most `limit` bytes of whole
// lines.
std::string_view header_lines(std::string_view content, size_t limit);

}  // namespace mx::mail
