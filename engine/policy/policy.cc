#include "engine/policy/policy.h"

#include "engine/policy/compile_restrictions.h"
#include "proto/base/text.h"

namespace mx::policy {

namespace {

using Errors = std::vector<ConfigError>;

maps::SubdomainStyle style_of(std::string_view parameter, const PolicyInputs& inputs) {
  for (const Token& word : inputs.parent_domain_matches_subdomains)
    if (word.text == parameter) return maps::SubdomainStyle::parent;
  return maps::SubdomainStyle::dot;
}

Tables open_tables(const Tokens& words, TableStore& tables, Errors& errors) {
  Tables opened;
  for (const Token& word : words) {
    auto table = tables.open(word.text);
    if (table)
      opened.push_back(std::move(*table));
    else
      errors.push_back({word.file, word.line, table.error()});
  }
  return opened;
}

void compile_lists(const PolicyInputs& inputs, TableStore& tables, Policy& policy, Errors& errors) {
  using enum MatchList::Subject;
  policy.mydestination =
      MatchList::compile(inputs.mydestination, domain, maps::SubdomainStyle::exact, tables, errors);
  policy.relay_domains = MatchList::compile(inputs.relay_domains, domain,
                                            style_of("relay_domains", inputs), tables, errors);
  policy.mynetworks =
      MatchList::compile(inputs.mynetworks, client, style_of("mynetworks", inputs), tables, errors);
  policy.virtual_alias_domains = MatchList::compile(inputs.virtual_alias_domains, domain,
                                                    maps::SubdomainStyle::exact, tables, errors);
  policy.fast_flush_domains = MatchList::compile(
      inputs.fast_flush_domains, domain, style_of("fast_flush_domains", inputs), tables, errors);
  policy.xclient_hosts =
      MatchList::compile(inputs.xclient_hosts, client,
                         style_of("smtpd_authorized_xclient_hosts", inputs), tables, errors);
  policy.xforward_hosts =
      MatchList::compile(inputs.xforward_hosts, client,
                         style_of("smtpd_authorized_xforward_hosts", inputs), tables, errors);
  policy.client_limit_exceptions =
      MatchList::compile(inputs.client_limit_exceptions, client,
                         style_of("smtpd_client_event_limit_exceptions", inputs), tables, errors);
  policy.debug_peers = MatchList::compile(inputs.debug_peers, client,
                                          style_of("debug_peer_list", inputs), tables, errors);
  policy.proxy_trusted =
      MatchList::compile(inputs.proxy_trusted, client, maps::SubdomainStyle::dot, tables, errors);
  policy.ehlo_keyword_maps = open_tables(inputs.ehlo_keyword_maps, tables, errors);
  policy.alias_maps = open_tables(inputs.alias_maps, tables, errors);
  policy.virtual_alias_maps = open_tables(inputs.virtual_alias_maps, tables, errors);
  policy.transport_maps = open_tables(inputs.transport_maps, tables, errors);
  policy.relay_clientcerts = open_tables(inputs.relay_clientcerts, tables, errors);
  if (!inputs.local_recipient_maps.empty())
    policy.local_recipient_maps = open_tables(inputs.local_recipient_maps, tables, errors);
  if (!inputs.relay_recipient_maps.empty())
    policy.relay_recipient_maps = open_tables(inputs.relay_recipient_maps, tables, errors);
}

}  // namespace

std::expected<Policy, std::vector<ConfigError>> compile(const PolicyInputs& inputs,
                                                        TableStore& tables) {
  Policy policy;
  Errors errors;
  compile_lists(inputs, tables, policy, errors);
  compile_restrictions(inputs, tables, policy, errors);
  if (!errors.empty()) return std::unexpected(std::move(errors));

  policy.own_addresses = inputs.own_addresses;
  policy.delimiter = {inputs.recipient_delimiter, inputs.owner_request_special,
                      inputs.double_bounce_sender};
  policy.myorigin = lower(inputs.myorigin);
  policy.mydomain = lower(inputs.mydomain);
  policy.myhostname = lower(inputs.myhostname);
  policy.append_at_myorigin = inputs.append_at_myorigin;
  policy.append_dot_mydomain = inputs.append_dot_mydomain;
  policy.swap_bangpath = inputs.swap_bangpath;
  policy.allow_percent_hack = inputs.allow_percent_hack;
  policy.allow_untrusted_routing = inputs.allow_untrusted_routing;
  policy.transport_style = style_of("transport_maps", inputs);
  policy.virtual_alias_expansion_limit = inputs.virtual_alias_expansion_limit;
  policy.virtual_alias_recursion_limit = inputs.virtual_alias_recursion_limit;
  policy.virtual_alias_address_length_limit = inputs.virtual_alias_address_length_limit;
  policy.propagate_virtual_extensions = inputs.propagate_virtual_extensions;
  policy.propagate_alias_extensions = inputs.propagate_alias_extensions;
  policy.expand_owner_alias = inputs.expand_owner_alias;
  policy.reset_owner_alias = inputs.reset_owner_alias;
  policy.relay_before_recipient = inputs.relay_before_recipient;
  policy.delay_reject = inputs.delay_reject;
  policy.reject_unlisted_recipient = inputs.reject_unlisted_recipient;
  policy.show_user_unknown_table_name = inputs.show_user_unknown_table_name;
  policy.reject_unlisted_sender = inputs.reject_unlisted_sender;
  policy.access_style = style_of("smtpd_access_maps", inputs);
  policy.null_access_lookup_key = inputs.null_access_lookup_key;
  if (inputs.unknown_address_tempfail_defers)
    policy.unknown_address_tempfail = TempfailAction::defer;
  policy.codes = inputs.codes;
  return policy;
}

}  // namespace mx::policy
