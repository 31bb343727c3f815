// tools/load/source_session.h - one session of mxload: what to send after which reply. No I/O of
// its own; the Source sends `out` (and the body after it when `with_body`) and hands the replies
// in.
//
//   connect → greeting → EHLO → { MAIL → RCPT… → DATA → message → dot } → QUIT
//
// Pipelined, MAIL, every RCPT and DATA go out together and the replies are taken one by one. A
// refusal ends the message with RSET; DATA answered 354 although no recipient was taken is ended
// with a lone dot.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "engine/io/fd.h"
#include "proto/base/time.h"
#include "tools/load/reply_lines.h"

namespace mx::load {

// What all sessions say; constant while they run.
struct Dialogue {
  std::string ehlo, mail, data = "DATA\r\n", rset = "RSET\r\n", quit = "QUIT\r\n";
  std::string recipient;
  uint32_t recipients = 1;
  uint32_t domains = 0;  // > 0: recipients take turns in d0.DOMAIN, d1.DOMAIN, …
  bool keep_connection = false;
  bool pipeline = false;

  // Of message number `message`.
  void append_recipient(std::string& out, uint64_t message, uint32_t index) const;
};

enum class Ended : uint8_t { no, accepted, refused };

struct SourceSession {
  enum class Stage : uint8_t { connect, greeting, ehlo, mail, rcpt, data, dot, rset, quit, closed };

  io::Fd socket;
  Stage stage = Stage::connect;
  uint8_t in_flight = 0;  // operations that the kernel still holds
  bool sending = false;
  bool receiving = false;
  bool failed = false;      // is not to be followed by another session
  bool with_body = false;   // `out` ends in the message's header: the body and the dot follow
  bool pipelining = false;  // offered by the server and wanted
  bool wants_message = false;
  bool refused = false;  // this message; its dialogue is being brought to an end
  uint32_t recipients_asked = 0, recipients_answered = 0, recipients_taken = 0;
  Instant waiting_since;  // for the reply that is due
  uint64_t message = 0;   // its number
  std::string out, header;
  ReplyLines in;
  iovec parts[3];
  msghdr batch;

  // Puts the opening of a message in `out`.
  void begin(const Dialogue& dialogue);
  // Takes one line of a reply; false when it makes no sense here. `ended` says when a message is
  // over.
  [[nodiscard]] bool take(const Dialogue& dialogue, const ReplyLine& line, Ended& ended);

 private:
  void ask_recipient(const Dialogue& dialogue) {
    dialogue.append_recipient(out, message, recipients_asked++);
  }
  void after_mail(const Dialogue& dialogue, bool good);
  void after_rcpt(const Dialogue& dialogue, bool good);
  void after_data(const Dialogue& dialogue, int code, Ended& ended);
  void give_up(const Dialogue& dialogue, Ended& ended);
  void next(const Dialogue& dialogue);
};

}  // namespace mx::load
