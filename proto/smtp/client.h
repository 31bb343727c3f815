// proto/smtp/client.h - the outbound side of one SMTP connection as a machine without I/O: many messages,
// pipelined where the server offers it. Every byte from the server is hostile: replies are bounded, an extra
// or early reply is never taken for an answer (V60, V62), and what is unclear is a deferral, never a success.
//
// Owner's loop: connect, then
//   need() == input  → send out(), receive, feed(); a reply time-out is command_timeout()
//   need() == ready  → start(delivery) or quit()
//   need() == body   → send out(), then the message's stored wire bytes (header block, body, dot-stuffed),
//                      then ".\r\n" (the machine puts it in out() by body_sent()).
//   need() == done   → outcome() and recipient_outcome(i); then finish() leads to ready (or closed)
//   need() == closed → close the socket; if `attempted()` the delivery's outcomes say what is known.
// RSET is sent only when a transaction has to be given up in the middle.
//
// Owner and threads: one shard, one connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/fixed_text.h"
#include "proto/base/small_vector.h"
#include "proto/base/time.h"
#include "proto/smtp/verdict.h"

namespace mx::smtp {

struct ClientSettings {  // outlives the client
  std::string helo_name = "localhost";
  std::string own_hostname = "localhost";  // an EHLO reply with this name is a loop (5.4.6)
  Duration helo_timeout = seconds(300), mail_timeout = seconds(300), rcpt_timeout = seconds(300),
           data_init_timeout = seconds(120), data_xfer_timeout = seconds(180),
           data_done_timeout = seconds(600), quit_timeout = seconds(300), rset_timeout = seconds(20),
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
  uint64_t size = 0;        // for SIZE=
  bool eight_bit = false;   // for BODY=8BITMIME
};

enum class Result : uint8_t {
  sent,        // 2xx to the end of data: the server has it
  deferred,    // 4xx, connection lost or nonsense before the end of data: try again
  refused,     // 5xx
  unknown,     // connection lost between end of data and its reply: may have been delivered (R10)
};
struct Outcome {
  Result result = Result::deferred;
  uint16_t code = 0;          // last reply's code, 0 when there was none
  EnhancedCode enhanced;      // from the reply, else made up from its class; RFC 3463
  FixedText<256> text;        // printable text for logs: "host said: 250 2.0.0 Ok (in reply to end of DATA command)"
};

class Client {
 public:
  enum class Need : uint8_t { input, ready, body, done, closed };
  using Output = SmallVector<char, 1024>;

  explicit Client(const ClientSettings& settings) : settings_(&settings) {}

  Need need() const { return need_; }
  size_t feed(std::string_view in);  // takes all of it unless the machine is closed; returns bytes taken
  void start(const Delivery& delivery);   // REQUIRES need() == ready
  void body_sent();                       // REQUIRES need() == body
  void finish();                          // REQUIRES need() == done
  void quit();                            // REQUIRES need() == ready
  void command_timeout();                 // no reply within timeout(): closed
  void connection_lost();                 // EOF or error: closed
  Duration timeout() const;               // of the wait that is on now

  Output& out() { return out_; }
  const Capabilities& capabilities() const { return capabilities_; }
  bool attempted() const;                 // a delivery was started and is not finished
  const Outcome& recipient_outcome(uint32_t i) const;
  const Outcome& session_outcome() const; // why the session ended before any delivery (greeting, EHLO)

 private:
  // (to be filled in by the implementation)
  const ClientSettings* settings_;
  Need need_ = Need::input;
  Output out_;
  Capabilities capabilities_;
};

}  // namespace mx::smtp
