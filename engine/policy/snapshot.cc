#include "engine/policy/snapshot.h"

#include "engine/policy/tables.h"

namespace mx::policy {
namespace {

Tokens tokens_of(const config::List& list, const std::string& main_cf) {
  Tokens out;
  out.reserve(list.words.size());
  for (const config::Word& word : list.words)
    out.push_back({word.text, word.file.empty() ? main_cf : word.file, word.line});
  return out;
}

PolicyInputs inputs_of(const config::Settings& settings, const std::string& main_cf) {
  PolicyInputs in;
  in.main_cf = main_cf;
  const config::Domains& domains = settings.domains;
  in.mydestination = tokens_of(domains.mydestination, main_cf);
  in.relay_domains = tokens_of(domains.relay_domains, main_cf);
  in.relay_recipient_maps = tokens_of(domains.relay_recipient_maps, main_cf);
  in.mynetworks = tokens_of(domains.mynetworks, main_cf);
  in.parent_domain_matches_subdomains =
      tokens_of(domains.parent_domain_matches_subdomains, main_cf);
  in.own_addresses = domains.own_addresses;
  in.owner_request_special = domains.owner_request_special;
  in.double_bounce_sender = domains.double_bounce_sender;
  in.recipient_delimiter = domains.recipient_delimiter;
  in.myorigin = domains.myorigin;
  in.mydomain = settings.mydomain;
  in.append_at_myorigin = domains.append_at_myorigin;
  in.append_dot_mydomain = domains.append_dot_mydomain;
  in.swap_bangpath = domains.swap_bangpath;
  in.allow_percent_hack = domains.allow_percent_hack;
  in.allow_untrusted_routing = domains.allow_untrusted_routing;
  const config::Restrictions& restrictions = settings.restrictions;
  in.client = tokens_of(restrictions.client, main_cf);
  in.helo = tokens_of(restrictions.helo, main_cf);
  in.sender = tokens_of(restrictions.sender, main_cf);
  in.relay = tokens_of(restrictions.relay, main_cf);
  in.recipient = tokens_of(restrictions.recipient, main_cf);
  in.data = tokens_of(restrictions.data, main_cf);
  in.end_of_data = tokens_of(restrictions.end_of_data, main_cf);
  in.relay_before_recipient = restrictions.relay_before_recipient;
  in.delay_reject = restrictions.delay_reject;
  in.reject_unlisted_recipient = restrictions.reject_unlisted_recipient;
  in.show_user_unknown_table_name = restrictions.show_user_unknown_table_name;
  in.codes.reject = settings.codes.reject;
  in.codes.non_fqdn = settings.codes.non_fqdn;
  in.codes.relay_domains = settings.codes.relay_domains;
  in.codes.unknown_local_recipient = settings.codes.unknown_local_recipient;
  in.codes.unknown_relay_recipient = settings.codes.unknown_relay_recipient;
  return in;
}

config::Diagnostic diagnostic(const ConfigError& error, config::Severity severity) {
  return {error.file, error.line, severity, error.text};
}

}  // namespace

SnapshotResult load_snapshot(std::string_view directory, const config::FileReader& reader,
                             const config::HostFacts& host) {
  SnapshotResult result;
  config::LoadResult loaded = config::load(directory, reader, host);
  result.warnings = std::move(loaded.warnings);
  if (!loaded.settings) {
    result.errors = std::move(loaded.settings.error());
    return result;
  }
  TableStore tables;
  const std::string main_cf = std::string(directory) + "/main.cf";
  auto policy = compile(inputs_of(*loaded.settings, main_cf), tables);
  for (const std::string& warning : tables.warnings())
    result.warnings.push_back({main_cf, 0, config::Severity::warning, warning});
  if (!policy) {
    for (const ConfigError& error : policy.error())
      result.errors.push_back(diagnostic(error, config::Severity::error));
    return result;
  }
  for (const ConfigError& warning : policy->warnings)
    result.warnings.push_back(diagnostic(warning, config::Severity::warning));
  result.snapshot =
      std::make_shared<const Snapshot>(std::move(*loaded.settings), std::move(*policy));
  return result;
}

}  // namespace mx::policy
