#include "engine/policy/snapshot.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mx::policy {
namespace {

Tokens tokens_of(const config::List& list, const std::string& main_cf) {
  Tokens out;
  out.reserve(list.words.size());
  for (const config::Word& word : list.words)
    out.push_back({word.text, word.file.empty() ? main_cf : word.file, word.line});
  return out;
}

void add_restrictions(PolicyInputs& in, const config::Settings& settings,
                      const std::string& main_cf) {
  const config::Restrictions& restrictions = settings.restrictions;
  in.client = tokens_of(restrictions.client, main_cf);
  in.helo = tokens_of(restrictions.helo, main_cf);
  in.sender = tokens_of(restrictions.sender, main_cf);
  in.relay = tokens_of(restrictions.relay, main_cf);
  in.recipient = tokens_of(restrictions.recipient, main_cf);
  in.data = tokens_of(restrictions.data, main_cf);
  in.end_of_data = tokens_of(restrictions.end_of_data, main_cf);
  in.etrn = tokens_of(restrictions.etrn, main_cf);
  in.relay_before_recipient = restrictions.relay_before_recipient;
  in.delay_reject = restrictions.delay_reject;
  in.reject_unlisted_recipient = restrictions.reject_unlisted_recipient;
  in.show_user_unknown_table_name = restrictions.show_user_unknown_table_name;
  in.reject_unlisted_sender = restrictions.reject_unlisted_sender;
  in.null_access_lookup_key = restrictions.null_access_lookup_key;
  in.unknown_address_tempfail_defers = restrictions.unknown_address_tempfail_defers;
  for (const auto& one : restrictions.classes) {
    const Token name{one.name.text, one.name.file.empty() ? main_cf : one.name.file, one.name.line};
    in.classes.push_back({name, tokens_of(one.words, main_cf)});
  }
  const config::RejectCodes& codes = settings.codes;
  in.codes = {.reject = codes.reject,
              .defer = codes.defer,
              .non_fqdn = codes.non_fqdn,
              .invalid_hostname = codes.invalid_hostname,
              .relay_domains = codes.relay_domains,
              .access_map_reject = codes.access_map_reject,
              .access_map_defer = codes.access_map_defer,
              .multi_recipient_bounce = codes.multi_recipient_bounce,
              .plaintext = codes.plaintext,
              .unknown_address = codes.unknown_address,
              .unknown_client = codes.unknown_client,
              .unknown_local_recipient = codes.unknown_local_recipient,
              .unknown_relay_recipient = codes.unknown_relay_recipient,
              .unknown_virtual_alias = codes.unknown_virtual_alias};
}

PolicyInputs inputs_of(const config::Settings& settings, const std::string& main_cf) {
  PolicyInputs in;
  in.main_cf = main_cf;
  const config::Domains& domains = settings.domains;
  in.mydestination = tokens_of(domains.mydestination, main_cf);
  in.relay_domains = tokens_of(domains.relay_domains, main_cf);
  in.relay_recipient_maps = tokens_of(domains.relay_recipient_maps, main_cf);
  in.mynetworks = tokens_of(domains.mynetworks, main_cf);
  in.local_recipient_maps = tokens_of(domains.local_recipient_maps, main_cf);
  in.alias_maps = tokens_of(domains.alias_maps, main_cf);
  in.virtual_alias_domains = tokens_of(domains.virtual_alias_domains, main_cf);
  in.transport_maps = tokens_of(domains.transport_maps, main_cf);
  in.virtual_alias_maps = tokens_of(domains.virtual_alias_maps, main_cf);
  in.fast_flush_domains = tokens_of(domains.fast_flush_domains, main_cf);
  in.xclient_hosts = tokens_of(settings.clients.xclient_hosts, main_cf);
  in.xforward_hosts = tokens_of(settings.clients.xforward_hosts, main_cf);
  in.client_limit_exceptions = tokens_of(settings.clients.limit_exceptions, main_cf);
  in.debug_peers = tokens_of(settings.clients.debug_peers, main_cf);
  in.proxy_trusted = tokens_of(settings.clients.proxy_trusted, main_cf);
  in.ehlo_keyword_maps = tokens_of(settings.clients.ehlo_keyword_maps, main_cf);
  in.relay_clientcerts = tokens_of(domains.relay_clientcerts, main_cf);
  in.parent_domain_matches_subdomains =
      tokens_of(domains.parent_domain_matches_subdomains, main_cf);
  in.own_addresses = domains.own_addresses;
  in.owner_request_special = domains.owner_request_special;
  in.double_bounce_sender = domains.double_bounce_sender;
  in.recipient_delimiter = domains.recipient_delimiter;
  in.myorigin = domains.myorigin;
  in.mydomain = settings.mydomain;
  in.myhostname = settings.hostname;
  in.append_at_myorigin = domains.append_at_myorigin;
  in.append_dot_mydomain = domains.append_dot_mydomain;
  in.swap_bangpath = domains.swap_bangpath;
  in.allow_percent_hack = domains.allow_percent_hack;
  in.allow_untrusted_routing = domains.allow_untrusted_routing;
  in.virtual_alias_expansion_limit = domains.virtual_alias_expansion_limit;
  in.virtual_alias_recursion_limit = domains.virtual_alias_recursion_limit;
  in.virtual_alias_address_length_limit = domains.virtual_alias_address_length_limit;
  in.propagate_virtual_extensions = domains.propagate_virtual_extensions;
  in.propagate_alias_extensions = domains.propagate_alias_extensions;
  in.expand_owner_alias = domains.expand_owner_alias;
  in.reset_owner_alias = domains.reset_owner_alias;
  add_restrictions(in, settings, main_cf);
  return in;
}

config::Diagnostic diagnostic(const ConfigError& error, config::Severity severity) {
  return {error.file, error.line, severity, error.text};
}

// The same said again: of a word that main.cf was refused for, or of a default that repeats a line
// ($relay_domains).
bool repeats(const config::Diagnostic& again, const config::Diagnostic& said) {
  const bool same_place = again.file == said.file && (again.line == said.line || again.line == 0);
  return same_place && (said.text == again.text || said.text.ends_with(": " + again.text));
}

void add_errors(config::Diagnostics& said, config::Diagnostics&& errors) {
  std::ranges::stable_partition(errors, [](const auto& one) { return one.line != 0; });
  for (config::Diagnostic& error : errors)
    if (std::ranges::none_of(said, [&](const auto& one) { return repeats(error, one); }))
      said.push_back(std::move(error));
}

// At the second try all files are known that are to be opened together, which hardly ever fails.
constexpr int tries_max = 5;

// Settings and the tables that they name, of one moment.
maps::SetRecord build(SnapshotResult& result, const SettingsPointer& settings, TableOrigin origin) {
  const std::string main_cf = config::main_cf_path(settings->config_directory);
  const config::Diagnostics warnings_before = result.warnings;
  origin.directory = settings->config_directory;
  for (const TablePointer& table : origin.previous)
    if (table->facts().spec.kind == maps::TableKind::compiled)
      origin.expected.insert(table->facts().path);
  for (int i = 0; i < tries_max; ++i) {
    result.errors.clear();
    result.warnings = warnings_before;
    TableStore tables(origin);
    auto policy = compile(inputs_of(*settings, main_cf), tables);
    if (!tables.is_of_one_run()) {
      origin.expected.insert(tables.asked().begin(), tables.asked().end());
      continue;
    }
    result.files = tables.files();
    result.run = tables.set_record().run;
    for (const std::string& warning : tables.warnings())
      result.warnings.push_back({main_cf, 0, config::Severity::warning, warning});
    if (!policy) {
      config::Diagnostics errors;
      for (const ConfigError& error : policy.error())
        errors.push_back(diagnostic(error, config::Severity::error));
      add_errors(result.errors, std::move(errors));
      return tables.set_record();
    }
    // Said when main.cf was read; not at every change of a table.
    if (!origin.changed)
      for (const ConfigError& warning : policy->warnings)
        result.warnings.push_back(diagnostic(warning, config::Severity::warning));
    result.snapshot =
        std::make_unique<const Snapshot>(settings, std::move(*policy), tables.tables());
    return tables.set_record();
  }
  result.errors.push_back({main_cf, 0, config::Severity::error,
                           "the tables change faster than they can be read; run mapc less often"});
  return {};
}

// What restrictions and tables are refused for, when main.cf is refused already: an operator sees
// all at once.
SnapshotResult look_for_errors(const SettingsPointer& settings, config::Diagnostics&& refused,
                               const std::vector<TablePointer>& previous) {
  SnapshotResult found;
  build(found, settings, {{}, previous, {}, 0, {}});
  SnapshotResult result;
  result.settings = settings;
  result.errors = std::move(refused);
  add_errors(result.errors, std::move(found.errors));
  std::ranges::move(found.warnings, std::back_inserter(result.errors));
  config::sort_by_place(result.errors);
  return result;
}

bool is_broken(const maps::SetRecord& run, const std::vector<TableFile>& files) {
  return std::ranges::any_of(
      files, [&](const TableFile& file) { return !file.error.empty() && run.lists(file.path); });
}

}  // namespace

SnapshotResult load_snapshot(std::string_view directory, const config::FileReader& reader,
                             const config::HostFacts& host,
                             const std::vector<TablePointer>& previous) {
  SnapshotResult result;
  config::LoadResult loaded = config::load(directory, reader, host);
  if (loaded.refused)
    return look_for_errors(std::make_shared<const config::Settings>(std::move(*loaded.refused)),
                           std::move(loaded.settings.error()), previous);
  if (!loaded.settings) {
    result.errors = std::move(loaded.settings.error());
    return result;
  }
  result.warnings = std::move(loaded.warnings);
  result.settings = std::make_shared<const config::Settings>(std::move(*loaded.settings));
  build(result, result.settings, {{}, previous, {}, 0, {}});
  return result;
}

SnapshotResult refresh_snapshot(const Snapshot& old, uint64_t run,
                                const std::set<std::string>& changed) {
  SnapshotResult result;
  const maps::SetRecord record = build(result, old.settings, {{}, old.tables, changed, run, {}});
  if (record.run != run && is_broken(record, result.files)) {
    // All tables of the new run stay as they were, until it is whole.
    std::set<std::string> others = changed;
    for (const std::string& path : record.paths) others.erase(path);
    result.snapshot.reset();
    SnapshotResult second;
    build(second, old.settings, {{}, old.tables, others, record.run, {}});
    result.snapshot = std::move(second.snapshot);
    result.errors = std::move(second.errors);
    result.run = run;
    // Of the broken run what was seen first, of all else what is in use now.
    std::erase_if(result.files, [&](const TableFile& file) { return !record.lists(file.path); });
    for (TableFile& file : second.files)
      if (!record.lists(file.path)) result.files.push_back(std::move(file));
  }
  if (result.snapshot && result.snapshot->tables == old.tables) result.snapshot = nullptr;
  return result;
}

}  // namespace mx::policy
