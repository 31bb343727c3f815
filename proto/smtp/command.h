// proto/smtp/command.h - the command line of the server machine: its verb, the table of commands,
// and the parameters of MAIL and RCPT.
#pragma once

#include <cstdint>
#include <optional>
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

// Mail content: "Name:" (RFC 5322 2.2). Asked only for a verb that is not in the table.
bool is_header_name(std::string_view verb);

// Takes "FROM:" or "TO:" (any case) off the front of MAIL's or RCPT's arguments, and the blanks
// behind it. False when it is not there or nothing follows.
bool take_keyword(std::string_view& arguments, std::string_view keyword);

struct ParameterFault {
  enum class Kind : uint8_t {
    none,
    bad_size,
    size_overflow,
    bad_ret,
    bad_envid,
    bad_notify,
    bad_orcpt,
    second_auth,
    dsn_disabled,
    unsupported
  };
  Kind kind = Kind::none;
  std::string_view word;  // the parameter as it was given
};
// Which extensions with parameters are in force.
struct ParameterRules {
  bool dsn = true, smtputf8 = false;
};
// SMTPUTF8 is among MAIL's parameters: needed before the address is read.
bool asks_smtputf8(std::string_view text);
// SIZE=, BODY= (the last of several counts), RET=, ENVID=, SMTPUTF8. AUTH= is accepted and
// ignored, though not twice: without authentication it means AUTH=<> whatever it says (RFC 4954 5).
// Views in `options` are of `text`.
ParameterFault parse_mail_parameters(std::string_view text, const ParameterRules& rules,
                                     MailOptions& options);
// NOTIFY= and ORCPT=.
ParameterFault parse_rcpt_parameters(std::string_view text, const ParameterRules& rules,
                                     mail::RecipientDsn& dsn);
// "BDAT 1024 LAST" behind the verb.
std::optional<Chunk> parse_chunk(std::string_view arguments);

}  // namespace mx::smtp
