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

enum class Restriction : uint8_t {
  permit,
  reject,
  permit_mynetworks,
  permit_sasl_authenticated,
  reject_unauth_destination,
  defer_unauth_destination,
  reject_unlisted_recipient,
  reject_non_fqdn_sender,
  reject_non_fqdn_recipient,
};

using RestrictionList = std::vector<Restriction>;

// Where an address is delivered (postconf(5), "address classes"); there are no virtual mailboxes.
enum class AddressClass : uint8_t { local, virtual_alias, relay, other };

using Tables = std::vector<TablePointer>;  // asked in order

struct Policy {
  MatchList mydestination, virtual_alias_domains, relay_domains, mynetworks;
  std::optional<Tables> local_recipient_maps, relay_recipient_maps;  // none: every address exists
  Tables alias_maps, virtual_alias_maps, transport_maps;
  Tables relay_clientcerts;  // by fingerprint of a certificate or of its public key
  std::vector<IpAddress> own_addresses;
  maps::Delimiter delimiter;

  std::string myorigin, mydomain;  // in lower case
  bool append_at_myorigin = true, append_dot_mydomain = false;
  bool swap_bangpath = true, allow_percent_hack = true;
  bool allow_untrusted_routing = false;

  RestrictionList client, helo, sender, relay, recipient, data, end_of_data;
  bool relay_before_recipient = true;
  bool delay_reject = true;
  bool reject_unlisted_recipient = true;
  bool show_user_unknown_table_name = true;

  ReplyCodes codes;

  std::vector<ConfigError> warnings;  // of compile(); for the operator
};

// Reads the tables that the inputs name, through `tables`.
std::expected<Policy, std::vector<ConfigError>> compile(const PolicyInputs& inputs,
                                                        TableStore& tables);

}  // namespace mx::policy
