// proto/mail/notice_text.h - how the lines of a notice are written: in wire form, and so that
// nothing from outside adds a line, a field or a control byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/time.h"
#include "proto/mail/received.h"

namespace mx::mail {

std::string number_text(uint64_t n);
// As Date: and Received: have it.
std::string date_text(WallTime time, const TimeZone& zone);

// CRLF behind it, and a dot more in front of a dot.
void add_line(std::string& out, std::string_view line);
// Folded at blanks; continuation lines begin with `indent`. A word that is longer than a line stays
// whole, up to what a line may hold (RFC 5321 4.5.3.1.6). What is not printable becomes '?'.
void add_folded(std::string& out, std::string_view first, std::string_view text,
                std::string_view indent);

}  // namespace mx::mail
