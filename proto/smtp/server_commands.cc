// The commands of the server machine: one small function each, behind one table. Order of the
// checks, codes and texts are Postfix's.
#include <algorithm>
#include <charconv>
#include <optional>

#include "proto/base/text.h"
#include "proto/mail/address.h"
#include "proto/smtp/command.h"
#include "proto/smtp/server.h"

namespace mx::smtp {
namespace {

// What Postfix replaces in a HELO name before it shows the name anywhere.
constexpr std::string_view harmful_in_helo = " <>()\\\";@";

bool is_postmaster(std::string_view address) {
  return equals_ignoring_case(address, "postmaster");
}

}  // namespace

const Command& Server::find_command(std::string_view verb) {
  using Counts = CommandCounts;
  // Junk: limited in number, since it does nothing for mail. Last: nothing may be pipelined behind
  // it.
  static constexpr Command commands[] = {
      // verb      handler                            counter            junk   last
      {"MAIL", &Server::mail_command, &Counts::mail, false, false},
      {"RCPT", &Server::rcpt_command, &Counts::rcpt, false, false},
      {"DATA", &Server::data_command, &Counts::data, false, true},
      {"EHLO", &Server::ehlo_command, &Counts::ehlo, true, true},
      {"HELO", &Server::helo_command, &Counts::helo, true, true},
      {"QUIT", &Server::quit_command, &Counts::quit, false, false},
      {"RSET", &Server::rset_command, &Counts::rset, true, false},
      {"NOOP", &Server::noop_command, &Counts::noop, true, true},
      {"VRFY", &Server::vrfy_command, &Counts::vrfy, true, true},
      {"STARTTLS", &Server::starttls_command, &Counts::starttls, false, false},
      {"AUTH", &Server::auth_command, &Counts::auth, false, false},
      {"BDAT", &Server::bdat_command, &Counts::bdat, false, false},
      {"ETRN", &Server::etrn_command, &Counts::etrn, true, false},
      {"XCLIENT", &Server::proxy_attributes_command, &Counts::xclient, false, false},
      {"XFORWARD", &Server::proxy_attributes_command, &Counts::xforward, false, false},
  };
  static constexpr Command unknown = {"UNKNOWN", &Server::unknown_command, &Counts::unknown};
  for (const Command& command : commands)
    if (equals_ignoring_case(verb, command.verb)) return command;
  return unknown;
}

bool Server::expect_no_arguments(std::string_view arguments) {
  if (arguments.empty()) return true;
  respond({"501 5.5.4 Syntax: ", command_->verb}, Result::failed);
  return false;
}

bool Server::expect_helo() {
  if (!settings_->helo_required || !helo_.empty()) return true;
  respond("503 5.5.1 Error: send HELO/EHLO first", Result::failed);
  return false;
}

void Server::helo_command(std::string_view arguments) {
  ehlo_ = false;
  ask_helo(arguments);
}

void Server::ehlo_command(std::string_view arguments) {
  ehlo_ = true;
  ask_helo(arguments);
}

void Server::ask_helo(std::string_view name) {
  if (name.empty()) return respond({"501 Syntax: ", command_->verb, " hostname"}, Result::failed);
  ask(Stage::helo, name);
  for (char& c : argument_)
    if (c < ' ' || c > '~' || harmful_in_helo.find(c) != std::string_view::npos) c = '?';
}

void Server::greet() {
  tx_ = {};
  helo_ = std::move(argument_);
  if (!ehlo_) return respond({"250 ", settings_->hostname}, Result::accepted);
  esmtp_ = true;
  append_reply_line(out_, {"250-", settings_->hostname});
  append_reply_line(out_, {"250-PIPELINING"});
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, settings_->message_size_limit).ptr;
  const std::string_view size{digits, static_cast<size_t>(end - digits)};
  if (settings_->message_size_limit == 0)
    append_reply_line(out_, {"250-SIZE"});
  else
    append_reply_line(out_, {"250-SIZE ", size});
  if (!settings_->disable_vrfy) append_reply_line(out_, {"250-VRFY"});
  append_reply_line(out_, {"250-ENHANCEDSTATUSCODES"});
  respond("250 8BITMIME", Result::accepted);
}

void Server::starttls_command(std::string_view arguments) {
  if (!expect_no_arguments(arguments)) return;
  respond("502 5.5.1 Error: command not implemented", Result::failed);
}

void Server::auth_command(std::string_view) {
  if (!expect_helo()) return;
  respond("503 5.5.1 Error: authentication not enabled", Result::failed);
}

void Server::mail_command(std::string_view arguments) {
  if (!expect_helo()) return;
  if (tx_.started()) return respond("503 5.5.1 Error: nested MAIL command", Result::failed);
  if (!take_keyword(arguments, "FROM:"))
    return respond("501 5.5.4 Syntax: MAIL FROM:<address>", Result::failed);
  const auto path = mail::parse_path(arguments, path_rules());
  if (!path) return respond("501 5.1.7 Bad sender address syntax", Result::failed);
  MailParameters parameters;
  if (!accept_parameters(parse_mail_parameters(path->rest, parameters))) return;
  const uint64_t limit = settings_->message_size_limit;
  if (limit > 0 && parameters.size > limit)
    return respond("552 5.3.4 Message size exceeds fixed limit", Result::failed);
  ask(Stage::mail, path->address.text());
  question_.declared_size = parameters.size;
  mail_eight_bit_ = parameters.eight_bit;
}

bool Server::accept_parameters(const ParameterFault& fault) {
  switch (fault.kind) {
    case ParameterFault::Kind::none:
      return true;
    case ParameterFault::Kind::bad_size:
      respond("501 5.5.4 Bad message size syntax", Result::failed);
      return false;
    case ParameterFault::Kind::size_overflow:
      respond("552 5.3.4 Message size exceeds file system imposed limit", Result::failed);
      return false;
    case ParameterFault::Kind::dsn_disabled:
      respond("501 5.7.1 DSN support is disabled", Result::failed);
      return false;
    case ParameterFault::Kind::unsupported:
      respond({"555 5.5.4 Unsupported option: ", fault.word}, Result::failed);
      return false;
  }
  return false;
}

void Server::rcpt_command(std::string_view arguments) {
  if (!tx_.started()) return respond("503 5.5.1 Error: need MAIL command", Result::failed);
  if (!take_keyword(arguments, "TO:"))
    return respond("501 5.5.4 Syntax: RCPT TO:<address>", Result::failed);
  const auto path = mail::parse_path(arguments, path_rules());
  if (!path || path->address.null())
    return respond("501 5.1.3 Bad recipient address syntax", Result::failed);
  if (!accept_parameters(parse_rcpt_parameters(path->rest))) return;
  const uint32_t limit = std::min(settings_->recipient_limit, limits::recipients_max);
  if (tx_.recipient_count() >= limit) {
    // A large list is no error of the client's: it sends the rest in the next message (RFC
    // 5321 4.5.3.1.10).
    const bool tolerated = tx_.recipients_over_limit < settings_->recipient_overshoot_limit;
    ++tx_.recipients_over_limit;
    return respond("452 4.5.3 Error: too many recipients",
                   tolerated ? Result::accepted : Result::failed);
  }
  const std::string_view address = path->address.text();
  if (is_postmaster(address)) return accept_recipient(address);
  ask(Stage::rcpt, address);
}

void Server::accept_recipient(std::string_view address) {
  tx_.add_recipient(address);
  respond("250 2.1.5 Ok", Result::accepted);
}

void Server::data_command(std::string_view arguments) {
  if (tx_.recipient_count() == 0)
    return tx_.started() ? respond("554 5.5.1 Error: no valid recipients", Result::failed)
                         : respond("503 5.5.1 Error: need RCPT command", Result::failed);
  if (!expect_no_arguments(arguments)) return;
  ask(Stage::data);
}

// CHUNKING is not offered. The chunk that follows could be taken for commands, so the session ends.
void Server::bdat_command(std::string_view) {
  respond("521 5.5.1 Error: command not implemented", Result::failed, Need::close);
}

void Server::rset_command(std::string_view arguments) {
  if (!expect_no_arguments(arguments)) return;
  tx_ = {};
  respond("250 2.0.0 Ok", Result::accepted);
}

void Server::noop_command(std::string_view) {
  respond("250 2.0.0 Ok", Result::accepted);
}

void Server::vrfy_command(std::string_view arguments) {
  if (settings_->disable_vrfy) return respond("502 5.5.1 VRFY command is disabled", Result::failed);
  if (arguments.empty()) return respond("501 5.5.4 Syntax: VRFY address", Result::failed);
  const auto path = mail::parse_path(arguments, mail::PathRules::lenient);
  if (!path || path->address.null() || !path->rest.empty())
    return respond("501 5.1.3 Bad recipient address syntax", Result::failed);
  const std::string_view address = path->address.text();
  if (is_postmaster(address)) return respond({"252 2.0.0 ", address}, Result::accepted);
  ask(Stage::vrfy, address);
}

void Server::etrn_command(std::string_view) {
  respond("502 5.5.1 Error: command not implemented", Result::failed);
}

void Server::quit_command(std::string_view) {
  respond("221 2.0.0 Bye", Result::accepted, Need::close);
}

// XCLIENT, XFORWARD: nobody is authorised to say who the client is.
void Server::proxy_attributes_command(std::string_view arguments) {
  if (arguments.empty())
    return respond({"501 5.5.4 Syntax: ", command_->verb, " attribute=value..."}, Result::failed);
  respond("550 5.7.0 Error: insufficient authorization", Result::failed);
}

void Server::unknown_command(std::string_view) {
  respond("500 5.5.2 Error: command not recognized", Result::failed);
}

}  // namespace mx::smtp
