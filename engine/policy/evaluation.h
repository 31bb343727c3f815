// engine/policy/evaluation.h - one run through the restriction lists: what is known, what the
// elements said so far, and the refusal when there is one. Private to this folder; decide() is the
// way in.
//
// Order, results and texts are those of Postfix's smtpd_check.c. evaluation.cc has the machinery
// (lists, deferred verdicts, access tables), checks.cc one small function a restriction.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/policy/access_action.h"
#include "engine/policy/decide.h"
#include "engine/policy/policy.h"
#include "engine/policy/resolve.h"
#include "maps/keys.h"

namespace mx::policy {

// A sender or recipient in internal form (without quotes), which replies show too.
struct Address {
  std::string_view text;
  bool known = false;  // false: not given yet at this stage
  bool usable() const { return known && !text.empty(); }
};

enum class ObjectClass : uint8_t {
  client,
  reverse_client,
  certificate,
  helo,
  sender,
  recipient,
  data,
  end_of_data,
  etrn,
};

// What a reply is about: "<name>: <class> rejected: …".
struct Object {
  ObjectClass object_class = ObjectClass::client;
  std::string_view name;
};

class Evaluation {
 public:
  Evaluation(const Policy& policy, const SessionFacts& session, smtp::Stage stage, Address sender,
             Address recipient, uint32_t recipient_count);

  // Each evaluates the stage's lists. True when they refuse (then verdict() is the refusal) or
  // when facts are missing.
  bool client_refused();
  bool helo_refused();
  bool sender_refused();
  bool recipient_refused();
  bool data_refused();
  bool end_of_data_refused();
  bool etrn_refused();

  const smtp::Verdict& verdict() const { return verdict_; }
  Effects& effects() { return effects_; }
  // A 4xx that takes the place of a permission at the end.
  const std::optional<smtp::Verdict>& deferred() const { return defer_if_permit_; }
  const std::optional<Needed>& needed() const { return needed_; }

 private:
  // What an element or a list says. dunno at the end of a list permits. needs_facts ends it all.
  enum class Result : uint8_t { dunno, ok, reject, needs_facts };
  using Pieces = std::initializer_list<std::string_view>;
  using Handler = Result (Evaluation::*)(const Restriction&, const Object&);

  // evaluation.cc
  static bool ends(Result result) {
    return result == Result::reject || result == Result::needs_facts;
  }
  void begin_stage();
  bool run_stage(const RestrictionList& list, ObjectClass list_class);
  Result run(const RestrictionList& list, const Object& object);
  Result apply(const Restriction& restriction, const Object& object);
  Object object_of(ObjectClass object_class) const;
  Result refused(smtp::Verdict verdict, bool server_error = false);
  Result refuse_object(uint16_t code, smtp::EnhancedCode enhanced, const Object& object,
                       std::string_view text);
  static smtp::EnhancedCode fit(smtp::EnhancedCode code, ObjectClass object_class);
  static smtp::Verdict refuse_text(uint16_t code, smtp::EnhancedCode enhanced, const Object& object,
                                   std::string_view text);
  Result defer_if_permitted(smtp::Verdict verdict);
  Result server_error();
  Result lookup_failure(std::string_view object);
  void note(std::string_view kind, const Object& object, std::string_view text);
  Result access(const Restriction& restriction, std::span<const maps::Key> keys,
                const Object& object);
  Result address_access(const Restriction& restriction, std::string_view address,
                        const Object& object);
  Result act(std::string_view value, const Object& object);
  Result act_on_message(const AccessAction& action, const Object& object);
  Result evaluate_names(std::string_view names, const Object& object);
  bool has_message() const;

  // checks.cc
  Result permit(const Restriction&, const Object&);
  Result reject(const Restriction&, const Object&);
  Result defer(const Restriction&, const Object&);
  Result defer_if_permit(const Restriction&, const Object&);
  Result defer_if_reject(const Restriction&, const Object&);
  Result sleep(const Restriction&, const Object&);
  Result restriction_class(const Restriction&, const Object&);
  Result permit_mynetworks(const Restriction&, const Object&);
  Result permit_inet_interfaces(const Restriction&, const Object&);
  Result permit_auth_destination(const Restriction&, const Object&);
  Result nothing(const Restriction&, const Object&);
  Result permit_tls_clientcerts(const Restriction&, const Object&);
  Result ccert_access(const Restriction&, const Object&);
  Result list_access(const Restriction&, const Object&);
  Result client_access(const Restriction&, const Object&);
  Result reverse_client_access(const Restriction&, const Object&);
  Result helo_access(const Restriction&, const Object&);
  Result sender_access(const Restriction&, const Object&);
  Result recipient_access(const Restriction&, const Object&);
  Result etrn_access(const Restriction&, const Object&);
  Result policy_service(const Restriction&, const Object&);
  Result invalid_helo_hostname(const Restriction&, const Object&);
  Result non_fqdn_helo_hostname(const Restriction&, const Object&);
  Result non_fqdn_sender(const Restriction&, const Object&);
  Result non_fqdn_recipient(const Restriction&, const Object&);
  Result unauth_destination(const Restriction&, const Object&);
  Result defer_unauth_destination(const Restriction&, const Object&);
  Result unlisted_recipient(const Restriction&, const Object&);
  Result unlisted_sender(const Restriction&, const Object&);
  Result unauth_pipelining(const Restriction&, const Object&);
  Result multi_recipient_bounce(const Restriction&, const Object&);
  Result plaintext_session(const Restriction&, const Object&);
  Result unknown_sender_domain(const Restriction&, const Object&);
  Result unknown_recipient_domain(const Restriction&, const Object&);
  Result unknown_reverse_client_hostname(const Restriction&, const Object&);
  Result unknown_client_hostname(const Restriction&, const Object&);

  Result ours_or(uint16_t code, bool positive);
  Result non_fqdn_address(const Object& object);
  Result unlisted(const Object& object);
  Result user_unknown(uint16_t code, const Object& object, std::string_view table);
  Result without_destination(const Object& object);
  Result expandable(const Object& object);
  Result routable(const Object& object);
  Result listed_locally(const ResolvedAddress& address, const Object& object);
  Result unknown_domain(const Object& object);
  Result unknown_client(NameStatus status, smtp::EnhancedCode enhanced, std::string_view what);
  Result bad_address_literal(const Object& object);
  maps::Outcome find_address(const Tables& tables, const ResolvedAddress& address) const;
  maps::Outcome find(const Tables& tables, std::span<const maps::Key> keys) const;

  const Policy& policy_;
  const SessionFacts& session_;
  const smtp::Stage stage_;
  const Address sender_, recipient_;
  const uint32_t recipient_count_;
  FixedText<limits::domain_bytes_max + 64> client_text_;     // "name[address]"
  bool recipient_checked_ = false, sender_checked_ = false;  // for being listed: once
  uint32_t depth_ = 0;                                       // of lists in lists
  uint32_t warn_depth_ = 0;  // where warn_if_reject stands; 0: nowhere
  uint32_t steps_ = 0;       // elements evaluated
  std::optional<smtp::Verdict> defer_if_permit_, defer_if_reject_;
  smtp::Verdict verdict_;
  Effects effects_;
  std::optional<Needed> needed_;
};

}  // namespace mx::policy
