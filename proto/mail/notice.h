// proto/mail/notice.h - the plain letters that a mail system writes to its postmaster: the digest
// of quarantined mail, and what went wrong in an SMTP session.
//
// Pure, as proto/mail/report.h: everything that is said comes in, the result is in wire form, and
// whatever a client, a sender or a backend wrote can't add a header, a line or a control byte to
// it. Cost: one pass over the text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/time.h"
#include "proto/mail/received.h"
#include "proto/mail/report.h"

namespace mx::mail {

struct Notice {
  std::string_view hostname, mail_name;
  std::string_view origin;  // myorigin
  std::string_view id;      // queue id of the notice
  std::string_view to;
  std::string_view subject;
  std::string_view text;  // lines, each with LF
  WallTime now;
  TimeZone zone;
};
ReportText write_notice(const Notice& notice);

// One held message of a digest.
struct DigestEntry {
  std::string id;  // queue id
  WallTime arrival;
  uint64_t size = 0;
  std::string sender;  // empty: null
  std::vector<std::string> recipients;
  uint64_t more_recipients = 0;
  std::string reason;  // what the next hop said; empty: not known any more
};
struct Digest {
  std::string_view hostname, config_directory;
  std::span<const DigestEntry> entries;
  uint64_t left_out = 0;  // new as well, but not among the entries
  uint64_t told = 0;      // held, and in an earlier digest
  TimeZone zone;
};
std::string digest_subject(const Digest& digest);
std::string digest_text(const Digest& digest);

// `text` in lines of at most `columns` where it has blanks, each with `first` or `later` in front.
// Nothing is left out or changed but control bytes, which become '?', and blanks at a line's end.
void add_wrapped(std::string& out, std::string_view text, size_t columns, std::string_view first,
                 std::string_view later);

}  // namespace mx::mail
