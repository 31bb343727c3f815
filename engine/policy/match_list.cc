#include "engine/policy/match_list.h"

#include "maps/spec.h"
#include "proto/base/assert.h"
#include "proto/base/text.h"

namespace mx::policy {

namespace {

bool digits_and_dots(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

std::expected<MatchList::Element, std::string> MatchList::parse(std::string_view text,
                                                                Subject subject,
                                                                TableStore& tables) {
  Element element;
  while (text.starts_with('!')) {
    element.negated = !element.negated;
    text.remove_prefix(1);
  }
  if (text.empty()) return std::unexpected("no pattern after '!'");
  if (text.starts_with('#')) return std::unexpected("#comment after other text is not allowed");
  if (text.starts_with('/')) return std::unexpected("file " + std::string(text) + " in a list");
  if (maps::looks_like_table(text)) {
    if (parse_ip_address(text.substr(0, text.find('/'))))
      return std::unexpected("an IPv6 address must be in brackets: \"" + std::string(text) + "\"");
    auto table = tables.open(text);
    if (!table) return std::unexpected(table.error());
    element.what = std::move(*table);
    return element;
  }
  const bool is_network =
      text.starts_with('[') || text.find('/') != std::string_view::npos || digits_and_dots(text);
  if (subject == Subject::client && is_network) {
    const auto network = IpNetwork::parse(text);
    if (!network) return std::unexpected(network.error());
    element.what = *network;
    return element;
  }
  element.what = lower(text);
  return element;
}

MatchList MatchList::compile(const Tokens& elements, Subject subject, maps::SubdomainStyle style,
                             TableStore& tables, std::vector<ConfigError>& errors) {
  MatchList list;
  list.style_ = style;
  for (const Token& token : elements) {
    auto element = parse(token.text, subject, tables);
    if (element)
      list.elements_.push_back(std::move(*element));
    else
      errors.push_back({token.file, token.line, element.error()});
  }
  return list;
}

Match MatchList::ask(const TablePointer& table, std::span<const maps::Key> keys) {
  maps::ValueText made;
  switch (table->find_first(keys, made).lookup.outcome) {
    case maps::Outcome::hit:
      return Match::yes;
    case maps::Outcome::miss:
      return Match::no;
    case maps::Outcome::tempfail:
      return Match::tempfail;
  }
  MX_ASSERT(false);
}

// The first of `name_keys` is the name itself, folded; without a name there are none.
Match MatchList::match_name(const Element& element, std::span<const maps::Key> name_keys) const {
  if (name_keys.empty()) return Match::no;
  if (const auto* pattern = std::get_if<std::string>(&element.what))
    return maps::domain_matches(*pattern, name_keys.front().text, style_) ? Match::yes : Match::no;
  const auto* table = std::get_if<TablePointer>(&element.what);
  return table == nullptr ? Match::no : ask(*table, name_keys);
}

Match MatchList::match_domain(std::string_view name) const {
  maps::KeyList keys;
  maps::domain_keys(keys, name, style_);
  for (const Element& element : elements_) {
    const Match match = match_name(element, keys.keys());
    if (match == Match::tempfail) return match;
    if (match == Match::yes) return element.negated ? Match::no : Match::yes;
  }
  return Match::no;
}

Match MatchList::match_client(std::string_view name, std::string_view address_text,
                              const IpAddress& address) const {
  maps::KeyList keys;
  maps::domain_keys(keys, name, style_);
  const maps::Key address_key{address_text, false};
  for (const Element& element : elements_) {
    Match match = match_name(element, keys.keys());
    if (match == Match::no) {
      if (const auto* network = std::get_if<IpNetwork>(&element.what))
        match = network->contains(address) ? Match::yes : Match::no;
      else if (const auto* table = std::get_if<TablePointer>(&element.what))
        match = ask(*table, {&address_key, 1});
    }
    if (match == Match::tempfail) return match;
    if (match == Match::yes) return element.negated ? Match::no : Match::yes;
  }
  return Match::no;
}

}  // namespace mx::policy
