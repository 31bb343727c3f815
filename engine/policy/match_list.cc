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

Match MatchList::match_name(const Element& element, std::string_view folded_name) const {
  if (const auto* pattern = std::get_if<std::string>(&element.what))
    return maps::domain_matches(*pattern, folded_name, style_) ? Match::yes : Match::no;
  const auto* table = std::get_if<TablePointer>(&element.what);
  if (table == nullptr) return Match::no;
  maps::DomainKeys keys(folded_name, style_);
  std::string_view key;
  while (keys.next(key)) {
    const maps::Lookup found = (*table)->find(key);
    if (found.outcome == maps::Outcome::tempfail) return Match::tempfail;
    if (found.is_hit()) return Match::yes;
  }
  return Match::no;
}

Match MatchList::match_domain(std::string_view name) const {
  maps::KeyText folded;
  if (!maps::fold(folded, name)) return Match::no;
  for (const Element& element : elements_) {
    const Match match = match_name(element, folded.view());
    if (match == Match::tempfail) return match;
    if (match == Match::yes) return element.negated ? Match::no : Match::yes;
  }
  return Match::no;
}

Match MatchList::match_client(std::string_view name, std::string_view address_text,
                              const IpAddress& address) const {
  maps::KeyText folded;
  if (!maps::fold(folded, name)) folded.clear();
  for (const Element& element : elements_) {
    Match match = match_name(element, folded.view());
    if (match == Match::no) {
      if (const auto* network = std::get_if<IpNetwork>(&element.what)) {
        if (network->contains(address)) match = Match::yes;
      } else if (const auto* table = std::get_if<TablePointer>(&element.what)) {
        const maps::Lookup found = (*table)->find(address_text);
        if (found.outcome == maps::Outcome::tempfail) return Match::tempfail;
        if (found.is_hit()) match = Match::yes;
      }
    }
    if (match == Match::tempfail) return match;
    if (match == Match::yes) return element.negated ? Match::no : Match::yes;
  }
  return Match::no;
}

}  // namespace mx::policy
