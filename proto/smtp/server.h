// proto/smtp/server.h - the inbound side of one SMTP connection (RFC 5321) as a machine without
// I/O.
//
// Bytes of commands go in by feed(), replies come out in `out`, and need() says what the machine
// waits for. Policy, body bytes, durability and time are the owner's; the machine asks for them one
// at a time and never looks ahead: while a need other than `input` is open no further command is
// read. Reply texts are Postfix's. One transaction is a value and is reset by assignment.
//
// Owner's loop:
//   while (true) switch (server.need()) {
//     case Need::input:   nothing received → send out, receive more
//                         else in.remove_prefix(server.feed(in));
//     case Need::verdict: server.answer(policy(server.question()));
//     case Need::pause:   send nothing yet; after server.pause_length() call server.paused();
//     case Need::body:    send out, receive the body, through DataScanner up to its end, or with
//                         server.chunk() its bytes through ChunkScanner; server.body_ended(facts);
//     case Need::durable: commit; after the flush server.committed(id), else not_committed(why);
//     case Need::close:   send out, then close
//   }
// Replies are in `out` in order; the owner sends them whenever it has nothing more to feed.
// feed() must get all bytes received so far: bytes behind the command line are the sign of
// pipelining.
//
// Invariants: one reply a command, in order; after Need::close nothing more is said or read; a
// reply line is printable ASCII of at most limits::reply_line_bytes_max bytes whatever the peer
// sent.
//
// Owner and threads: one shard, one session. Cost: one pass over the command line, no allocation
// for ordinary sessions.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "proto/base/limits.h"
#include "proto/base/small_vector.h"
#include "proto/base/time.h"
#include "proto/mail/address.h"
#include "proto/smtp/client_attributes.h"
#include "proto/smtp/ehlo_keywords.h"
#include "proto/smtp/onward.h"
#include "proto/smtp/reply.h"
#include "proto/smtp/server_settings.h"
#include "proto/smtp/transaction.h"
#include "proto/smtp/verdict.h"

namespace mx::smtp {

enum class Need : uint8_t { input, verdict, pause, body, durable, close };

// Where in the dialogue a question of policy arises.
enum class Stage : uint8_t { connect, helo, mail, rcpt, data, end_of_data, vrfy, etrn };

struct Question {
  Stage stage = Stage::connect;
  // helo name, sender or recipient address, ETRN's domain; valid until answer()
  std::string_view argument;
  uint64_t declared_size = 0;  // at Stage::mail: SIZE=, 0 when absent
  // At Stage::connect, after XCLIENT: who the client is from now on. The owner takes it over, sets
  // rights, name and address anew, and answers for that client. Else nullptr.
  const ClientAttributes* client = nullptr;
};

// A chunk that BDAT announced.
struct Chunk {
  uint64_t bytes = 0;
  bool last = false;
};

// What a client may do by its address.
struct ClientRights {
  bool xclient = false, xforward = false;
  EhloKeywords discard = 0;  // keywords that it is not told of
};

// What the owner saw of the body.
struct BodyFacts {
  uint64_t size = 0;              // unstuffed bytes
  uint32_t received_headers = 0;  // for the hop limit
  bool too_big = false;           // over message_size_limit; the rest was swallowed
  bool too_many_hops = false;
  bool bare_newline = false;  // a bare LF was met while settings say reject: the session must end
  bool no_space = false;      // the queue is full: 452
  bool failed = false;        // storage failed: 451
};

enum class CommitFailure : uint8_t { no_space, write_error, expansion };

// Session counters for the disconnect log line: commands tried and accepted, as Postfix prints
// them.
struct CommandCounts {  // in the order of Postfix's line; [0] accepted, [1] total
  uint32_t helo[2]{}, ehlo[2]{}, starttls[2]{}, auth[2]{}, mail[2]{}, rcpt[2]{}, data[2]{},
      bdat[2]{}, rset[2]{}, noop[2]{}, vrfy[2]{}, etrn[2]{}, quit[2]{}, help[2]{}, xclient[2]{},
      xforward[2]{}, unknown[2]{};
};

struct Command;         // command.h
struct ParameterFault;  // command.h

class Server {
 public:
  using Output = ReplyBuffer;

  explicit Server(const ServerSettings& settings) : settings_(&settings) {
    rights_.discard = settings.discard_ehlo_keywords;
  }

  // What the session is called in replies; both texts must live as long as the machine.
  void set_client(std::string_view name, std::string_view address) {
    client_name_ = name;
    client_address_ = address;
  }
  // In the place of what the settings say for everybody.
  void set_rights(const ClientRights& rights) { rights_ = rights; }
  // Offered from the next HELO or EHLO on, and held to.
  void set_onward(const Onward& onward) { onward_ = onward; }
  const Onward& onward() const { return onward_; }
  // Starts the dialogue: need() becomes verdict(connect). `client_spoke_first`: bytes were readable
  // before the banner (unauthorised pipelining).
  void connected(bool client_spoke_first);
  // Takes bytes up to and including the next command line, or all of them when no line ends in
  // `in`. Returns the number taken (> 0 for non-empty input). REQUIRES need() == Need::input.
  size_t feed(std::string_view in);

  Need need() const { return need_; }
  const Question& question() const { return question_; }  // need() == verdict
  void answer(const Verdict& verdict);
  Duration pause_length() const { return settings_->error_sleep; }  // need() == pause
  void paused();
  // need() == body: what BDAT brings; nullptr: DATA.
  const Chunk* chunk() const { return by_chunks() ? &chunk_ : nullptr; }
  // need() == body: it, or the chunk, is over.
  void body_ended(const BodyFacts& facts);
  void committed(std::string_view queue_id);  // need() == durable
  void not_committed(CommitFailure why);
  // Ends the session from outside: "421 <enhanced> <hostname> <text>" ("Error: timeout exceeded"),
  // then close.
  void abort(EnhancedCode enhanced, std::string_view text);

  Output& out() { return out_; }
  const Transaction& transaction() const { return tx_; }
  // The HELO name; what may not stand in a log line or header is '?'. Empty before HELO.
  std::string_view helo() const { return helo_.text(); }
  bool esmtp() const { return esmtp_; }
  // The sticky flag of reject_unauth_pipelining.
  bool pipelining_abuse() const { return pipelined_; }
  const CommandCounts& counts() const { return counts_; }
  // What went wrong since the last message that was taken, or the beginning.
  ErrorClasses error_classes() const { return error_classes_; }
  bool too_many_errors() const { return too_many_errors_; }  // and so the session ended
  bool skipping() const { return skip_ > 0; }  // the next bytes are of a refused chunk
  // What XFORWARD said for the next message; nullptr: nothing.
  const ForwardedAttributes* forwarded() const { return forwarded_.get(); }
  // For log lines and policy: the verb being handled or last handled ("MAIL", "RCPT", "DATA", …),
  // as Postfix names it: "CONNECT" before the first command, "END-OF-MESSAGE" behind a body,
  // "UNKNOWN".
  std::string_view current_verb() const;

 private:
  // What a command came to, for the counters.
  enum class Result : uint8_t {
    none,      // the reply ends no command, or the session ends with it
    error,     // an error, but of no command: a line that is none, or one not listened to
    failed,    // the command failed
    accepted,  // the command was carried out
    idle,      // smtpd_noop_commands: taken for NOOP, yet no command of ours
  };

  // Lines (server.cc). Each returns the bytes taken.
  size_t discard_to_line_end(std::string_view in);
  size_t overlong(size_t taken);
  size_t give_up_line(size_t taken);
  size_t skip_chunk(std::string_view in);
  void handle_line(std::string_view line, bool more_behind);
  bool is_forbidden(std::string_view verb) const;

  // Replies (server.cc): one a command, then `then` is entered, after a pause where errors ask for
  // one.
  void respond(std::string_view text, Result result, Need then = Need::input) {
    respond({text}, result, then);
  }
  void respond(std::initializer_list<std::string_view> parts, Result result,
               Need then = Need::input);
  void refuse(const Verdict& verdict, Result result = Result::failed);
  void soften(uint32_t start);
  void replied(Result result, Need then);
  void enter(Need need);
  void ask(Stage stage, std::string_view argument = {});
  void end_transaction(std::initializer_list<std::string_view> refusal, Need then = Need::input);
  void refuse_body(std::initializer_list<std::string_view> refusal);
  void end_message();
  void answer_chunk(const Verdict& verdict);
  void refuse_chunk(std::initializer_list<std::string_view> refusal);
  void chunk_skipped();
  bool by_chunks() const { return tx_.chunks == Transaction::Chunks::received; }
  bool discards(EhloKeywords keyword) const { return (rights_.discard & keyword) != 0; }
  bool smtputf8() const {
    return settings_->smtputf8 && !discards(ehlo_smtputf8) && !onward_.no_smtputf8;
  }
  uint64_t size_limit() const { return onward_.size_within(settings_->message_size_limit); }

  // Commands (server_commands.cc); `arguments` is the line behind the verb, blanks around it gone.
  static const Command& find_command(std::string_view verb);
  bool expect_no_arguments(std::string_view arguments);
  bool expect_helo();
  bool expect_no_transaction();
  bool accept_parameters(const ParameterFault& fault);
  bool accept_attributes(const AttributeFault& fault);
  bool expect_ascii(std::string_view address, bool declared);
  void take_chunk();
  void refuse_without_recipients();
  mail::PathRules path_rules() const {
    return settings_->strict_envelopes ? mail::PathRules::strict : mail::PathRules::lenient;
  }
  void helo_command(std::string_view arguments);
  void ehlo_command(std::string_view arguments);
  void ask_helo(std::string_view name);
  void starttls_command(std::string_view arguments);
  void auth_command(std::string_view arguments);
  void mail_command(std::string_view arguments);
  void rcpt_command(std::string_view arguments);
  void data_command(std::string_view arguments);
  void bdat_command(std::string_view arguments);
  void rset_command(std::string_view arguments);
  void noop_command(std::string_view arguments);
  void vrfy_command(std::string_view arguments);
  void etrn_command(std::string_view arguments);
  void quit_command(std::string_view arguments);
  void help_command(std::string_view arguments);
  void xclient_command(std::string_view arguments);
  void xforward_command(std::string_view arguments);
  void unknown_command(std::string_view arguments);
  // What follows a permit.
  void greet();
  void accept_recipient(std::string_view address);

  const ServerSettings* settings_;
  std::string_view client_name_ = "unknown";
  std::string_view client_address_ = "unknown";
  const Command* command_ = nullptr;  // being handled or last handled
  Need need_ = Need::input;
  Need after_pause_ = Need::input;
  Question question_;
  Transaction tx_;
  Output out_;
  SmallVector<char, 64> helo_;
  SmallVector<char, 64> argument_;  // question_.argument is a view of it
  SmallVector<char, 16> partial_;   // a command line whose end has not come yet
  uint32_t discarded_ = 0;          // bytes so far of a line that is over the limit
  uint32_t errors_ = 0;
  ErrorClasses error_classes_ = 0;
  ErrorClasses error_class_ = error_protocol;  // of the reply to come, if it is an error
  bool too_many_errors_ = false;
  uint32_t junk_commands_ = 0;
  // While policy is asked: what MAIL and RCPT say besides the address, and the text of it.
  MailOptions mail_options_;
  mail::RecipientDsn rcpt_dsn_;
  SmallVector<char, 16> parameter_;
  Chunk chunk_;
  uint64_t stored_bytes_ = 0;      // of the body that ended last
  uint64_t skip_ = 0;              // bytes still to come of a chunk that was refused
  SmallVector<char, 16> refusal_;  // the reply that waits for them
  ClientRights rights_;
  Onward onward_;
  std::unique_ptr<ClientAttributes> attributes_;  // XCLIENT's, while the owner is asked
  std::unique_ptr<ForwardedAttributes> forwarded_;
  bool ehlo_ = false;   // the greeting that policy is asked about is EHLO
  bool esmtp_ = false;  // an EHLO was accepted; a later HELO does not undo it, as in Postfix
  bool pipelined_ = false;
  bool more_behind_ = false;    // bytes came behind the command being handled
  bool access_denied_ = false;  // refused at connect: only QUIT is served
  bool end_of_data_ = false;    // the body of the last command, DATA, is over
  CommandCounts counts_;
};

}  // namespace mx::smtp
