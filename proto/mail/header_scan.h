// proto/mail/header_scan.h - looks at the header of a message while its body bytes stream by:
// counts Received headers for the hop limit and tells what the first line is.
//
// The header ends where Postfix's parser ends it: at a blank line, or at the first line that is
// neither "name:" (printable ASCII without blanks, then optional blanks, then a colon) nor a
// continuation. Lines end in LF, with or without CR. Bytes may be cut anywhere; the result is the
// same; a name of more than limits::header_name_bytes_max is none. It is never stored, so a header
// of any length costs nothing but the pass over it.
//
// Owner and threads: one message. Cost: O(bytes), nothing after done().
#pragma once

#include <cstdint>
#include <string_view>

namespace mx::mail {

class HeaderScan {
 public:
  // A byte above 127 is in a header line (RFC 6532: the message needs SMTPUTF8).
  bool eight_bit() const { return eight_bit_; }
  // What the first line is. mailbox_from: "From " or ">From " of an mbox file; Postfix turns it
  // into the header "X-Mailbox-Line: <line>". none: the message is empty or the first line has not
  // been told yet.
  enum class FirstLine : uint8_t { none, header, blank, mailbox_from, text };

  // The next bytes of the message. After done() there is nothing to be gained by more.
  void feed(std::string_view bytes);
  // The header is over.
  bool done() const { return state_ == State::over; }
  uint32_t received_count() const { return received_; }
  FirstLine first_line() const { return first_line_; }
  // The body brings its own header or the blank line in place of one; otherwise its owner has to
  // put a blank line between the header it adds and the body.
  bool starts_with_header() const {
    return first_line_ == FirstLine::header || first_line_ == FirstLine::blank;
  }

 private:
  enum class State : uint8_t {
    line_start,
    line_start_cr,  // CR at line start: blank line if LF follows
    name,           // in what may be a header name
    blanks,         // behind it, before the colon
    skip,           // rest of a header line or continuation
    over,
  };
  State step(char c);
  void name_byte(char c);
  State name_ended();
  State not_a_header();
  void look_for_eight_bit(std::string_view bytes);

  State state_ = State::line_start;
  FirstLine first_line_ = FirstLine::none;
  bool may_be_received_ = true;
  bool may_be_from_ = true;
  bool any_line_ = false;
  bool eight_bit_ = false;
  uint32_t name_bytes_ = 0;
  uint8_t matched_ = 0;       // bytes of "received" that agree
  uint8_t from_matched_ = 0;  // bytes of "From " that agree
  uint32_t received_ = 0;
};

}  // namespace mx::mail
