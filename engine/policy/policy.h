// engine/policy/policy.h - the compiled policy of one configuration: which restriction lists there
// are, which domains are ours, which clients are trusted.
//
// compile() turns PolicyInputs into a Policy or into the complete list of what is wrong with them.
// Nothing is ever left out silently: a restriction that this program does not serve is an error,
// and so is a configuration without one of the restrictions that keep it from being an open relay.
// A Policy is immutable and shared by all threads; snapshots hold it by pointer.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/policy/inputs.h"
#include "engine/policy/match_list.h"
#include "engine/policy/tables.h"
#include "maps/keys.h"

namespace mx::policy {

// What an element of a restriction list does; the names are in restrictions.cc.
enum class Check : uint8_t {
  permit,
  reject,
  defer,
  defer_if_permit,
  defer_if_reject,
  warn_if_reject,
  sleep,
  restriction_class,
  permit_mynetworks,
  permit_inet_interfaces,
  permit_auth_destination,
  permit_sasl_authenticated,
  permit_tls_clientcerts,
  ccert_access,
  list_access,  // a bare table in a class: what is looked up depends on the list
  client_access,
  reverse_client_access,
  helo_access,
  sender_access,
  recipient_access,
  etrn_access,
  policy_service,
  invalid_helo_hostname,
  non_fqdn_helo_hostname,
  non_fqdn_sender,
  non_fqdn_recipient,
  unauth_destination,
  defer_unauth_destination,
  unlisted_recipient,
  unlisted_sender,
  unauth_pipelining,
  multi_recipient_bounce,
  plaintext_session,
  unknown_sender_domain,
  unknown_recipient_domain,
  unknown_reverse_client_hostname,
  unknown_client_hostname,
};

struct Restriction {
  Check check = Check::permit;
  uint32_t number = 0;              // class: index in Policy::classes; sleep: seconds;
                                    // policy service: index in Policy::policy_services
  const MapTable* table = nullptr;  // kept by Policy::access_tables
};
using RestrictionList = std::vector<Restriction>;

struct RestrictionClass {
  std::string name;  // as written: compared with regard to case
  RestrictionList list;
};

// When a question of DNS has no answer (unknown_address_tempfail_action and its like).
enum class TempfailAction : uint8_t { defer_if_permit, defer };

// Where an address is delivered (postconf(5), "address classes"); there are no virtual mailboxes.
enum class AddressClass : uint8_t { local, virtual_alias, relay, other };

using Tables = std::vector<TablePointer>;  // asked in order

struct Policy {
  MatchList mydestination, virtual_alias_domains, relay_domains, mynetworks;
  MatchList fast_flush_domains;             // those that ETRN serves
  MatchList xclient_hosts, xforward_hosts;  // who may say who the client is
  MatchList client_limit_exceptions, debug_peers;
  MatchList proxy_trusted;   // whose PROXY header is believed
  Tables ehlo_keyword_maps;  // by address: what EHLO leaves out
  std::optional<Tables> local_recipient_maps, relay_recipient_maps;  // none: every address exists
  Tables alias_maps, virtual_alias_maps, transport_maps;
  Tables relay_clientcerts;  // by fingerprint of a certificate or of its public key
  std::vector<IpAddress> own_addresses;
  maps::Delimiter delimiter;

  std::string myorigin, mydomain, myhostname;  // in lower case
  bool append_at_myorigin = true, append_dot_mydomain = false;
  bool swap_bangpath = true, allow_percent_hack = true;
  bool allow_untrusted_routing = false;

  maps::SubdomainStyle transport_style = maps::SubdomainStyle::dot;
  uint32_t virtual_alias_expansion_limit = 1000, virtual_alias_recursion_limit = 1000;
  uint32_t virtual_alias_address_length_limit = 1000;
  bool propagate_virtual_extensions = true, propagate_alias_extensions = false;
  bool expand_owner_alias = false, reset_owner_alias = false;

  RestrictionList client, helo, sender, relay, recipient, data, end_of_data, etrn;
  std::vector<RestrictionClass> classes;
  std::vector<std::string> policy_services;  // check_policy_service, as written
  Tables access_tables;
  maps::SubdomainStyle access_style = maps::SubdomainStyle::dot;  // smtpd_access_maps
  std::string null_access_lookup_key = "<>";
  TempfailAction unknown_address_tempfail = TempfailAction::defer_if_permit;
  bool relay_before_recipient = true;
  bool delay_reject = true;
  bool reject_unlisted_recipient = true, reject_unlisted_sender = false;
  bool show_user_unknown_table_name = true;

  ReplyCodes codes;

  std::vector<ConfigError> warnings;  // of compile(); for the operator
};

// Reads the tables that the inputs name, through `tables`.
std::expected<Policy, std::vector<ConfigError>> compile(const PolicyInputs& inputs,
                                                        TableStore& tables);

}  // namespace mx::policy
