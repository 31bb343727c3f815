// proto/smtp/ehlo_keywords.h - the service extensions that an EHLO reply can announce, as a set:
// what smtpd_discard_ehlo_keywords and its tables by address leave out.
#pragma once

#include <cstdint>
#include <string_view>

namespace mx::smtp {

using EhloKeywords = uint32_t;
inline constexpr EhloKeywords ehlo_pipelining = 1, ehlo_size = 2, ehlo_vrfy = 4, ehlo_etrn = 8,
                              ehlo_starttls = 16, ehlo_auth = 32, ehlo_xclient = 64,
                              ehlo_xforward = 128, ehlo_enhanced_status_codes = 256,
                              ehlo_8bitmime = 512, ehlo_dsn = 1024, ehlo_smtputf8 = 2048,
                              ehlo_chunking = 4096, ehlo_verp = 8192, ehlo_requiretls = 16384,
                              ehlo_silent = 32768;

// A list of keywords in any case, between blanks and commas; "silent-discard" is one. `unknown`
// becomes the first word that is none, or empty.
EhloKeywords parse_ehlo_keywords(std::string_view list, std::string_view& unknown);

}  // namespace mx::smtp
