// The commands of the server machine: one small function each, behind one table. Order of the
// checks, codes and texts are Postfix's.
#include <algorithm>
#include <optional>

#include "proto/base/text.h"
#include "proto/mail/address.h"
#include "proto/smtp/command.h"
#include "proto/smtp/server.h"

namespace mx::smtp {
namespace {

// What Postfix replaces in a HELO name before it shows the name anywhere.
constexpr std::string_view harmful_in_helo = " <>()\\\";@";
// What may follow VRFY's address (RFC 6531 3.7.4.2).
constexpr std::string_view utf8_word = "SMTPUTF8";

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
      {"HELP", &Server::help_command, &Counts::help, false, false},
      {"XCLIENT", &Server::xclient_command, &Counts::xclient, false, false},
      {"XFORWARD", &Server::xforward_command, &Counts::xforward, false, false},
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

bool Server::expect_no_transaction() {
  if (!tx_.started()) return true;
  respond("503 5.5.1 Error: MAIL transaction in progress", Result::failed);
  return false;
}

// A client that sends UTF-8 in an address has to say so (strict_smtputf8).
bool Server::expect_ascii(std::string_view address, bool declared) {
  const bool ascii =
      std::ranges::all_of(address, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (declared || ascii || !settings_->strict_smtputf8) return true;
  respond("553 5.6.7 Must declare SMTPUTF8 to send unicode address", Result::failed);
  return false;
}

bool Server::expect_helo() {
  if (!settings_->helo_required || !helo_.empty()) return true;
  error_class_ = error_policy;
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
  end_message();
  helo_ = std::move(argument_);
  if (!ehlo_) return respond({"250 ", settings_->hostname}, Result::accepted);
  esmtp_ = true;
  uint32_t last = 0;
  const auto line = [&](EhloKeywords keyword, std::initializer_list<std::string_view> parts) {
    if (discards(keyword)) return;
    last = out_.size();
    out_.append("250-");
    append_reply_line(out_, parts);
  };
  line(0, {settings_->hostname});
  line(ehlo_pipelining, {"PIPELINING"});
  const uint64_t limit = size_limit();
  const Decimal size(limit);
  line(ehlo_size, {"SIZE", limit == 0 ? "" : " ", limit == 0 ? "" : size.view()});
  if (!settings_->disable_vrfy) line(ehlo_vrfy, {"VRFY"});
  line(ehlo_etrn, {"ETRN"});
  if (rights_.xclient)
    line(ehlo_xclient, {"XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT"});
  if (rights_.xforward) line(ehlo_xforward, {"XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT"});
  line(ehlo_enhanced_status_codes, {"ENHANCEDSTATUSCODES"});
  line(ehlo_8bitmime, {"8BITMIME"});
  line(ehlo_dsn, {"DSN"});
  if (smtputf8()) line(0, {utf8_word});
  line(ehlo_chunking, {"CHUNKING"});
  out_[last + 3] = ' ';
  replied(Result::accepted, Need::input);
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
  if (tx_.chunks != Transaction::Chunks::none)
    return respond("503 5.5.1 Error: MAIL after BDAT", Result::failed);
  if (!take_keyword(arguments, "FROM:"))
    return respond("501 5.5.4 Syntax: MAIL FROM:<address>", Result::failed);
  const bool utf8 = smtputf8() && asks_smtputf8(arguments);
  const auto path = mail::parse_path(arguments, path_rules(), utf8);
  if (!path) return respond("501 5.1.7 Bad sender address syntax", Result::failed);
  mail_options_ = {};
  const ParameterRules rules = {.dsn = !discards(ehlo_dsn), .smtputf8 = smtputf8()};
  if (!accept_parameters(parse_mail_parameters(path->rest, rules, mail_options_))) return;
  const uint64_t limit = size_limit();
  if (limit > 0 && mail_options_.size > limit) {
    error_class_ = error_policy;
    return respond("552 5.3.4 Message size exceeds fixed limit", Result::failed);
  }
  if (!expect_ascii(path->address.text(), mail_options_.smtputf8)) return;
  parameter_.clear();
  parameter_.append(mail_options_.envelope_id);
  mail_options_.envelope_id = parameter_.text();
  ask(Stage::mail, path->address.text());
  question_.declared_size = mail_options_.size;
}

bool Server::accept_parameters(const ParameterFault& fault) {
  using Kind = ParameterFault::Kind;
  const auto reply = [&]() -> std::string_view {
    switch (fault.kind) {
      case Kind::none:
        return {};
      case Kind::bad_size:
        return "501 5.5.4 Bad message size syntax";
      case Kind::size_overflow:
        return "552 5.3.4 Message size exceeds file system imposed limit";
      case Kind::bad_ret:
        return "501 5.5.4 Bad RET parameter syntax";
      case Kind::bad_envid:
        return "501 5.5.4 Bad ENVID parameter syntax";
      case Kind::bad_notify:
        return "501 5.5.4 Error: Bad NOTIFY parameter syntax";
      case Kind::bad_orcpt:
        return "501 5.5.4 Error: Bad ORCPT parameter syntax";
      case Kind::second_auth:
        return "503 5.5.4 Error: multiple AUTH= options";
      case Kind::dsn_disabled:
        return "501 5.7.1 DSN support is disabled";
      case Kind::unsupported:
        return "555 5.5.4 Unsupported option: ";
    }
    MX_ASSERT(false);
  }();
  if (reply.empty()) return true;
  if (fault.kind == Kind::dsn_disabled || fault.kind == Kind::size_overflow)
    error_class_ = error_policy;
  respond({reply, fault.kind == Kind::unsupported ? fault.word : ""}, Result::failed);
  return false;
}

void Server::rcpt_command(std::string_view arguments) {
  if (!tx_.started()) return respond("503 5.5.1 Error: need MAIL command", Result::failed);
  if (tx_.chunks != Transaction::Chunks::none)
    return respond("503 5.5.1 Error: RCPT after BDAT", Result::failed);
  if (!take_keyword(arguments, "TO:"))
    return respond("501 5.5.4 Syntax: RCPT TO:<address>", Result::failed);
  const bool utf8 = tx_.options().smtputf8;
  const auto path = mail::parse_path(arguments, path_rules(), utf8);
  if (!path || path->address.null())
    return respond("501 5.1.3 Bad recipient address syntax", Result::failed);
  rcpt_dsn_ = {};
  const ParameterRules rules = {.dsn = !discards(ehlo_dsn)};
  if (!accept_parameters(parse_rcpt_parameters(path->rest, rules, rcpt_dsn_))) return;
  const uint32_t limit = std::min(settings_->recipient_limit, limits::recipients_max);
  if (tx_.recipient_count() >= limit) {
    // A large list is no error of the client's: it sends the rest in the next message (RFC
    // 5321 4.5.3.1.10).
    const bool tolerated = tx_.recipients_over_limit < settings_->recipient_overshoot_limit;
    ++tx_.recipients_over_limit;
    if (tolerated) error_classes_ |= error_policy;  // Postfix's class, though no error is counted
    error_class_ = error_policy;
    return respond("452 4.5.3 Error: too many recipients",
                   tolerated ? Result::accepted : Result::failed);
  }
  const std::string_view address = path->address.text();
  if (!expect_ascii(address, utf8)) return;
  parameter_.clear();
  parameter_.append(rcpt_dsn_.original);
  rcpt_dsn_.original = parameter_.text();
  if (is_postmaster(address)) return accept_recipient(address);
  ask(Stage::rcpt, address);
}

void Server::accept_recipient(std::string_view address) {
  tx_.add_recipient(address, rcpt_dsn_);
  respond("250 2.1.5 Ok", Result::accepted);
}

void Server::data_command(std::string_view arguments) {
  if (tx_.chunks != Transaction::Chunks::none)
    return respond("503 5.5.1 Error: DATA after BDAT", Result::failed);
  if (tx_.recipient_count() == 0) {
    if (!tx_.started()) return respond("503 5.5.1 Error: need RCPT command", Result::failed);
    error_class_ = 0;  // a client that pipelines can't know
    return respond("554 5.5.1 Error: no valid recipients", Result::failed);
  }
  if (!expect_no_arguments(arguments)) return;
  ask(Stage::data);
}

// Behind a command that is not understood the chunk would be taken for commands, so the session
// ends; behind any other refusal it is swallowed.
void Server::bdat_command(std::string_view arguments) {
  if (discards(ehlo_chunking))
    return respond("521 5.5.1 Error: command not implemented", Result::failed, Need::close);
  const std::optional<Chunk> chunk = parse_chunk(arguments);
  if (!chunk) return respond("521 5.5.4 Syntax: BDAT count [LAST]", Result::failed, Need::close);
  chunk_ = *chunk;
  if (chunk_.bytes == 0 && !chunk_.last) {
    error_classes_ |= error_protocol;
    return refuse_chunk({"551 5.7.1 Null BDAT request"});
  }
  if (tx_.chunks == Transaction::Chunks::refused)
    return refuse_chunk(
        {"551 5.0.0 Discarded ", Decimal(chunk_.bytes).view(), " bytes after earlier error"});
  if (tx_.chunks == Transaction::Chunks::received) return take_chunk();
  if (tx_.recipient_count() == 0) return refuse_without_recipients();
  ask(Stage::data);
}

void Server::refuse_without_recipients() {
  if (tx_.started()) return refuse_chunk({"554 5.5.1 Error: no valid recipients"});
  error_classes_ |= error_protocol;
  refuse_chunk({"503 5.5.1 Error: need RCPT command"});
}

void Server::take_chunk() {
  const uint64_t limit = size_limit();
  if (limit > 0 && (tx_.chunk_bytes > limit || chunk_.bytes > limit - tx_.chunk_bytes)) {
    error_classes_ |= error_policy;
    return refuse_chunk({"552 5.3.4 Chunk exceeds message size limit"});
  }
  tx_.chunk_bytes += chunk_.bytes;
  tx_.chunks = Transaction::Chunks::received;
  need_ = Need::body;
}

void Server::rset_command(std::string_view arguments) {
  if (!expect_no_arguments(arguments)) return;
  end_message();
  respond("250 2.0.0 Ok", Result::accepted);
}

void Server::noop_command(std::string_view) {
  respond("250 2.0.0 Ok", Result::accepted);
}

// The address is given back as it came.
void Server::vrfy_command(std::string_view arguments) {
  if (settings_->disable_vrfy) {
    error_class_ = error_policy;
    return respond("502 5.5.1 VRFY command is disabled", Result::failed);
  }
  const size_t last = arguments.find_last_of(" \t") + 1;
  const bool utf8 = smtputf8() && equals_ignoring_case(arguments.substr(last), utf8_word);
  if (utf8) arguments = trim(arguments.substr(0, last));
  if (arguments.empty())
    return respond({"501 5.5.4 Syntax: VRFY address", settings_->smtputf8 ? " [SMTPUTF8]" : ""},
                   Result::failed);
  const auto path = mail::parse_path(arguments, mail::PathRules::lenient, utf8);
  if (!path || path->address.null() || !path->rest.empty())
    return respond("501 5.1.3 Bad recipient address syntax", Result::failed);
  const std::string_view address = path->address.text();
  if (!expect_ascii(address, utf8)) return;
  if (is_postmaster(address)) return respond({"252 2.0.0 ", arguments}, Result::accepted);
  parameter_.clear();
  parameter_.append(arguments);
  ask(Stage::vrfy, address);
}

// RFC 1985. Its replies have no enhanced codes, as Postfix's have none.
void Server::etrn_command(std::string_view arguments) {
  if (settings_->helo_required && helo_.empty())
    return respond("503 Error: send HELO/EHLO first", Result::failed);
  if (tx_.started()) return respond("503 Error: MAIL transaction in progress", Result::failed);
  std::string_view domain = take_word(arguments, " \t");
  if (domain.empty() || !trim(arguments).empty())
    return respond("500 Syntax: ETRN domain", Result::failed);
  if (domain.starts_with('@') || domain.starts_with('#')) domain.remove_prefix(1);
  if (!mail::is_valid_hostname(domain) && !mail::is_address_literal(domain))
    return respond("501 Error: invalid parameter syntax", Result::failed);
  ask(Stage::etrn, domain);
}

void Server::help_command(std::string_view) {
  respond(
      "214 2.0.0 Commands: AUTH BDAT DATA EHLO ETRN HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS "
      "VRFY XCLIENT XFORWARD",
      Result::accepted);
}

void Server::quit_command(std::string_view) {
  respond("221 2.0.0 Bye", Result::accepted, Need::close);
}

bool Server::accept_attributes(const AttributeFault& fault) {
  switch (fault.kind) {
    case AttributeFault::Kind::none:
      return true;
    case AttributeFault::Kind::no_value:
      respond("501 5.5.4 Error: attribute=value expected", Result::failed);
      return false;
    case AttributeFault::Kind::too_long:
      respond("501 5.5.4 Error: attribute value too long", Result::failed);
      return false;
    case AttributeFault::Kind::bad_value:
      respond({"501 5.5.4 Bad ", fault.attribute.view(), " syntax: ", fault.value.view()},
              Result::failed);
      return false;
    case AttributeFault::Kind::bad_name:
      respond({"501 5.5.4 Bad ", command_->verb, " attribute name: ", fault.attribute.view()},
              Result::failed);
      return false;
  }
  MX_ASSERT(false);
}

// The session begins anew, with the client that XCLIENT names: banner, and greeting to come.
void Server::xclient_command(std::string_view arguments) {
  if (!expect_no_transaction()) return;
  if (arguments.empty())
    return respond("501 5.5.4 Syntax: XCLIENT attribute=value...", Result::failed);
  if (!rights_.xclient) {
    error_class_ = error_policy;
    return respond("550 5.7.0 Error: insufficient authorization", Result::failed);
  }
  auto attributes = std::make_unique<ClientAttributes>();
  if (!accept_attributes(parse_xclient(arguments, *attributes))) return;
  end_message();
  helo_ = {};
  if (attributes->has_helo) helo_.append(attributes->helo.view());
  esmtp_ = attributes->has_protocol && attributes->esmtp;
  ++(counts_.xclient)[0];
  if (more_behind_) {
    pipelined_ = true;
    if (settings_->forbid_unauth_pipelining)
      return respond("554 5.5.0 Error: SMTP protocol synchronization", Result::none, Need::close);
  }
  attributes_ = std::move(attributes);
  ask(Stage::connect);
  question_.client = attributes_.get();
}

void Server::xforward_command(std::string_view arguments) {
  if (!expect_no_transaction()) return;
  if (arguments.empty())
    return respond("501 5.5.4 Syntax: XFORWARD attribute=value...", Result::failed);
  if (!rights_.xforward) {
    error_class_ = error_policy;
    return respond("550 5.7.0 Error: insufficient authorization", Result::failed);
  }
  auto attributes = forwarded_ ? std::make_unique<ForwardedAttributes>(*forwarded_)
                               : std::make_unique<ForwardedAttributes>();
  if (!accept_attributes(parse_xforward(arguments, *attributes))) return;
  forwarded_ = std::move(attributes);
  respond("250 2.0.0 Ok", Result::accepted);
}

void Server::unknown_command(std::string_view) {
  respond("500 5.5.2 Error: command not recognized", Result::failed);
}

}  // namespace mx::smtp
