#include "engine/policy/decide.h"

#include <span>

#include "engine/policy/hostname.h"
#include "engine/policy/reply.h"
#include "engine/policy/resolve.h"
#include "proto/base/assert.h"
#include "proto/base/text.h"

namespace mx::policy {

namespace {

// What an element or a list says. dunno at the end of a list permits.
enum class Result : uint8_t { dunno, ok, reject };

enum class ListClass : uint8_t { client, helo, sender, recipient, data, end_of_data };

// A sender or recipient in internal form (without quotes), which replies show too.
struct Address {
  std::string_view text;
  bool known = false;  // false: not given yet at this stage
  bool usable() const { return known && !text.empty(); }
};

// `buffer` outlives the Address. What does not fit stays as it is: no table and no list matches it.
Address internal_form(std::string_view wire, maps::KeyText& buffer) {
  return {maps::unquote_address(buffer, wire) ? buffer.view() : wire, true};
}

// One evaluation: what is known, and the refusal when there is one.
class Evaluation {
 public:
  Evaluation(const Policy& policy, const SessionFacts& session, Address sender, Address recipient)
      : policy_(policy), session_(session), sender_(sender), recipient_(recipient) {}

  // True when the stage's list refuses; then verdict() is the refusal.
  bool client_refused() { return run(policy_.client, ListClass::client); }
  bool helo_refused() { return !session_.helo.empty() && run(policy_.helo, ListClass::helo); }
  bool sender_refused() { return sender_.known && run(policy_.sender, ListClass::sender); }
  bool recipient_refused();
  bool data_refused() { return run(policy_.data, ListClass::data); }
  bool end_of_data_refused() { return run(policy_.end_of_data, ListClass::end_of_data); }
  const smtp::Verdict& verdict() const { return verdict_; }

 private:
  bool run(const RestrictionList& list, ListClass list_class);
  Result apply(Restriction restriction, ListClass list_class);
  Result refuse_generic(uint16_t code, smtp::EnhancedCode enhanced, ListClass list_class,
                        std::string_view text);
  Result temporary_failure(std::string_view object);
  Result temporary_failure_of_client();
  Result mynetworks();
  Result unauth_destination(uint16_t code);
  Result unlisted_recipient();
  Result non_fqdn(std::string_view address, std::string_view address_class);
  Result user_unknown(uint16_t code, std::string_view table);
  maps::Outcome find_relay_recipient(const ResolvedAddress& address) const;
  Result refused(smtp::Verdict verdict) {
    verdict_ = std::move(verdict);
    return Result::reject;
  }

  const Policy& policy_;
  const SessionFacts& session_;
  const Address sender_, recipient_;
  bool recipient_checked_ = false;  // reject_unlisted_recipient runs once
  smtp::Verdict verdict_;
};

Result Evaluation::refuse_generic(uint16_t code, smtp::EnhancedCode enhanced, ListClass list_class,
                                  std::string_view text) {
  const Client& client = session_.client;
  switch (list_class) {
    case ListClass::client:
      return refused(
          refuse(code, enhanced,
                 {"<", client.name, "[", client.address_text, "]>: Client host rejected: ", text}));
    case ListClass::helo:
      return refused(
          refuse(code, enhanced, {"<", session_.helo, ">: Helo command rejected: ", text}));
    case ListClass::sender:
      return refused(
          refuse(code, enhanced, {"<", sender_.text, ">: Sender address rejected: ", text}));
    case ListClass::recipient:
      return refused(
          refuse(code, enhanced, {"<", recipient_.text, ">: Recipient address rejected: ", text}));
    case ListClass::data:
      return refused(refuse(code, enhanced, {"<DATA>: Data command rejected: ", text}));
    case ListClass::end_of_data:
      return refused(refuse(code, enhanced, {"<END-OF-MESSAGE>: End-of-data rejected: ", text}));
  }
  MX_ASSERT(false);
}

Result Evaluation::temporary_failure(std::string_view object) {
  return refused(refuse(451, {4, 3, 0}, {"<", object, ">: Temporary lookup failure"}));
}

Result Evaluation::temporary_failure_of_client() {
  const Client& client = session_.client;
  return refused(
      refuse(451, {4, 3, 0},
             {"<", client.name, "[", client.address_text, "]>: Temporary lookup failure"}));
}

Result Evaluation::mynetworks() {
  const Client& client = session_.client;
  switch (policy_.mynetworks.match_client(client.name, client.address_text, client.address)) {
    case Match::yes:
      return Result::ok;
    case Match::no:
      return Result::dunno;
    case Match::tempfail:
      return temporary_failure_of_client();
  }
  MX_ASSERT(false);
}

// Ours to deliver or to relay, and no routing through us to somewhere else.
Result Evaluation::unauth_destination(uint16_t code) {
  if (!recipient_.known) return Result::dunno;
  const ResolvedAddress address = resolve(policy_, recipient_.text);
  if (address.tempfail) return temporary_failure(recipient_.text);
  const bool ours =
      address.address_class == AddressClass::local || address.address_class == AddressClass::relay;
  if (ours && (!address.routed || policy_.allow_untrusted_routing)) return Result::dunno;
  return refused(refuse(code, {5, 7, 1}, {"<", recipient_.text, ">: Relay access denied"}));
}

Result Evaluation::user_unknown(uint16_t code, std::string_view table) {
  return refused(refuse(code, {5, 1, 1},
                        {"<", recipient_.text, ">: Recipient address rejected: User unknown",
                         policy_.show_user_unknown_table_name ? table : ""}));
}

maps::Outcome Evaluation::find_relay_recipient(const ResolvedAddress& address) const {
  const bool local = address.address_class == AddressClass::local ||
                     equals_ignoring_case(address.domain(), policy_.myorigin);
  maps::KeyList list;
  maps::address_keys(list, address.local(), address.domain(), local, policy_.delimiter);
  // Postfix asks all tables for one key before it goes on to the next key.
  std::span<const maps::Key> keys = list.keys();
  maps::Outcome outcome = maps::Outcome::miss;
  maps::ValueText made;
  for (const TablePointer& table : *policy_.relay_recipient_maps) {
    const maps::AnyTable::First first = table->find_first(keys, made);
    if (first.lookup.outcome == maps::Outcome::miss) continue;
    outcome = first.lookup.outcome;
    keys = keys.first(first.index);  // only an earlier key can change that
  }
  return outcome;
}

Result Evaluation::unlisted_recipient() {
  if (!recipient_.usable() || recipient_checked_) return Result::dunno;
  recipient_checked_ = true;
  const ResolvedAddress address = resolve(policy_, recipient_.text);
  if (address.tempfail) return temporary_failure(recipient_.text);
  switch (address.address_class) {
    case AddressClass::other:
      return Result::dunno;
    case AddressClass::local:  // there is no local delivery: no address of these domains exists
      return user_unknown(policy_.codes.unknown_local_recipient, " in local recipient table");
    case AddressClass::virtual_alias:  // only what virtual_alias_maps knows exists
      return user_unknown(policy_.codes.unknown_virtual_alias, " in virtual alias table");
    case AddressClass::relay:
      if (!policy_.relay_recipient_maps) return Result::dunno;
      switch (find_relay_recipient(address)) {
        case maps::Outcome::hit:
          return Result::dunno;
        case maps::Outcome::miss:
          return user_unknown(policy_.codes.unknown_relay_recipient, " in relay recipient table");
        case maps::Outcome::tempfail:
          return temporary_failure(recipient_.text);
      }
  }
  MX_ASSERT(false);
}

Result Evaluation::non_fqdn(std::string_view address, std::string_view address_class) {
  const size_t at = address.rfind('@');
  std::string_view domain = at == std::string_view::npos ? "" : address.substr(at + 1);
  if (domain.starts_with('[') && domain.ends_with(']')) return Result::dunno;
  if (domain.ends_with('.')) domain.remove_suffix(1);
  if (valid_hostname(domain) && domain.find('.') != std::string_view::npos) return Result::dunno;
  return refused(refuse(
      policy_.codes.non_fqdn, {5, 5, 2},
      {"<", address, ">: ", address_class, " address rejected: need fully-qualified address"}));
}

Result Evaluation::apply(Restriction restriction, ListClass list_class) {
  switch (restriction) {
    case Restriction::permit:
      return Result::ok;
    case Restriction::reject:
      return refuse_generic(policy_.codes.reject, {5, 7, 1}, list_class, "Access denied");
    case Restriction::permit_mynetworks:
      return mynetworks();
    case Restriction::permit_sasl_authenticated:  // there is no authentication
      return Result::dunno;
    case Restriction::reject_unauth_destination:
      return unauth_destination(policy_.codes.relay_domains);
    case Restriction::defer_unauth_destination:  // 454 unless relay_domains_reject_code is changed
      return unauth_destination(static_cast<uint16_t>(policy_.codes.relay_domains - 100));
    case Restriction::reject_unlisted_recipient:
      return unlisted_recipient();
    case Restriction::reject_non_fqdn_sender:
      return sender_.usable() ? non_fqdn(sender_.text, "Sender") : Result::dunno;
    case Restriction::reject_non_fqdn_recipient:
      return recipient_.usable() ? non_fqdn(recipient_.text, "Recipient") : Result::dunno;
  }
  MX_ASSERT(false);
}

// Element by element; an OK ends this list only.
bool Evaluation::run(const RestrictionList& list, ListClass list_class) {
  for (const Restriction restriction : list) {
    const Result result = apply(restriction, list_class);
    if (result != Result::dunno) return result == Result::reject;
  }
  return false;
}

bool Evaluation::recipient_refused() {
  const RestrictionList& first = policy_.relay_before_recipient ? policy_.relay : policy_.recipient;
  const RestrictionList& second =
      policy_.relay_before_recipient ? policy_.recipient : policy_.relay;
  if (run(first, ListClass::recipient) || run(second, ListClass::recipient)) return true;
  return policy_.reject_unlisted_recipient && unlisted_recipient() == Result::reject;
}

bool refused_at(smtp::Stage stage, bool delay_reject, Evaluation& evaluation) {
  switch (stage) {
    case smtp::Stage::connect:
      return !delay_reject && evaluation.client_refused();
    case smtp::Stage::helo:
      return !delay_reject && evaluation.helo_refused();
    case smtp::Stage::mail:
      return !delay_reject && evaluation.sender_refused();
    case smtp::Stage::rcpt:
    case smtp::Stage::vrfy:
      if (delay_reject &&
          (evaluation.client_refused() || evaluation.helo_refused() || evaluation.sender_refused()))
        return true;
      return evaluation.recipient_refused();
    case smtp::Stage::data:
      return evaluation.data_refused();
    case smtp::Stage::end_of_data:
      return evaluation.end_of_data_refused();
  }
  MX_ASSERT(false);
}

}  // namespace

Decision decide(const Policy& policy, const SessionFacts& session, const smtp::Question& question,
                const smtp::Transaction& transaction, WallTime /*now*/) {
  SessionFacts facts = session;
  maps::KeyText sender_buffer, recipient_buffer;
  Address sender, recipient;
  if (transaction.started()) sender = internal_form(transaction.sender(), sender_buffer);
  switch (question.stage) {
    case smtp::Stage::connect:
      break;
    case smtp::Stage::helo:
      facts.helo = question.argument;
      break;
    case smtp::Stage::mail:
      sender = internal_form(question.argument, sender_buffer);
      break;
    case smtp::Stage::rcpt:
    case smtp::Stage::vrfy:
      recipient = internal_form(question.argument, recipient_buffer);
      break;
    case smtp::Stage::data:
    case smtp::Stage::end_of_data:
      // With several recipients the list applies to all alike and is told none.
      if (transaction.recipient_count() == 1)
        recipient = internal_form(transaction.recipient(0), recipient_buffer);
      break;
  }
  Evaluation evaluation(policy, facts, sender, recipient);
  Decision decision;
  if (refused_at(question.stage, policy.delay_reject, evaluation))
    decision.verdict = evaluation.verdict();
  return decision;
}

}  // namespace mx::policy
