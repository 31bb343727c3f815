// proto/smtp/server.h - the inbound side of one SMTP connection as a machine without I/O (RFC 5321).
//
// Bytes of commands go in by feed(), replies come out in `out`, and need() says what the machine waits for.
// Policy, body bytes, durability and time are the owner's; the machine asks for them one at a time and
// never looks ahead: while a need other than `input` is open no further command is read. Reply texts are
// Postfix's. One transaction is a value and is reset by assignment.
//
// Owner's loop:
//   while (true) switch (server.need()) {
//     case Need::input:   if (in.empty()) → send out, receive more;  else in.remove_prefix(server.feed(in));
//     case Need::verdict: server.answer(policy(server.question()));
//     case Need::pause:   → send nothing yet; after server.pause_length() call server.paused();
//     case Need::body:    → receive the body through DataScanner, then server.body_ended(facts);
//     case Need::durable: → commit; after the flush server.committed(id), else server.not_committed(why);
//     case Need::close:   → send out, then close;
//   }
// Replies are in `out` in order; the owner sends them whenever it has nothing more to feed.
//
// Owner and threads: one shard, one session. Cost: one pass over the command line, no allocation for
// ordinary sessions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/fixed_text.h"
#include "proto/base/limits.h"
#include "proto/base/small_vector.h"
#include "proto/base/time.h"
#include "proto/smtp/transaction.h"
#include "proto/smtp/verdict.h"

namespace mx::smtp {

enum class BareNewline : uint8_t { normalize, reject };

// Constant after configuration; shared by all sessions of a snapshot and outlives them.
struct ServerSettings {
  std::string hostname = "localhost";
  std::string banner = "localhost ESMTP ringmx";  // the text after "220 "
  uint64_t message_size_limit = 10'240'000;       // 0: none
  uint32_t line_length_limit = 2048;              // bytes of a command line without its end
  uint32_t recipient_limit = 1000;
  uint32_t recipient_overshoot_limit = 1000;
  uint32_t soft_error_limit = 10;
  uint32_t hard_error_limit = 20;
  uint32_t junk_command_limit = 100;
  Duration error_sleep = seconds(1);
  bool helo_required = false;
  bool disable_vrfy = false;
  bool forbid_unauth_pipelining = true;
  bool strict_envelopes = false;                  // strict_rfc821_envelopes
  BareNewline bare_newline = BareNewline::normalize;
};

enum class Need : uint8_t { input, verdict, pause, body, durable, close };

// Where in the dialogue a question of policy arises.
enum class Stage : uint8_t { connect, helo, mail, rcpt, data, end_of_data, vrfy };

struct Question {
  Stage stage = Stage::connect;
  std::string_view argument;  // helo name, sender or recipient address; valid until answer()
};

// What the owner saw of the body.
struct BodyFacts {
  uint64_t size = 0;             // unstuffed bytes
  uint32_t received_headers = 0; // for the hop limit
  bool too_big = false;          // over message_size_limit; the rest was swallowed
  bool too_many_hops = false;
  bool bare_newline = false;     // a bare LF was met while settings say reject: the session must end
  bool no_space = false;         // the queue is full: 452
  bool failed = false;           // storage failed: 451
};

enum class CommitFailure : uint8_t { no_space, write_error };

// Session counters for the disconnect log line: commands tried and accepted, as Postfix prints them.
struct CommandCounts {
  uint32_t helo[2]{}, ehlo[2]{}, mail[2]{}, rcpt[2]{}, data[2]{}, rset[2]{}, noop[2]{}, vrfy[2]{},
      quit[2]{}, unknown[2]{};  // [0] accepted, [1] total
};

class Server {
 public:
  using Output = SmallVector<char, 448>;

  explicit Server(const ServerSettings& settings) : settings_(&settings) {}

  // Starts the dialogue: need() becomes verdict(connect). `client_spoke_first`: bytes were readable before
  // the banner (unauthorised pipelining).
  void connected(bool client_spoke_first);
  // Takes bytes up to and including the next command line, or all of them when no line ends in `in`.
  // Returns the number taken (> 0 for non-empty input). REQUIRES need() == Need::input.
  size_t feed(std::string_view in);

  Need need() const { return need_; }
  const Question& question() const { return question_; }   // need() == verdict
  void answer(const Verdict& verdict);
  Duration pause_length() const { return settings_->error_sleep; }  // need() == pause
  void paused();
  void body_ended(const BodyFacts& facts);                 // need() == body
  void committed(std::string_view queue_id);               // need() == durable
  void not_committed(CommitFailure why);
  // Ends the session from outside: 421 with `enhanced` and text ("timeout exceeded", …), then close.
  void abort(EnhancedCode enhanced, std::string_view text);

  Output& out() { return out_; }
  const Transaction& transaction() const { return tx_; }
  std::string_view helo() const { return helo_.text(); }   // as given; empty before HELO
  bool esmtp() const { return esmtp_; }
  bool pipelining_abuse() const { return pipelined_; }     // the sticky flag of reject_unauth_pipelining
  const CommandCounts& counts() const { return counts_; }
  // For log lines and policy: the verb being handled or last handled ("MAIL", "RCPT", "DATA", …).
  std::string_view current_verb() const;

 private:
  // (to be filled in by the implementation)
  const ServerSettings* settings_;
  Need need_ = Need::input;
  Question question_;
  Transaction tx_;
  Output out_;
  SmallVector<char, 64> helo_;
  CommandCounts counts_;
  bool esmtp_ = false;
  bool pipelined_ = false;
};

}  // namespace mx::smtp
