// proto/smtp/reply.h - writes reply lines of the server machine.
//
// A reply can carry text that a peer chose (an address, a parameter). Whatever it holds, a reply is
// one line of printable ASCII: any other byte becomes '?'. A line that would be longer than
// limits::reply_line_bytes_max (RFC 5321 4.5.3.1.5) ends there; only the human-readable part can be
// hit.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "proto/base/small_vector.h"
#include "proto/smtp/verdict.h"

namespace mx::smtp {

using ReplyBuffer = SmallVector<char, 448>;

// Appends the parts, joined, and CR LF.
void append_reply_line(ReplyBuffer& out, std::initializer_list<std::string_view> parts);

// Appends "<code> <x.y.z> " before them; no x.y.z when `enhanced` is none. Its first digit is the
// code's.
void append_reply_line(ReplyBuffer& out, uint16_t code, EnhancedCode enhanced,
                       std::initializer_list<std::string_view> parts);

// Appends "<code> <x.y.z> <text>". A code that is no refusal becomes Postfix's
// "450 4.7.1 Service unavailable".
void append_refusal(ReplyBuffer& out, const Verdict& verdict);

}  // namespace mx::smtp
