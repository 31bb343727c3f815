#include "proto/smtp/reply_parser.h"

#include <algorithm>
#include <cstring>

#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::smtp {
namespace {

static_assert(ReplyParser::line_kept_max <= limits::backend_reply_line_bytes_max);

// A number of at most three digits off the front of `text` (RFC 3463 2).
bool take_number(std::string_view& text, uint16_t& number) {
  number = 0;
  size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) {
    if (digits == 3) return false;
    number = static_cast<uint16_t>(number * 10 + (text[digits++] - '0'));
  }
  text.remove_prefix(digits);
  return digits > 0;
}

bool take_byte(std::string_view& text, char wanted) {
  if (text.empty() || text[0] != wanted) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

ReplyParser::Event ReplyParser::feed(std::string_view& in) {
  if (line_done_) {
    line_done_ = false;
    line_.clear();
    line_bytes_ = 0;
    if (reply_done_) {
      reply_done_ = false;
      lines_ = 0;
      code_ = 0;
    }
  }
  const void* newline = in.empty() ? nullptr : std::memchr(in.data(), '\n', in.size());
  const size_t length =
      newline ? static_cast<size_t>(static_cast<const char*>(newline) - in.data()) : in.size();
  std::string_view part = in.substr(0, length);
  in.remove_prefix(newline ? length + 1 : length);

  // A CR is held back until the next byte: before LF it is no part of the line.
  const bool held_cr = after_cr_;
  if (!part.empty()) {
    after_cr_ = part.back() == '\r';
    if (after_cr_) part.remove_suffix(1);
  }
  if (held_cr && length > 0) {
    if (line_.size() < line_kept_max) MX_ASSERT(line_.append("\r"));
    ++line_bytes_;
  }
  // The lengths are kept far from overflow: one part is as long as one receive.
  if (part.size() > limits::backend_reply_line_bytes_max) return Event::malformed;
  MX_ASSERT(line_.append(part.substr(0, line_kept_max - line_.size())));
  line_bytes_ += static_cast<uint32_t>(part.size());
  if (line_bytes_ + 2 > limits::backend_reply_line_bytes_max) return Event::malformed;
  return newline ? end_of_line() : Event::more;
}

ReplyParser::Event ReplyParser::end_of_line() {
  if (!after_cr_) return Event::malformed;
  after_cr_ = false;
  const std::string_view text = line_.view();
  if (text.size() < 3 || !is_digit(text[0]) || !is_digit(text[1]) || !is_digit(text[2]))
    return Event::malformed;
  if (text[0] < '2' || text[0] > '5') return Event::malformed;
  if (text.size() > 3 && text[3] != ' ' && text[3] != '-') return Event::malformed;
  const int code = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
  if (lines_ > 0 && code != code_) return Event::malformed;
  code_ = static_cast<uint16_t>(code);
  if (++lines_ > limits::backend_reply_lines_max) return Event::malformed;
  line_done_ = true;
  reply_done_ = text.size() == 3 || text[3] == ' ';
  return reply_done_ ? Event::reply : Event::line;
}

EnhancedCode ReplyParser::enhanced() const {
  std::string_view rest = text();
  EnhancedCode found;
  uint16_t status = 0;
  const bool well_formed = take_number(rest, status) && take_byte(rest, '.') &&
                           take_number(rest, found.subject) && take_byte(rest, '.') &&
                           take_number(rest, found.detail) && (rest.empty() || rest[0] == ' ');
  if (!well_formed || status != code_ / 100 || status == 3) return {};
  if (text()[1] != '.') return {};  // "005.1.1"
  found.status = static_cast<uint8_t>(status);
  return found;
}

}  // namespace mx::smtp
