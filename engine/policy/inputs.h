// engine/policy/inputs.h - what policy needs of a configuration, as expanded values: the only thing
// that compile() reads, so that policy knows nothing of main.cf. Defaults are those of Postfix 3.7.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/base/ip_address.h"

namespace mx::policy {

// Something that cannot be served as written, and where it is written.
struct ConfigError {
  std::string file;
  uint32_t line = 0;  // 0: a default
  std::string text;
};

// One word of a list, after expansion.
struct Token {
  std::string text;
  std::string file;
  uint32_t line = 0;
};
using Tokens = std::vector<Token>;

// Reply codes that main.cf can change.
struct ReplyCodes {
  uint16_t reject = 554, defer = 450, non_fqdn = 504, invalid_hostname = 501, relay_domains = 554,
           access_map_reject = 554, access_map_defer = 450, multi_recipient_bounce = 550,
           plaintext = 450, unknown_address = 450, unknown_client = 450;
  uint16_t unknown_local_recipient = 550, unknown_relay_recipient = 550,
           unknown_virtual_alias = 550;
};

struct PolicyInputs {
  // Address classes. /file elements are already replaced by their contents.
  Tokens mydestination, relay_domains, relay_recipient_maps, mynetworks;
  Tokens local_recipient_maps, alias_maps, virtual_alias_domains, virtual_alias_maps;
  Tokens transport_maps;
  Tokens fast_flush_domains, xclient_hosts, xforward_hosts, ehlo_keyword_maps, proxy_trusted;
  Tokens client_limit_exceptions, debug_peers;
  Tokens relay_clientcerts;
  std::vector<IpAddress> own_addresses;  // inet_interfaces and proxy_interfaces
  Tokens parent_domain_matches_subdomains;
  std::string recipient_delimiter;
  bool owner_request_special = true;
  std::string double_bounce_sender = "double-bounce";

  // How an address is completed before its class is looked up.
  std::string myorigin, mydomain, myhostname;
  bool append_at_myorigin = true, append_dot_mydomain = false;
  bool swap_bangpath = true, allow_percent_hack = true;
  bool allow_untrusted_routing = false;

  // Expansion.
  uint32_t virtual_alias_expansion_limit = 1000, virtual_alias_recursion_limit = 1000;
  uint32_t virtual_alias_address_length_limit = 1000;
  bool propagate_virtual_extensions = true, propagate_alias_extensions = false;
  bool expand_owner_alias = false, reset_owner_alias = false;

  // smtpd_*_restrictions, word by word.
  Tokens client, helo, sender, relay, recipient, data, end_of_data, etrn;
  // smtpd_restriction_classes: each name, and the words of the parameter of that name.
  struct Class {
    Token name;
    Tokens words;
  };
  std::vector<Class> classes;
  std::string null_access_lookup_key = "<>";     // smtpd_null_access_lookup_key
  bool unknown_address_tempfail_defers = false;  // unknown_address_tempfail_action = defer
  // Restrictions that ask the network are refused as long as nobody answers.
  bool has_resolver = false, has_policy_client = false;
  bool relay_before_recipient = true;  // smtpd_relay_before_recipient_restrictions
  bool delay_reject = true;
  bool reject_unlisted_recipient = true, reject_unlisted_sender = false;
  bool show_user_unknown_table_name = true;
  std::string main_cf = "main.cf";  // for errors that belong to no line

  ReplyCodes codes;
};

}  // namespace mx::policy
