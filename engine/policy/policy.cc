#include "engine/policy/policy.h"

#include <algorithm>
#include <array>

#include "engine/policy/restrictions.h"
#include "maps/spec.h"
#include "proto/base/text.h"

namespace mx::policy {

namespace {

using Errors = std::vector<ConfigError>;

std::string quoted(std::string_view text) {
  return "\"" + printable(text, 200) + "\"";
}

// What to say about a word that is no restriction which acts.
std::string refusal(std::string_view word, const KnownRestriction* known) {
  if (known != nullptr) return "restriction " + quoted(word) + " is not supported yet";
  if (word.starts_with('#')) return "#comment after other text is not allowed: " + quoted(word);
  if (maps::looks_like_table(word))
    return "table " + quoted(word) + " as a restriction is not supported yet";
  const std::string_view near = near_restriction(word);
  return "unknown restriction " + quoted(word) +
         (near.empty() ? "" : "; did you mean " + std::string(near) + "?");
}

RestrictionList compile_list(const Tokens& words, Policy& policy, Errors& errors) {
  RestrictionList list;
  const Token* last = nullptr;  // permit or reject: nothing after it is reached
  for (size_t i = 0; i < words.size(); ++i) {
    const Token& word = words[i];
    if (last != nullptr) {
      policy.warnings.push_back(
          {word.file, word.line,
           "restriction " + quoted(word.text) + " after " + quoted(last->text) + " is ignored"});
    }
    const KnownRestriction* const known = find_restriction(word.text);
    if (known == nullptr || !known->acts) {
      errors.push_back({word.file, word.line, refusal(word.text, known)});
      if (known != nullptr) i += known->arguments;
      continue;
    }
    if (last != nullptr) continue;
    list.push_back(*known->acts);
    if (known->acts == Restriction::permit || known->acts == Restriction::reject) last = &word;
  }
  return list;
}

// smtpd refuses to run without one of these before a `permit`: it would relay for everybody. The
// deferring ones are not supported yet and are errors of their own.
bool guards_relaying(const Tokens& words) {
  constexpr std::array guards{"reject_unauth_destination", "defer_unauth_destination", "reject",
                              "defer", "defer_if_permit"};
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string name = lower(words[i].text);
    if (name == "warn_if_reject") {
      ++i;
      continue;
    }
    if (name == "permit") return false;
    if (std::find(guards.begin(), guards.end(), name) != guards.end()) return true;
  }
  return false;
}

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
  policy.alias_maps = open_tables(inputs.alias_maps, tables, errors);
  policy.virtual_alias_maps = open_tables(inputs.virtual_alias_maps, tables, errors);
  policy.transport_maps = open_tables(inputs.transport_maps, tables, errors);
  policy.relay_clientcerts = open_tables(inputs.relay_clientcerts, tables, errors);
  if (!inputs.local_recipient_maps.empty())
    policy.local_recipient_maps = open_tables(inputs.local_recipient_maps, tables, errors);
  if (!inputs.relay_recipient_maps.empty())
    policy.relay_recipient_maps = open_tables(inputs.relay_recipient_maps, tables, errors);
}

void compile_restrictions(const PolicyInputs& inputs, Policy& policy, Errors& errors) {
  policy.client = compile_list(inputs.client, policy, errors);
  policy.helo = compile_list(inputs.helo, policy, errors);
  policy.sender = compile_list(inputs.sender, policy, errors);
  policy.relay = compile_list(inputs.relay, policy, errors);
  policy.recipient = compile_list(inputs.recipient, policy, errors);
  policy.data = compile_list(inputs.data, policy, errors);
  policy.end_of_data = compile_list(inputs.end_of_data, policy, errors);
  if (guards_relaying(inputs.relay) || guards_relaying(inputs.recipient)) return;
  const Tokens& where = inputs.recipient.empty() ? inputs.relay : inputs.recipient;
  errors.push_back({where.empty() ? inputs.main_cf : where.front().file,
                    where.empty() ? 0 : where.front().line,
                    "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, "
                    "specify at least one working instance of: reject_unauth_destination, "
                    "defer_unauth_destination, reject, defer, defer_if_permit"});
}

}  // namespace

std::expected<Policy, std::vector<ConfigError>> compile(const PolicyInputs& inputs,
                                                        TableStore& tables) {
  Policy policy;
  Errors errors;
  compile_lists(inputs, tables, policy, errors);
  compile_restrictions(inputs, policy, errors);
  if (!errors.empty()) return std::unexpected(std::move(errors));

  policy.own_addresses = inputs.own_addresses;
  policy.delimiter = {inputs.recipient_delimiter, inputs.owner_request_special,
                      inputs.double_bounce_sender};
  policy.myorigin = lower(inputs.myorigin);
  policy.mydomain = lower(inputs.mydomain);
  policy.append_at_myorigin = inputs.append_at_myorigin;
  policy.append_dot_mydomain = inputs.append_dot_mydomain;
  policy.swap_bangpath = inputs.swap_bangpath;
  policy.allow_percent_hack = inputs.allow_percent_hack;
  policy.allow_untrusted_routing = inputs.allow_untrusted_routing;
  policy.relay_before_recipient = inputs.relay_before_recipient;
  policy.delay_reject = inputs.delay_reject;
  policy.reject_unlisted_recipient = inputs.reject_unlisted_recipient;
  policy.show_user_unknown_table_name = inputs.show_user_unknown_table_name;
  policy.codes = inputs.codes;
  return policy;
}

}  // namespace mx::policy
