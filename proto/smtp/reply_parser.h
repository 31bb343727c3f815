// proto/smtp/reply_parser.h - SMTP replies from bytes, line by line (RFC 5321 4.2). Used by the
// client machine and by the load generator.
//
//   Reply-line = *( Reply-code "-" [ text ] CRLF ) Reply-code [ SP text ] CRLF
//
// The server is hostile: a line and the number of lines are bounded (limits.h), a bare LF, a code
// that is not 200-599, or lines of one reply with different codes make the reply malformed, and
// nothing of one reply is left over for the next (V60, V61). What is between code and CRLF is any
// bytes: the caller makes them printable.
//
// Of each line the first line_kept_max bytes are kept, in the object. Owner: one connection. Cost:
// one copy of each line, no allocation.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/fixed_text.h"
#include "proto/smtp/verdict.h"

namespace mx::smtp {

class ReplyParser {
 public:
  enum class Event : uint8_t {
    more,       // all of the input is taken, no line has ended
    line,       // a line has ended, and more lines of this reply follow
    reply,      // the reply's last line has ended
    malformed,  // not a reply; nothing on this connection can be trusted any more
  };
  static constexpr size_t line_kept_max = 256;

  // Takes bytes off the front of `in` up to the end of one line.
  Event feed(std::string_view& in);

  // After Event::line and Event::reply, until the next feed().
  uint16_t code() const { return code_; }
  uint32_t lines() const { return lines_; }               // of this reply, this one included
  std::string_view line() const { return line_.view(); }  // with its code, without CRLF
  std::string_view text() const { return line().substr(line().size() < 4 ? line().size() : 4); }
  bool line_cut() const { return line_bytes_ > line_kept_max; }
  // The enhanced code at the front of this line's text, when it is well formed and of the class of
  // code().
  EnhancedCode enhanced() const;

 private:
  Event end_of_line();

  uint16_t code_ = 0;
  uint32_t lines_ = 0;
  uint32_t line_bytes_ = 0;  // of the line so far, CRLF not counted
  bool after_cr_ = false;    // the last byte fed was a CR, not yet part of the line
  bool line_done_ = false;
  bool reply_done_ = false;
  FixedText<line_kept_max> line_;
};

}  // namespace mx::smtp
