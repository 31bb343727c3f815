#include "engine/config/named_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "engine/config/evaluator.h"
#include "engine/config/expand.h"
#include "engine/config/lists.h"
#include "engine/config/main_cf.h"
#include "engine/config/parameters.h"
#include "engine/config/values.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

using namespace std::string_view_literals;
using Names = std::set<std::string, std::less<>>;

// Lists in which Postfix replaces a /file by what is in it (match_list).
constexpr std::array match_lists{"authorized_flush_users"sv,
                                 "authorized_mailq_users"sv,
                                 "authorized_submit_users"sv,
                                 "debug_peer_list"sv,
                                 "fast_flush_domains"sv,
                                 "mydestination"sv,
                                 "mynetworks"sv,
                                 "permit_mx_backup_networks"sv,
                                 "qmqpd_authorized_clients"sv,
                                 "relay_domains"sv,
                                 "ringmx_proxy_trusted"sv,
                                 "smtpd_authorized_verp_clients"sv,
                                 "smtpd_authorized_xclient_hosts"sv,
                                 "smtpd_authorized_xforward_hosts"sv,
                                 "smtpd_client_event_limit_exceptions"sv,
                                 "smtpd_sasl_exceptions_networks"sv,
                                 "virtual_alias_domains"sv,
                                 "virtual_mailbox_domains"sv};

bool is_match_list(std::string_view name) {
  return std::ranges::find(match_lists, name) != match_lists.end();
}

bool is_alias_parameter(std::string_view name) {
  return name == "alias_maps" || name == "alias_database";
}

bool is_no_use(std::string_view name) {
  return name == "proxy_read_maps" || name == "proxy_write_maps" || name == "address_verify_map" ||
         name.ends_with("_cache_database") || name.ends_with("_cache_map") ||
         name.ends_with("_cache_maps") || name.ends_with("_auth_cache_name");
}

bool is_text(std::string_view name) {
  const Parameter* row = find_parameter(name);
  return row == nullptr || row->type == Type::text;
}

// Whether nothing but a table makes sense here, so that a name which is none is worth a word.
bool takes_tables_only(std::string_view parameter, std::string_view word_before) {
  return is_alias_parameter(parameter) || parameter.ends_with("_maps") ||
         parameter.ends_with("_map") || parameter.ends_with("_clientcerts") ||
         (word_before.starts_with("check_") && word_before.ends_with("_access"));
}

class Finder {
 public:
  Finder(const MainCf& main_cf, const FileReader& reader, const HostFacts& host, NamedTables& found)
      : main_cf_(main_cf),
        reader_(reader),
        values_(main_cf, host, ignored_),
        lists_(values_, reader),
        found_(found) {}

  void run() {
    note_names();
    for (const Entry& entry : main_cf_.entries())
      if (is_use(entry.name)) look_at(entry);
    for (const std::string_view name : {"alias_maps"sv, "alias_database"sv}) note_aliases(name);
    for (NamedTable& table : found_.tables) table.is_aliases = aliases_.contains(table.spec.text());
  }

 private:
  void note_names();
  bool is_use(std::string_view name) const;
  void look_at(const Entry& entry);
  bool has_words(std::string_view name) const;
  bool can_be_read(const Entry& entry);
  void check_files(const List& list);
  void look_at(const Word& word, std::string_view parameter, bool tables_only);
  void add(maps::TableSpec spec, const Word& word, std::string_view parameter);
  void note_aliases(const maps::TableSpec& spec);
  void note_aliases(std::string_view parameter);

  const MainCf& main_cf_;
  const FileReader& reader_;
  Diagnostics ignored_;  // what makes ringmx refuse a value does not matter here
  Evaluator values_;
  ListReader lists_;
  NamedTables& found_;
  Names classes_, referred_, seen_, aliases_, complaints_;
};

void Finder::note_names() {
  for (const Word& word : values_.list("smtpd_restriction_classes").words)
    classes_.insert(word.text);
  for (const Entry& entry : main_cf_.entries())
    for_each_name(entry.value, [this](std::string_view name) { referred_.emplace(name); });
}

bool Finder::is_use(std::string_view name) const {
  if (is_no_use(name) || !is_text(name)) return false;
  const bool known = find_parameter(name) != nullptr || find_transport_parameter(name);
  return known || classes_.contains(name) || !referred_.contains(name);
}

bool Finder::has_words(std::string_view name) const {
  return takes_tables_only(name, {}) || name.ends_with("_restrictions") || is_match_list(name) ||
         classes_.contains(name);
}

// A value that can not be expanded or split may hide tables. Free text has no list syntax.
bool Finder::can_be_read(const Entry& entry) {
  const auto value =
      expand(entry.value, [this](std::string_view name) { return values_.raw(name); });
  const auto complain = [&](std::string_view text) {
    found_.diagnostics.push_back(
        {main_cf_.file(), entry.line, Severity::error, fmt::format("{}: {}", entry.name, text)});
    return false;
  };
  if (!value) return complain(value.error());
  const auto words = split_list(*value);
  if (words) return true;
  return has_words(entry.name) && complain(words.error());
}

void Finder::look_at(const Entry& entry) {
  if (!can_be_read(entry)) return;
  const List written = values_.list(entry.name);
  if (is_match_list(entry.name)) check_files(written);
  const List list = is_match_list(entry.name) ? lists_.match_list(entry.name) : written;
  std::string_view before;
  for (const Word& word : list.words) {
    look_at(word, entry.name, takes_tables_only(entry.name, before));
    before = word.text;
  }
}

void Finder::check_files(const List& list) {
  for (const Word& word : list.words) {
    const std::string_view path = std::string_view(word.text).substr(
        std::min(word.text.find_first_not_of('!'), word.text.size()));
    if (!path.starts_with('/')) continue;
    if (const auto content = reader_(path); !content)
      found_.diagnostics.push_back(
          {word.file, word.line, Severity::warning,
           fmt::format("{}: {}: {}", list.parameter, printable(path), content.error())});
  }
}

void Finder::look_at(const Word& word, std::string_view parameter, bool tables_only) {
  std::string_view text = word.text;
  while (text.starts_with('!')) text.remove_prefix(1);
  if (!maps::looks_like_table(text)) return;
  auto spec = maps::parse_table_spec(text);
  if (spec) return add(std::move(*spec), word, parameter);
  if (!tables_only || !complaints_.emplace(text).second) return;
  found_.diagnostics.push_back(
      {word.file, word.line, Severity::warning, fmt::format("{}: {}", parameter, spec.error())});
}

void Finder::add(maps::TableSpec spec, const Word& word, std::string_view parameter) {
  if (spec.kind == maps::TableKind::union_of) {
    for (maps::TableSpec& part : spec.parts) add(std::move(part), word, parameter);
    return;
  }
  if (!seen_.insert(spec.text()).second) return;
  if (spec.kind == maps::TableKind::compiled && !spec.name.starts_with('/')) {
    found_.diagnostics.push_back({word.file, word.line, Severity::warning,
                                  fmt::format("{}: {} has no absolute path: not compiled",
                                              parameter, printable(spec.text()))});
    return;
  }
  found_.tables.push_back({std::move(spec), std::string(parameter), word.file, word.line, false});
}

void Finder::note_aliases(const maps::TableSpec& spec) {
  aliases_.insert(spec.text());
  for (const maps::TableSpec& part : spec.parts) note_aliases(part);
}

// Also of a default: `local_recipient_maps = $alias_maps` names its tables.
void Finder::note_aliases(std::string_view parameter) {
  for (const Word& word : values_.list(parameter).words) {
    if (const auto spec = maps::parse_table_spec(word.text)) note_aliases(*spec);
  }
}

}  // namespace

NamedTables find_tables(std::string_view directory, const FileReader& reader,
                        const HostFacts& host) {
  NamedTables found;
  const std::string path = main_cf_path(directory);
  auto text = reader(path);
  if (!text) {
    found.diagnostics.push_back({path, 0, Severity::error, text.error()});
    return found;
  }
  const MainCf main_cf = MainCf::parse(std::move(*text), path, found.diagnostics);
  Finder(main_cf, reader, host, found).run();
  return found;
}

}  // namespace mx::config
