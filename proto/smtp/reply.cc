#include "proto/smtp/reply.h"

#include <algorithm>
#include <charconv>

#include "proto/base/fixed_text.h"
#include "proto/base/limits.h"

namespace mx::smtp {
namespace {

constexpr bool is_printable(char c) {
  return c >= ' ' && c <= '~';
}

using Prefix = FixedText<24>;  // "999 9.65535.65535 " is 18 bytes

void append_number(Prefix& prefix, unsigned value) {
  char digits[10];
  const auto result = std::to_chars(digits, digits + sizeof digits, value);
  MX_ASSERT(prefix.append({digits, static_cast<size_t>(result.ptr - digits)}));
}

// Appends `part` as far as `room` goes, and takes it off the room.
void append_printable(ReplyBuffer& out, std::string_view part, size_t& room) {
  part = part.substr(0, std::min(part.size(), room));
  room -= part.size();
  const uint32_t start = out.size();
  out.append(part);
  std::replace_if(out.begin() + start, out.end(), [](char c) { return !is_printable(c); }, '?');
}

}  // namespace

void append_reply_line(ReplyBuffer& out, std::initializer_list<std::string_view> parts) {
  size_t room = limits::reply_line_bytes_max - 2;
  for (const std::string_view part : parts) append_printable(out, part, room);
  out.append("\r\n");
}

void append_reply_line(ReplyBuffer& out, uint16_t code, EnhancedCode enhanced,
                       std::initializer_list<std::string_view> parts) {
  MX_ASSERT(code >= 200 && code <= 599);
  Prefix prefix;
  append_number(prefix, code);
  MX_ASSERT(prefix.append(" "));
  if (enhanced.status != 0) {
    append_number(prefix, code / 100);
    MX_ASSERT(prefix.append("."));
    append_number(prefix, enhanced.subject);
    MX_ASSERT(prefix.append("."));
    append_number(prefix, enhanced.detail);
    MX_ASSERT(prefix.append(" "));
  }
  size_t room = limits::reply_line_bytes_max - 2;
  append_printable(out, prefix.view(), room);
  for (const std::string_view part : parts) append_printable(out, part, room);
  out.append("\r\n");
}

void append_refusal(ReplyBuffer& out, const Verdict& verdict) {
  if (verdict.code < 400 || verdict.code > 599) {
    append_reply_line(out, {"450 4.7.1 Service unavailable"});
    return;
  }
  append_reply_line(out, verdict.code, verdict.enhanced, {verdict.text.view()});
}

}  // namespace mx::smtp
