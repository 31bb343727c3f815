// The restrictions, one function each. Codes and texts are those of Postfix's smtpd_check.c.
#include <algorithm>
#include <string>

#include "engine/policy/evaluation.h"
#include "engine/policy/expand.h"
#include "engine/policy/hostname.h"
#include "engine/policy/reply.h"
#include "engine/policy/route.h"
#include "proto/base/assert.h"
#include "proto/base/text.h"

namespace mx::policy {

namespace {

constexpr std::string_view virtual_alias_table = " in virtual alias table";
constexpr std::string_view improper_pipelining = "Improper use of SMTP command pipelining";

std::string_view domain_of(std::string_view address) {
  const size_t at = address.rfind('@');
  return at == std::string_view::npos ? std::string_view{} : address.substr(at + 1);
}

bool is_literal(std::string_view text) {
  return text.starts_with('[') && text.ends_with(']');
}

std::string_view without_final_dot(std::string_view name) {
  if (name.ends_with('.') && !name.ends_with("..")) name.remove_suffix(1);
  return name;
}

// Postmaster, the daemon and the bounce address exist wherever mail is local.
bool exists_everywhere(std::string_view local, std::string_view double_bounce) {
  return equals_ignoring_case(local, "postmaster") ||
         equals_ignoring_case(local, "mailer-daemon") || equals_ignoring_case(local, double_bounce);
}

}  // namespace

Evaluation::Result Evaluation::nothing(const Restriction&, const Object&) {
  return Result::dunno;
}

Evaluation::Result Evaluation::permit(const Restriction&, const Object&) {
  return Result::ok;
}

Evaluation::Result Evaluation::reject(const Restriction&, const Object& object) {
  return refuse_object(policy_.codes.reject, {5, 7, 1}, object, "Access denied");
}

Evaluation::Result Evaluation::defer(const Restriction&, const Object& object) {
  return refuse_object(policy_.codes.defer, {4, 3, 2}, object, "Try again later");
}

Evaluation::Result Evaluation::defer_if_permit(const Restriction&, const Object& object) {
  return defer_if_permitted(refuse_text(450, {4, 7, 0}, object, "defer_if_permit requested"));
}

Evaluation::Result Evaluation::defer_if_reject(const Restriction&, const Object& object) {
  if (!defer_if_reject_)
    defer_if_reject_ = refuse_text(450, {4, 7, 0}, object, "defer_if_reject requested");
  return Result::dunno;
}

Evaluation::Result Evaluation::sleep(const Restriction& restriction, const Object&) {
  effects_.sleep = effects_.sleep + seconds(restriction.number);
  return Result::dunno;
}

Evaluation::Result Evaluation::restriction_class(const Restriction& restriction,
                                                 const Object& object) {
  return run(policy_.classes[restriction.number].list, object);
}

Evaluation::Result Evaluation::permit_mynetworks(const Restriction&, const Object&) {
  const Client& client = session_.client;
  switch (policy_.mynetworks.match_client(client.name, client.address_text, client.address)) {
    case Match::yes:
      return Result::ok;
    case Match::no:
      return Result::dunno;
    case Match::tempfail:
      return lookup_failure(client_text_.view());
  }
  MX_ASSERT(false);
}

Evaluation::Result Evaluation::permit_inet_interfaces(const Restriction&, const Object&) {
  const auto& own = policy_.own_addresses;
  return std::find(own.begin(), own.end(), session_.client.address) != own.end() ? Result::ok
                                                                                 : Result::dunno;
}

// Ours to deliver or to relay, and no routing through us to somewhere else: dunno, or with
// `positive` OK.
Evaluation::Result Evaluation::ours_or(uint16_t code, bool positive) {
  if (!recipient_.known) return Result::dunno;
  const ResolvedAddress address = resolve(policy_, recipient_.text);
  if (address.tempfail) return lookup_failure(recipient_.text);
  const bool ours = address.address_class != AddressClass::other &&
                    (!address.routed || policy_.allow_untrusted_routing);
  if (positive) return ours ? Result::ok : Result::dunno;
  if (ours) return Result::dunno;
  return refused(refuse(code, {5, 7, 1}, {"<", recipient_.text, ">: Relay access denied"}));
}

Evaluation::Result Evaluation::permit_auth_destination(const Restriction&, const Object&) {
  return ours_or(0, true);
}

Evaluation::Result Evaluation::unauth_destination(const Restriction&, const Object&) {
  return ours_or(policy_.codes.relay_domains, false);
}

// 454 unless relay_domains_reject_code is changed.
Evaluation::Result Evaluation::defer_unauth_destination(const Restriction&, const Object&) {
  return ours_or(static_cast<uint16_t>(policy_.codes.relay_domains - 100), false);
}

Evaluation::Result Evaluation::permit_tls_clientcerts(const Restriction&, const Object&) {
  const Certificate& certificate = session_.certificate;
  if (certificate.fingerprint.empty() && certificate.public_key_fingerprint.empty())
    return Result::dunno;
  maps::KeyList keys;
  maps::fingerprint_keys(keys, certificate.public_key_fingerprint, certificate.fingerprint);
  switch (find(policy_.relay_clientcerts, keys.keys())) {
    case maps::Outcome::hit:
      return Result::ok;
    case maps::Outcome::miss:
      return Result::dunno;
    case maps::Outcome::tempfail:  // Postfix permits nothing here either, but goes on silently
      return lookup_failure(client_text_.view());
  }
  MX_ASSERT(false);
}

Evaluation::Result Evaluation::ccert_access(const Restriction& restriction, const Object&) {
  const Certificate& certificate = session_.certificate;
  maps::KeyList keys;
  maps::fingerprint_keys(keys, certificate.fingerprint, certificate.public_key_fingerprint);
  if (keys.keys().empty()) return Result::dunno;
  return access(restriction, keys.keys(), object_of(ObjectClass::certificate));
}

// A table without a name before it, in a class: the list that the class stands in decides.
Evaluation::Result Evaluation::list_access(const Restriction& restriction, const Object& object) {
  switch (object.object_class) {
    case ObjectClass::client:
      return client_access(restriction, object);
    case ObjectClass::helo:
      return helo_access(restriction, object);
    case ObjectClass::sender:
      return sender_access(restriction, object);
    case ObjectClass::recipient:
      return recipient_access(restriction, object);
    case ObjectClass::etrn:
      return etrn_access(restriction, object);
    case ObjectClass::reverse_client:
    case ObjectClass::certificate:
    case ObjectClass::data:
    case ObjectClass::end_of_data:
      return server_error();
  }
  MX_ASSERT(false);
}

Evaluation::Result Evaluation::client_access(const Restriction& restriction, const Object&) {
  const Client& client = session_.client;
  maps::KeyList keys;
  maps::client_keys(keys, client.name, client.address_text, policy_.access_style);
  return access(restriction, keys.keys(), object_of(ObjectClass::client));
}

// The name is what the client's own DNS says, so it can forbid, never permit.
Evaluation::Result Evaluation::reverse_client_access(const Restriction& restriction,
                                                     const Object&) {
  const Client& client = session_.client;
  maps::KeyList keys;
  maps::client_keys(keys, client.reverse_name, client.address_text, policy_.access_style);
  const Result result = access(restriction, keys.keys(), object_of(ObjectClass::reverse_client));
  return result == Result::ok ? server_error() : result;
}

Evaluation::Result Evaluation::helo_access(const Restriction& restriction, const Object&) {
  if (session_.helo.empty()) return Result::dunno;
  maps::KeyList keys;
  maps::access_name_keys(keys, session_.helo, policy_.access_style);
  return access(restriction, keys.keys(), object_of(ObjectClass::helo));
}

Evaluation::Result Evaluation::etrn_access(const Restriction& restriction, const Object&) {
  if (session_.etrn_domain.empty()) return Result::dunno;
  maps::KeyList keys;
  maps::access_name_keys(keys, session_.etrn_domain, policy_.access_style);
  return access(restriction, keys.keys(), object_of(ObjectClass::etrn));
}

Evaluation::Result Evaluation::sender_access(const Restriction& restriction, const Object&) {
  if (!sender_.known) return Result::dunno;
  const Object object = object_of(ObjectClass::sender);
  if (!sender_.text.empty()) return address_access(restriction, sender_.text, object);
  maps::KeyList keys;
  maps::null_sender_keys(keys, policy_.null_access_lookup_key);
  return access(restriction, keys.keys(), object);
}

Evaluation::Result Evaluation::recipient_access(const Restriction& restriction, const Object&) {
  if (!recipient_.usable()) return Result::dunno;
  return address_access(restriction, recipient_.text, object_of(ObjectClass::recipient));
}

Evaluation::Result Evaluation::policy_service(const Restriction& restriction,
                                              const Object& object) {
  for (const PolicyReply& reply : session_.facts.replies)
    if (reply.service == restriction.number && reply.recipient == recipient_.text)
      return act(reply.action, object);
  needed_ = {Needed::Kind::policy_reply, std::string(recipient_.text), restriction.number};
  return Result::needs_facts;
}

Evaluation::Result Evaluation::bad_address_literal(const Object& object) {
  std::string_view literal = object.name;
  if (is_literal(literal) && literal.size() > 2) literal = literal.substr(1, literal.size() - 2);
  const bool v6 = starts_with_ignoring_case(literal, "ipv6:");
  if (v6) literal.remove_prefix(5);
  const auto address = parse_ip_address(literal);
  if (address && address->v6 == v6) return Result::dunno;
  return refuse_object(policy_.codes.invalid_hostname, {5, 5, 2}, object, "invalid ip address");
}

Evaluation::Result Evaluation::invalid_helo_hostname(const Restriction&, const Object&) {
  if (session_.helo.empty()) return Result::dunno;
  const Object object = object_of(ObjectClass::helo);
  if (object.name.starts_with('[')) return bad_address_literal(object);
  const std::string_view name = without_final_dot(object.name);
  if (valid_hostname(name) || parse_ip_address(name)) return Result::dunno;
  return refuse_object(policy_.codes.invalid_hostname, {5, 5, 2}, object, "Invalid name");
}

Evaluation::Result Evaluation::non_fqdn_helo_hostname(const Restriction&, const Object&) {
  if (session_.helo.empty()) return Result::dunno;
  const Object object = object_of(ObjectClass::helo);
  if (object.name.starts_with('[')) return bad_address_literal(object);
  const std::string_view name = without_final_dot(object.name);
  if (valid_hostname(name) && name.find('.') != std::string_view::npos) return Result::dunno;
  return refuse_object(policy_.codes.non_fqdn, {5, 5, 2}, object, "need fully-qualified hostname");
}

Evaluation::Result Evaluation::non_fqdn_address(const Object& object) {
  const std::string_view domain = domain_of(object.name);
  if (is_literal(domain)) return Result::dunno;
  const std::string_view name = without_final_dot(domain);
  if (valid_hostname(name) && name.find('.') != std::string_view::npos) return Result::dunno;
  return refuse_object(policy_.codes.non_fqdn, {5, 5, 2}, object, "need fully-qualified address");
}

Evaluation::Result Evaluation::non_fqdn_sender(const Restriction&, const Object&) {
  return sender_.usable() ? non_fqdn_address(object_of(ObjectClass::sender)) : Result::dunno;
}

Evaluation::Result Evaluation::non_fqdn_recipient(const Restriction&, const Object&) {
  return recipient_.usable() ? non_fqdn_address(object_of(ObjectClass::recipient)) : Result::dunno;
}

Evaluation::Result Evaluation::unauth_pipelining(const Restriction&, const Object& object) {
  if (!session_.pipelining_abuse) return Result::dunno;
  smtp::Verdict verdict = refuse_text(503, {5, 5, 0}, object, improper_pipelining);
  verdict.error_class = smtp::error_protocol;
  return refused(verdict);
}

// At RCPT the one at hand comes on top of those that were accepted.
Evaluation::Result Evaluation::multi_recipient_bounce(const Restriction&, const Object& object) {
  const bool complete = stage_ == smtp::Stage::data || stage_ == smtp::Stage::end_of_data;
  if (!sender_.known || !sender_.text.empty() || recipient_count_ <= (complete ? 1U : 0U))
    return Result::dunno;
  return refuse_object(policy_.codes.multi_recipient_bounce, {5, 5, 3}, object,
                       "Multi-recipient bounce");
}

Evaluation::Result Evaluation::plaintext_session(const Restriction&, const Object&) {
  if (session_.encrypted) return Result::dunno;
  return refused(refuse(policy_.codes.plaintext, {4, 7, 1}, {"Session encryption is required"}));
}

// Postfix asks all tables for one key before it goes on to the next key.
maps::Outcome Evaluation::find(const Tables& tables, std::span<const maps::Key> keys) const {
  maps::Outcome outcome = maps::Outcome::miss;
  maps::ValueText made;
  for (const TablePointer& table : tables) {
    const maps::AnyTable::First first = table->find_first(keys, made);
    if (first.lookup.outcome == maps::Outcome::miss) continue;
    outcome = first.lookup.outcome;
    keys = keys.first(first.index);  // only an earlier key can change that
  }
  return outcome;
}

maps::Outcome Evaluation::find_address(const Tables& tables, const ResolvedAddress& address) const {
  if (tables.empty()) return maps::Outcome::miss;
  const bool local = address.address_class == AddressClass::local ||
                     equals_ignoring_case(address.domain(), policy_.myorigin);
  maps::KeyList keys;
  maps::address_keys(keys, address.local(), address.domain(), local, policy_.delimiter);
  return find(tables, keys.keys());
}

Evaluation::Result Evaluation::user_unknown(uint16_t code, const Object& object,
                                            std::string_view table) {
  const bool sender = object.object_class == ObjectClass::sender;
  // Postfix's code for a sender in a virtual alias domain is another one.
  const uint16_t detail = !sender ? 1 : table == virtual_alias_table ? 7 : 0;
  smtp::Verdict verdict = refuse(
      code, {5, 1, detail},
      {"<", object.name, ">: ", sender ? "Sender" : "Recipient", " address rejected: User unknown",
       policy_.show_user_unknown_table_name ? table : ""});
  verdict.error_class = smtp::error_bounce;
  return refused(verdict);
}

// An alias that can't be followed to its end is no place to accept mail for.
Evaluation::Result Evaluation::expandable(const Object& object) {
  if (object.object_class == ObjectClass::sender) return Result::dunno;
  Expansion expansion;
  const Expansion::Result result = expansion.expand(policy_, object.name);
  if (result == Expansion::Result::ok && expansion.deliverable()) return Result::dunno;
  effects_.notes.push_back({"warn", expansion.warnings().empty() ? "an alias table failed"
                                                                 : expansion.warnings().front()});
  return refused(refuse(451, {4, 3, 0}, {"<", object.name, ">: Temporary lookup failure"}), true);
}

// transport_maps may say `error:text`.
Evaluation::Result Evaluation::routable(const Object& object) {
  if (policy_.transport_maps.empty()) return Result::dunno;
  const Route way = route(policy_, object.name);
  const bool retry = way.kind == Route::Kind::retry;
  if (!way.from_table || (!retry && way.kind != Route::Kind::error)) return Result::dunno;
  smtp::EnhancedCode code = way.enhanced;
  if (code.subject == 0 && code.detail == 0)  // the table says none
    code = {code.status, 1, static_cast<uint16_t>(object.object_class != ObjectClass::sender)};
  return refused(
      refuse_text(retry ? 450 : 550, fit(code, object.object_class), object, way.text.view()));
}

// A local address exists when local_recipient_maps (if any) lists it and an alias says where its
// mail goes: there are no mailboxes.
Evaluation::Result Evaluation::listed_locally(const ResolvedAddress& address,
                                              const Object& object) {
  constexpr std::string_view table = " in local recipient table";
  if (exists_everywhere(address.local(), policy_.delimiter.double_bounce_sender))
    return Result::dunno;
  maps::Outcome listed = maps::Outcome::hit;
  if (policy_.local_recipient_maps) listed = find_address(*policy_.local_recipient_maps, address);
  if (listed == maps::Outcome::hit) {
    maps::KeyList keys;
    maps::alias_keys(keys, address.local(), policy_.delimiter);
    listed = find(policy_.alias_maps, keys.keys());
  }
  if (listed == maps::Outcome::tempfail) return lookup_failure(object.name);
  if (listed == maps::Outcome::hit) return expandable(object);
  return user_unknown(policy_.codes.unknown_local_recipient, object, table);
}

// Whether an address of ours exists. Foreign ones all do.
Evaluation::Result Evaluation::unlisted(const Object& object) {
  const ResolvedAddress address = resolve(policy_, object.name);
  if (address.tempfail) return lookup_failure(object.name);
  switch (find_address(policy_.virtual_alias_maps, address)) {
    case maps::Outcome::hit:
      return expandable(object);
    case maps::Outcome::tempfail:
      return lookup_failure(object.name);
    case maps::Outcome::miss:
      break;
  }
  if (const Result result = routable(object); result != Result::dunno) return result;
  switch (address.address_class) {
    case AddressClass::other:
      return Result::dunno;
    case AddressClass::local:
      return listed_locally(address, object);
    case AddressClass::virtual_alias:  // only what virtual_alias_maps knows exists
      return user_unknown(policy_.codes.unknown_virtual_alias, object, virtual_alias_table);
    case AddressClass::relay:
      if (!policy_.relay_recipient_maps) return Result::dunno;
      switch (find_address(*policy_.relay_recipient_maps, address)) {
        case maps::Outcome::hit:
          return Result::dunno;
        case maps::Outcome::miss:
          return user_unknown(policy_.codes.unknown_relay_recipient, object,
                              " in relay recipient table");
        case maps::Outcome::tempfail:
          return lookup_failure(object.name);
      }
  }
  MX_ASSERT(false);
}

Evaluation::Result Evaluation::unlisted_recipient(const Restriction&, const Object&) {
  if (!recipient_.usable() || recipient_checked_) return Result::dunno;
  // Accepted at RCPT without being looked up (RFC 5321 4.5.1), so it is here too.
  if (equals_ignoring_case(recipient_.text, "postmaster")) return Result::dunno;
  recipient_checked_ = warn_depth_ == 0;
  return unlisted(object_of(ObjectClass::recipient));
}

// Mail for an alias that nobody knows could not even be bounced.
Evaluation::Result Evaluation::without_destination(const Object& object) {
  const ResolvedAddress address = resolve(policy_, object.name);
  const bool is_alias = address.address_class == AddressClass::local ||
                        address.address_class == AddressClass::virtual_alias;
  return is_alias && !address.tempfail && recipient_.usable() && !recipient_checked_
             ? unlisted(object)
             : Result::dunno;
}

Evaluation::Result Evaluation::unlisted_sender(const Restriction&, const Object&) {
  if (!sender_.usable() || sender_checked_) return Result::dunno;
  sender_checked_ = warn_depth_ == 0;
  return unlisted(object_of(ObjectClass::sender));
}

Evaluation::Result Evaluation::unknown_domain(const Object& object) {
  const bool sender = object.object_class == ObjectClass::sender;
  const ResolvedAddress address = resolve(policy_, object.name);
  if (address.tempfail) return lookup_failure(object.name);
  const std::string_view domain = address.domain();
  if (address.address_class == AddressClass::local ||
      address.address_class == AddressClass::virtual_alias || domain.empty() || is_literal(domain))
    return Result::dunno;
  DomainStatus status = DomainStatus::pending;
  for (const DomainFact& fact : session_.facts.domains)
    if (equals_ignoring_case(fact.domain, domain)) status = fact.status;
  const smtp::EnhancedCode enhanced{5, 1, static_cast<uint16_t>(sender ? 8 : 2)};
  const uint16_t code = policy_.codes.unknown_address;
  switch (status) {
    case DomainStatus::pending:
      needed_ = {Needed::Kind::domain, lower(domain), 0};
      return Result::needs_facts;
    case DomainStatus::exists:
      return Result::dunno;
    case DomainStatus::not_found:
      return refuse_object(code, enhanced, object, "Domain not found");
    case DomainStatus::malformed:
      return refuse_object(code, enhanced, object, "Malformed DNS server reply");
    case DomainStatus::null_mx: {
      const std::string text = "Domain " + std::string(domain) + " does not accept mail (nullMX)";
      return sender ? refuse_object(550, {5, 7, 27}, object, text)
                    : refuse_object(556, {5, 1, 10}, object, text);
    }
    case DomainStatus::tempfail:
      if (policy_.unknown_address_tempfail == TempfailAction::defer)
        return refuse_object(450, enhanced, object, "Domain not found");
      return defer_if_permitted(refuse_text(450, enhanced, object, "Domain not found"));
  }
  MX_ASSERT(false);
}

Evaluation::Result Evaluation::unknown_sender_domain(const Restriction&, const Object&) {
  return sender_.usable() ? unknown_domain(object_of(ObjectClass::sender)) : Result::dunno;
}

Evaluation::Result Evaluation::unknown_recipient_domain(const Restriction&, const Object&) {
  return recipient_.usable() ? unknown_domain(object_of(ObjectClass::recipient)) : Result::dunno;
}

Evaluation::Result Evaluation::unknown_client(NameStatus status, smtp::EnhancedCode enhanced,
                                              std::string_view what) {
  if (status == NameStatus::found) return Result::dunno;
  const uint16_t code = status == NameStatus::tempfail ? 450 : policy_.codes.unknown_client;
  return refused(refuse(
      code, enhanced,
      {"Client host rejected: cannot find your ", what, ", [", session_.client.address_text, "]"}));
}

Evaluation::Result Evaluation::unknown_reverse_client_hostname(const Restriction&, const Object&) {
  const NameStatus status = session_.client.reverse_status;
  if (status == NameStatus::pending) {
    needed_ = {Needed::Kind::reverse_client_name, {}, 0};
    return Result::needs_facts;
  }
  return unknown_client(status, {4, 7, 1}, "reverse hostname");
}

Evaluation::Result Evaluation::unknown_client_hostname(const Restriction&, const Object&) {
  const NameStatus status = session_.client.name_status;
  if (status == NameStatus::pending) {
    needed_ = {Needed::Kind::client_name, {}, 0};
    return Result::needs_facts;
  }
  return unknown_client(status, {4, 7, 25}, "hostname");
}

}  // namespace mx::policy
