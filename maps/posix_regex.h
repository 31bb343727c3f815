// maps/posix_regex.h - POSIX regular expressions, as the C library reads them (regex(7), with the
// GNU operators), written as PCRE2 patterns.
//
// What matches is the same; what a group holds may not be: POSIX wants the longest match at the
// leftmost place, PCRE2 takes the first alternative that leads to one. Bytes, no characters:
// Postfix runs in the C locale. Errors are regerror(3)'s words.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace mx::maps {

struct PosixFlags {
  bool extended = true;
  bool ignore_case = true;
  bool newline = false;  // REG_NEWLINE: `.` and [^…] leave newlines out, ^ and $ are at lines
};

struct PosixError {
  std::string text;
  bool limit = false;  // right for the C library, too much for us
};

// The result is to be compiled caseless when ignore_case is set, with DOLLAR_ENDONLY, and with
// DOTALL or, for newline, MULTILINE and ALT_CIRCUMFLEX. Cost: linear.
std::expected<std::string, PosixError> pcre_from_posix(std::string_view pattern, PosixFlags flags);

}  // namespace mx::maps
