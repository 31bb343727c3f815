// proto/smtp/command.h - the command line of the server machine: its verb, the table of commands,
// and the parameters of MAIL and RCPT.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/smtp/server.h"

namespace mx::smtp {

// One row of the command table (server_commands.cc).
struct Command {
  std::string_view verb;  // upper case; "UNKNOWN" for what is not in the table
  void (Server::*handle)(std::string_view arguments);
  uint32_t (CommandCounts::*count)[2];
  bool junk = false;           // limited by junk_command_limit
  bool last_in_group = false;  // nothing may be pipelined behind it
};

// Takes the verb, up to white space, off the front of a line and the white space behind it.
std::string_view take_verb(std::string_view& line);

// What a browser, a proxy or mail content says: GET, POST, CONNECT, "Name:", or no letter in front
// (smtpd_forbidden_commands). Asked only for a verb that is not in the table.
bool is_not_smtp(std::string_view verb);

// Takes "FROM:" or "TO:" (any case) off the front of MAIL's or RCPT's arguments, and the blanks
// behind it. False when it is not there or nothing follows.
bool take_keyword(std::string_view& arguments, std::string_view keyword);

struct MailParameters {
  uint64_t size = 0;  // SIZE=
  bool eight_bit = false;
};
struct ParameterFault {
  enum class Kind : uint8_t { none, bad_size, size_overflow, dsn_disabled, unsupported };
  Kind kind = Kind::none;
  std::string_view word;  // the parameter as it was given
};
// SIZE= and BODY=; AUTH= is accepted and ignored: without authentication it means AUTH=<> whatever
// it says (RFC 4954 5). The last of several counts.
ParameterFault parse_mail_parameters(std::string_view text, MailParameters& parameters);
// RCPT has none yet.
ParameterFault parse_rcpt_parameters(std::string_view text);

}  // namespace mx::smtp
