// proto/smtp/client.h - the outbound side of one SMTP connection as a machine without I/O: many
// messages, pipelined where the server offers it. Every byte from the server is hostile: replies
// are bounded, an extra or early reply is never taken for an answer (V60, V62), and what is unclear
// is a deferral, never a success.
//
// Owner's loop: connect, then
//   need() == input  → send out(), receive, feed(); a reply time-out is command_timeout()
//   need() == ready  → start(delivery) or quit()
//   need() == body   → send out(), then the message's stored wire bytes (header block, body,
//   dot-stuffed),
//                      then ".\r\n" (the machine puts it in out() by body_sent()).
//   need() == done   → recipient_outcome(i); then finish() leads to ready. start() may lead here at
//   once. need() == closed → close the socket; if attempted() the delivery's outcomes say what is
//   known.
// What is received in ready, body and done is fed as well: it ends the session (a 421, an early
// reply).
//
// Commands of a transaction go out in the order [RSET] MAIL RCPT… DATA, as many ahead of their
// replies as the window allows: 1, or pipelined_commands_max when the server offers PIPELINING.
// That is the only difference between the two ways (RFC 2920). RSET is sent, in front of the next
// MAIL, only when the transaction before it was given up in the middle.
//
//   awaited reply   2xx            3xx          4xx, 5xx                           421, other
//   greeting        EHLO           closed       closed (5xx defers: another host)  closed
//   EHLO            ready          closed       HELO                               closed
//   HELO            ready          closed       closed                             closed
//   RSET            MAIL           closed       closed                             closed
//   MAIL            RCPT           closed       all recipients; done               closed
//   RCPT            next           closed       this recipient; next               closed
//   DATA            closed         body, or "." accepted recipients; done          closed
//                                  if no recipient is left
//   end of data     sent; done     closed (1)   accepted recipients; done          closed
// (1) Result::unknown, as is loss of the connection or nonsense there: the message may have been
// taken.
//
// Owner and threads: one shard, one connection. Memory: about 3 KB; grows with out() for long
// pipelines and by one Outcome for each recipient refused by itself. No allocation for ordinary
// messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/fixed_text.h"
#include "proto/base/small_vector.h"
#include "proto/base/time.h"
#include "proto/mail/dsn.h"
#include "proto/smtp/reply_parser.h"
#include "proto/smtp/verdict.h"

namespace mx::smtp {

struct ClientSettings {  // outlives the client
  std::string helo_name = "localhost";
  // A server that greets EHLO with this name is ourselves: a loop (5.4.6). Empty: not checked.
  std::string own_hostname = "localhost";
  Duration helo_timeout = seconds(300), mail_timeout = seconds(300), rcpt_timeout = seconds(300),
           data_init_timeout = seconds(120), data_xfer_timeout = seconds(180),
           data_done_timeout = seconds(600), quit_timeout = seconds(10), rset_timeout = seconds(20),
           greeting_timeout = seconds(300);
};

// What the server said it can do.
struct Capabilities {
  bool esmtp = false, pipelining = false, eight_bit_mime = false, dsn = false, smtputf8 = false,
       chunking = false, starttls = false;
  bool size = false;
  uint64_t size_limit = 0;  // 0: none stated
};

// One transaction to make. Views live until need() is done or closed.
struct Delivery {
  std::string_view sender;  // without <>
  const std::string_view* recipients = nullptr;
  uint32_t recipient_count = 0;
  uint64_t size = 0;       // for SIZE=
  bool eight_bit = false;  // for BODY=8BITMIME
  // SMTPUTF8 was asked for; needed: an address or the header is not ASCII, so that a server without
  // it cannot have the message (RFC 6531 3.2).
  bool smtputf8 = false, smtputf8_needed = false;
  // For a server with DSN (RFC 3461).
  mail::DsnReturn dsn_return = mail::DsnReturn::unset;
  std::string_view envelope_id;
  const mail::RecipientDsn* dsn = nullptr;  // one a recipient; nullptr: nobody asked for anything
};

enum class Result : uint8_t {
  sent,      // 2xx to the end of data: the server has it
  deferred,  // 4xx, connection lost or nonsense before the end of data: try again
  refused,   // 5xx
  unknown,   // connection lost between end of data and its reply: may have been delivered (R10)
};
struct Outcome {
  Result result = Result::deferred;
  uint16_t code = 0;      // the reply's code; 0: not a reply of the server, `text` is our own words
  EnhancedCode enhanced;  // from the reply, else made up from its class; RFC 3463
  // Printable, for logs. "250 2.0.0 Ok: queued as X" when sent, "550 5.1.1 No (in reply to RCPT TO
  // command)" or "lost connection while sending RCPT TO" else. A reply too long for it ends in
  // "...".
  FixedText<256> text;
};

class Client {
 public:
  enum class Need : uint8_t { input, ready, body, done, closed };
  using Output = SmallVector<char, 1024>;
  static constexpr uint32_t pipelined_commands_max = 64;

  // `port`: where it is connected to. Only on port 25 is a server with our name ourselves.
  explicit Client(const ClientSettings& settings, uint16_t port = 25)
      : settings_(&settings), port_(port) {
    outcomes_.push_back({});
  }

  Need need() const { return need_; }
  size_t feed(
      std::string_view in);  // takes all of it unless the machine is closed; returns bytes taken
  void start(const Delivery& delivery);  // REQUIRES need() == ready
  void body_sent();                      // REQUIRES need() == body
  void finish();                         // REQUIRES need() == done
  void quit();                           // REQUIRES need() == ready
  void command_timeout();    // no reply, or no progress of the body, within timeout(): closed
  void connection_lost();    // EOF or error: closed
  Duration timeout() const;  // of the wait that is on now; none in ready, done and closed

  // Bytes to send. The owner clears it when they are sent and not before: until then it stays as it
  // is, so that it can be lent to the kernel, and commands that are due meanwhile appear once it is
  // empty.
  Output& out() {
    send_commands();
    return out_;
  }
  const Capabilities& capabilities() const { return capabilities_; }
  bool attempted() const { return attempted_; }  // a delivery was started and is not finished
  // A command of that delivery was answered, and not by 421: what is lost after it is its attempt.
  bool answered() const { return answered_; }
  // Whole replies so far: what drips has no progress but these.
  uint32_t replies() const { return replies_; }
  // QUIT is all that is still said. Its reply is nothing to wait for (as Postfix's
  // smtp_skip_quit_response): a server that gives none would keep the connection.
  bool quitting() const { return stage_ == Stage::quit; }
  // REQUIRES: attempted(), and need() is done or closed.
  const Outcome& recipient_outcome(uint32_t i) const;
  // Why the session ended, when need() is closed; for greeting, EHLO and HELO "refused to talk to
  // me" is the owner's to say. Deferred with empty text after an orderly quit().
  const Outcome& session_outcome() const { return session_outcome_; }

 private:
  // What the oldest reply that is awaited answers; or, when none is, where the dialogue stands.
  enum class Stage : uint8_t {
    greeting,
    ehlo,
    helo,
    idle,
    rset,
    mail,
    rcpt,
    data,
    body,
    end_of_data,
    empty_message,
    quit,
  };
  static std::string_view command_name(Stage stage);
  static std::string_view activity(Stage stage);

  void on_line();
  void on_reply();
  void on_greeting(uint16_t code);
  void on_hello(uint16_t code);
  void on_transaction_reply(uint16_t code);
  void on_mail(uint16_t code);
  void on_rcpt(uint16_t code);
  void on_data(uint16_t code);
  void on_end_of_data(uint16_t code);
  void on_early_input(std::string_view in);
  void on_capability(std::string_view keyword_line);

  bool refused_without_dialogue();
  uint32_t next_recipient(uint32_t from) const;
  void send_commands();
  void send_mail();
  void send_rcpt(uint32_t recipient);
  void send_command();
  void await(Stage stage);
  void go_on();
  void complete();
  Outcome from_reply(Result result) const;
  void own_outcome(uint32_t recipient, const Outcome& outcome);
  void settle(const Outcome& outcome);
  void close(const Outcome& outcome);
  void protocol_error(std::string_view what);

  const ClientSettings* settings_;
  uint16_t port_;
  Need need_ = Need::input;
  Stage stage_ = Stage::greeting;
  Output out_;
  Capabilities capabilities_;
  ReplyParser parser_;
  FixedText<256> earlier_lines_;  // of a reply with several, printable, joined by spaces
  Outcome session_outcome_;

  // The transaction. outcomes_[0] is that of every recipient that has none of its own.
  Delivery delivery_;
  SmallVector<uint16_t, 16> outcome_index_;
  SmallVector<Outcome, 2> outcomes_;
  Stage send_stage_ = Stage::idle;  // next command to send; idle: none
  uint32_t send_rcpt_ = 0;          // next recipient to name
  uint32_t reply_rcpt_ = 0;         // recipient that the next RCPT reply is about
  uint32_t unanswered_ = 1;         // commands sent without reply; the greeting counts as one
  uint32_t accepted_ = 0;           // recipients
  uint32_t replies_ = 0;
  bool attempted_ = false;
  bool answered_ = false;
  bool settled_ = false;           // outcomes_[0] is final
  bool transaction_open_ = false;  // at the server: the next delivery begins with RSET
};

}  // namespace mx::smtp
