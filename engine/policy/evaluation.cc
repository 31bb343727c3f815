#include "engine/policy/evaluation.h"

#include <algorithm>
#include <array>

#include "engine/policy/reply.h"
#include "engine/policy/restrictions.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::policy {

namespace {

std::string_view class_text(ObjectClass object_class) {
  switch (object_class) {
    case ObjectClass::client:
      return "Client host";
    case ObjectClass::reverse_client:
      return "Unverified Client host";
    case ObjectClass::certificate:
      return "Client certificate";
    case ObjectClass::helo:
      return "Helo command";
    case ObjectClass::sender:
      return "Sender address";
    case ObjectClass::recipient:
      return "Recipient address";
    case ObjectClass::data:
      return "Data command";
    case ObjectClass::end_of_data:
      return "End-of-data";
    case ObjectClass::etrn:
      return "Etrn command";
  }
  MX_ASSERT(false);
}

bool is_header(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == 0 || colon == std::string_view::npos) return false;
  return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon),
                     [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

Evaluation::Evaluation(const Policy& policy, const SessionFacts& session, smtp::Stage stage,
                       Address sender, Address recipient, uint32_t recipient_count)
    : policy_(policy),
      session_(session),
      stage_(stage),
      sender_(sender),
      recipient_(recipient),
      recipient_count_(recipient_count) {
  const Client& client = session.client;
  // A name has at most domain_bytes_max bytes; what is longer is nobody's name.
  if (!client_text_.append(client.name)) MX_ASSERT(client_text_.append("unknown"));
  MX_ASSERT(client_text_.append("[") && client_text_.append(client.address_text) &&
            client_text_.append("]"));
  effects_.discard = session.discarding;
  if (session.deferred != nullptr) defer_if_permit_ = *session.deferred;
}

// An operator writes x.1.y for a recipient and puts the table in front of senders or clients:
// Postfix's smtpd_dsn_fix gives the code that fits (RFC 3463 3.2).
smtp::EnhancedCode Evaluation::fit(smtp::EnhancedCode code, ObjectClass object_class) {
  if (code.subject != 1) return code;
  switch (object_class) {
    case ObjectClass::sender:
      if (code.detail == 1 || code.detail == 3 || code.detail == 4 || code.detail == 6 ||
          code.detail == 7)
        code.detail = 7;
      else if (code.detail == 2 || code.detail == 8)
        code.detail = 8;
      else
        code.detail = 0;
      return code;
    case ObjectClass::recipient:
      if (code.detail == 7) code.detail = 3;
      if (code.detail == 8) code.detail = 2;
      return code;
    case ObjectClass::client:
    case ObjectClass::reverse_client:
    case ObjectClass::certificate:
    case ObjectClass::helo:
    case ObjectClass::data:
    case ObjectClass::end_of_data:
    case ObjectClass::etrn:
      return {code.status, 0, 0};
  }
  MX_ASSERT(false);
}

Object Evaluation::object_of(ObjectClass object_class) const {
  switch (object_class) {
    case ObjectClass::client:
      return {object_class, client_text_.view()};
    case ObjectClass::reverse_client:
      return {object_class, session_.client.reverse_name};
    case ObjectClass::certificate:
      return {object_class, client_text_.view()};
    case ObjectClass::helo:
      return {object_class, session_.helo};
    case ObjectClass::sender:
      return {object_class, sender_.text};
    case ObjectClass::recipient:
      return {object_class, recipient_.text};
    case ObjectClass::data:
      return {object_class, "DATA"};
    case ObjectClass::end_of_data:
      return {object_class, "END-OF-MESSAGE"};
    case ObjectClass::etrn:
      return {object_class, session_.etrn_domain};
  }
  MX_ASSERT(false);
}

bool Evaluation::client_refused() {
  return run_stage(policy_.client, ObjectClass::client);
}

bool Evaluation::helo_refused() {
  return !session_.helo.empty() && run_stage(policy_.helo, ObjectClass::helo);
}

bool Evaluation::sender_refused() {
  if (!sender_.known) {  // VRFY before MAIL: what the client deferred is forgotten, as in Postfix
    defer_if_permit_.reset();
    return false;
  }
  if (run_stage(policy_.sender, ObjectClass::sender)) return true;
  return policy_.reject_unlisted_sender && !effects_.discard &&
         unlisted_sender({}, object_of(ObjectClass::sender)) == Result::reject;
}

bool Evaluation::recipient_refused() {
  const bool relay_first = policy_.relay_before_recipient;
  const Object object = object_of(ObjectClass::recipient);
  begin_stage();
  if (ends(run(relay_first ? policy_.relay : policy_.recipient, object)) ||
      ends(run(relay_first ? policy_.recipient : policy_.relay, object)))
    return true;
  // What could not be told earlier counts now, whatever was permitted since.
  if (defer_if_permit_) return refused(*defer_if_permit_) == Result::reject;
  if (effects_.discard) return false;
  return (policy_.reject_unlisted_recipient ? unlisted_recipient({}, object)
                                            : without_destination(object)) == Result::reject;
}

bool Evaluation::data_refused() {
  defer_if_permit_.reset();
  if (run_stage(policy_.data, ObjectClass::data)) return true;
  return defer_if_permit_ && refused(*defer_if_permit_) == Result::reject;
}

bool Evaluation::end_of_data_refused() {
  defer_if_permit_.reset();
  if (run_stage(policy_.end_of_data, ObjectClass::end_of_data)) return true;
  return defer_if_permit_ && refused(*defer_if_permit_) == Result::reject;
}

// RFC 1985: who is not served hears 459, without an enhanced code.
bool Evaluation::etrn_refused() {
  if (run_stage(policy_.etrn, ObjectClass::etrn)) return true;
  if (defer_if_permit_) return refused(*defer_if_permit_) == Result::reject;
  switch (policy_.fast_flush_domains.match_domain(session_.etrn_domain)) {
    case Match::yes:
      return false;
    case Match::no:
      verdict_ = refuse(459, {}, {"<", session_.etrn_domain, ">: service unavailable"});
      verdict_.enhanced = {};
      return true;
    case Match::tempfail:
      verdict_ = refuse(458, {}, {"Unable to queue messages"});
      verdict_.enhanced = {};
      return true;
  }
  MX_ASSERT(false);
}

void Evaluation::begin_stage() {
  depth_ = warn_depth_ = 0;
  defer_if_reject_.reset();
}

bool Evaluation::run_stage(const RestrictionList& list, ObjectClass list_class) {
  begin_stage();
  return ends(run(list, object_of(list_class)));
}

// Element by element; an OK ends this list only.
Evaluation::Result Evaluation::run(const RestrictionList& list, const Object& object) {
  if (++depth_ > limits::restriction_depth_max) {
    --depth_;
    return server_error();
  }
  Result result = Result::dunno;
  for (const Restriction& restriction : list) {
    if (effects_.discard) break;
    if (++steps_ > limits::restriction_steps_max) {
      result = server_error();
      break;
    }
    if (restriction.check == Check::warn_if_reject) {
      if (warn_depth_ == 0) warn_depth_ = depth_;
      continue;
    }
    result = apply(restriction, object);
    if (warn_depth_ >= depth_) warn_depth_ = 0;
    if (result != Result::dunno || (defer_if_permit_ && defer_if_reject_)) break;
  }
  --depth_;
  return result;
}

Evaluation::Result Evaluation::apply(const Restriction& restriction, const Object& object) {
  // In the order of Check.
  static constexpr Handler handlers[] = {
      &Evaluation::permit,
      &Evaluation::reject,
      &Evaluation::defer,
      &Evaluation::defer_if_permit,
      &Evaluation::defer_if_reject,
      &Evaluation::nothing,  // warn_if_reject
      &Evaluation::sleep,
      &Evaluation::restriction_class,
      &Evaluation::permit_mynetworks,
      &Evaluation::permit_inet_interfaces,
      &Evaluation::permit_auth_destination,
      &Evaluation::nothing,  // permit_sasl_authenticated: there is no authentication
      &Evaluation::permit_tls_clientcerts,
      &Evaluation::ccert_access,
      &Evaluation::list_access,
      &Evaluation::client_access,
      &Evaluation::reverse_client_access,
      &Evaluation::helo_access,
      &Evaluation::sender_access,
      &Evaluation::recipient_access,
      &Evaluation::etrn_access,
      &Evaluation::policy_service,
      &Evaluation::invalid_helo_hostname,
      &Evaluation::non_fqdn_helo_hostname,
      &Evaluation::non_fqdn_sender,
      &Evaluation::non_fqdn_recipient,
      &Evaluation::unauth_destination,
      &Evaluation::defer_unauth_destination,
      &Evaluation::unlisted_recipient,
      &Evaluation::unlisted_sender,
      &Evaluation::unauth_pipelining,
      &Evaluation::multi_recipient_bounce,
      &Evaluation::plaintext_session,
      &Evaluation::unknown_sender_domain,
      &Evaluation::unknown_recipient_domain,
      &Evaluation::unknown_reverse_client_hostname,
      &Evaluation::unknown_client_hostname,
  };
  static_assert(std::size(handlers) == static_cast<size_t>(Check::unknown_client_hostname) + 1);
  return (this->*handlers[static_cast<size_t>(restriction.check)])(restriction, object);
}

// `server_error`: our own fault, which warn_if_reject does not hide.
Evaluation::Result Evaluation::refused(smtp::Verdict verdict, bool server_error) {
  if (warn_depth_ != 0 && !server_error) {
    std::string text = std::to_string(verdict.code) + " " +
                       std::to_string(verdict.enhanced.status) + "." +
                       std::to_string(verdict.enhanced.subject) + "." +
                       std::to_string(verdict.enhanced.detail) + " ";
    effects_.notes.push_back({"reject_warning", text += verdict.text.view()});
    return Result::dunno;
  }
  if (server_error)
    verdict.error_class = verdict.enhanced.detail == 0 ? smtp::error_data : smtp::error_software;
  if (defer_if_reject_ && verdict.code >= 500) verdict = *defer_if_reject_;
  verdict_ = verdict;
  return Result::reject;
}

Evaluation::Result Evaluation::refuse_object(uint16_t code, smtp::EnhancedCode enhanced,
                                             const Object& object, std::string_view text) {
  return refused(refuse_text(code, enhanced, object, text));
}

smtp::Verdict Evaluation::refuse_text(uint16_t code, smtp::EnhancedCode enhanced,
                                      const Object& object, std::string_view text) {
  return refuse(code, enhanced,
                {"<", object.name, ">: ", class_text(object.object_class), " rejected: ", text});
}

// The first one counts.
Evaluation::Result Evaluation::defer_if_permitted(smtp::Verdict verdict) {
  if (warn_depth_ != 0) return refused(std::move(verdict));
  if (!defer_if_permit_) defer_if_permit_ = verdict;
  return Result::dunno;
}

Evaluation::Result Evaluation::server_error() {
  return refused(refuse(451, {4, 3, 5}, {"Server configuration error"}), true);
}

Evaluation::Result Evaluation::lookup_failure(std::string_view object) {
  return refused(refuse(451, {4, 3, 0}, {"<", object, ">: Temporary lookup failure"}), true);
}

void Evaluation::note(std::string_view kind, const Object& object, std::string_view text) {
  std::string line = "<";
  line.append(object.name).append(">: ").append(class_text(object.object_class)).append(" ");
  effects_.notes.push_back({kind, line.append(text)});
}

// The first key that the table knows decides.
Evaluation::Result Evaluation::access(const Restriction& restriction,
                                      std::span<const maps::Key> keys, const Object& object) {
  maps::ValueText made;
  const maps::AnyTable::First first = restriction.table->find_first(keys, made);
  switch (first.lookup.outcome) {
    case maps::Outcome::miss:
      return Result::dunno;
    case maps::Outcome::tempfail:
      return refused(refuse_text(451, {4, 3, 5}, object, "Server configuration error"), true);
    case maps::Outcome::hit:
      return act(first.lookup.value, object);
  }
  MX_ASSERT(false);
}

Evaluation::Result Evaluation::address_access(const Restriction& restriction,
                                              std::string_view address, const Object& object) {
  const ResolvedAddress resolved = resolve(policy_, address);
  if (resolved.tempfail) return lookup_failure(address);
  maps::KeyList keys;
  // Postfix asks for a local part in the form that it has on the wire.
  maps::KeyText quoted;
  if (maps::quote_local(quoted, resolved.local()) && quoted.view() != resolved.local())
    maps::access_address_keys(keys, quoted.view(), resolved.domain(), policy_.access_style,
                              policy_.delimiter);
  maps::access_address_keys(keys, resolved.local(), resolved.domain(), policy_.access_style,
                            policy_.delimiter);
  return access(restriction, keys.keys(), object);
}

Evaluation::Result Evaluation::act(std::string_view value, const Object& object) {
  const AccessAction action = parse_access_action(value);
  const smtp::EnhancedCode enhanced = fit(action.enhanced, object.object_class);
  const auto text = [&](std::string_view fallback) {
    return action.text.empty() ? fallback : action.text;
  };
  const auto verdict = [&](uint16_t code, std::string_view fallback) {
    return refuse_text(code, enhanced, object, text(fallback));
  };
  switch (action.kind) {
    case AccessAction::Kind::ok:
    case AccessAction::Kind::empty:
      return Result::ok;
    case AccessAction::Kind::dunno:
      return Result::dunno;
    case AccessAction::Kind::refuse:
      return refused(verdict(action.code, "Access denied"));
    case AccessAction::Kind::reject:
      return refused(verdict(policy_.codes.access_map_reject, "Access denied"));
    case AccessAction::Kind::defer:
      return refused(verdict(policy_.codes.access_map_defer, "Access denied"));
    case AccessAction::Kind::defer_if_permit:
      return defer_if_permitted(verdict(policy_.codes.access_map_defer, "Service unavailable"));
    case AccessAction::Kind::defer_if_reject:
      if (!defer_if_reject_)
        defer_if_reject_ = verdict(policy_.codes.access_map_defer, "Service unavailable");
      return Result::dunno;
    case AccessAction::Kind::info:
      note("info", object, text(""));
      return Result::dunno;
    case AccessAction::Kind::warn:
      note("warn", object, text(""));
      return Result::dunno;
    case AccessAction::Kind::discard:
    case AccessAction::Kind::hold:
    case AccessAction::Kind::redirect:
    case AccessAction::Kind::bcc:
    case AccessAction::Kind::prepend:
      return act_on_message(action, object);
    // Mail is neither accepted without the filter that was asked for nor delivered at once.
    case AccessAction::Kind::filter:
      effects_.notes.push_back({"warn", "FILTER in an access table is not supported"});
      return server_error();
    case AccessAction::Kind::restrictions:
      return evaluate_names(action.text, object);
  }
  MX_ASSERT(false);
}

// A message can be acted on only where one is being made.
bool Evaluation::has_message() const {
  return stage_ == smtp::Stage::mail || stage_ == smtp::Stage::rcpt ||
         stage_ == smtp::Stage::data || stage_ == smtp::Stage::end_of_data;
}

Evaluation::Result Evaluation::act_on_message(const AccessAction& action, const Object& object) {
  if (!has_message()) {
    note("warn", object, "has an action on a message where there is none");
    return Result::dunno;
  }
  const auto triggers = [&](std::string_view kind, std::string_view fallback) {
    note(kind, object, action.text.empty() ? fallback : action.text);
  };
  if (action.kind == AccessAction::Kind::discard) {
    triggers("discard", "triggers DISCARD action");
    effects_.discard = true;
    return Result::ok;
  }
  if (action.kind == AccessAction::Kind::hold) {
    triggers("hold", "triggers HOLD action");
    effects_.hold = true;
    return Result::dunno;
  }
  if (action.kind == AccessAction::Kind::prepend) {
    const bool fits =
        effects_.prepend.size() + action.text.size() + 2 <= limits::prepended_bytes_max;
    const bool one_line = action.text.find_first_of("\r\n") == std::string_view::npos;
    if (stage_ == smtp::Stage::end_of_data || !is_header(action.text) || !one_line || !fits)
      note("warn", object, "has a PREPEND that is no header or comes too late");
    else
      effects_.prepend.append(action.text).append("\r\n");
    return Result::dunno;
  }
  if (action.text.find('@') == std::string_view::npos) {
    note("warn", object, "has a REDIRECT or BCC without a complete address");
    return Result::dunno;
  }
  if (action.kind == AccessAction::Kind::redirect) {
    triggers("redirect", "");
    effects_.redirect = action.text;
  } else if (effects_.bcc.size() < limits::bcc_addresses_max) {
    triggers("bcc", "");
    effects_.bcc.emplace_back(action.text);
  }
  return Result::dunno;
}

// Names of restrictions as the result of a table. None of them can have a table.
Evaluation::Result Evaluation::evaluate_names(std::string_view names, const Object& object) {
  constexpr std::string_view separators = ", \t\r\n";
  const auto unknown = [&](std::string_view name) {
    effects_.notes.push_back(
        {"warn", "unknown smtpd restriction in an access table: \"" + printable(name, 200) + "\""});
    return server_error();
  };
  RestrictionList list;
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find_first_of(separators));
    names.remove_prefix(std::min(name.size() + 1, names.size()));
    if (name.empty()) continue;
    const KnownRestriction* const known = find_restriction(name);
    Restriction restriction;
    if (known != nullptr) {
      if (!known->acts || known->argument != Argument::none) return unknown(name);
      restriction.check = *known->acts;
    } else {
      const auto& classes = policy_.classes;
      const auto found = std::find_if(classes.begin(), classes.end(),
                                      [&](const auto& one) { return one.name == name; });
      if (found == classes.end()) return unknown(name);
      restriction.check = Check::restriction_class;
      restriction.number = static_cast<uint32_t>(found - classes.begin());
    }
    list.push_back(restriction);
  }
  return run(list, object);
}

}  // namespace mx::policy
