#include "engine/policy/match_list.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "maps/spec.h"
#include "proto/base/assert.h"
#include "proto/base/text.h"

namespace mx::policy {

namespace {

size_t bytes_of(const IpAddress& address) {
  return address.v6 ? 16 : 4;
}

std::string to_text(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof text);
  return text;
}

// Clears the bits behind the first `prefix_bits`.
IpAddress masked(IpAddress address, size_t prefix_bits) {
  for (size_t i = 0; i < address.bytes.size(); ++i) {
    const size_t kept = std::clamp<size_t>(prefix_bits, i * 8, i * 8 + 8) - i * 8;
    address.bytes[i] &= static_cast<uint8_t>(0xFF00U >> kept);
  }
  return address;
}

bool digits_and_dots(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

std::optional<IpAddress> parse_address(std::string_view text) {
  IpAddress address;
  const std::string terminated(text);
  if (::inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) return address;
  address.v6 = true;
  if (::inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

bool Network::contains(const IpAddress& client) const {
  if (client.v6 != address.v6) return false;
  const size_t whole = prefix_bits / 8;
  if (std::memcmp(client.bytes.data(), address.bytes.data(), whole) != 0) return false;
  if (prefix_bits % 8 == 0) return true;
  const uint8_t difference = client.bytes[whole] ^ address.bytes[whole];
  return difference >> (8 - prefix_bits % 8) == 0;
}

std::expected<Network, std::string> Network::parse(std::string_view text) {
  const auto bad = [&](const std::string& why) {
    return std::unexpected(why + " \"" + std::string(text) + "\"");
  };
  // `[v6]/n` and `[v6/n]` are the same.
  std::string plain;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return bad("missing ']' in");
    plain = std::string(text.substr(1, end - 1)) + std::string(text.substr(end + 1));
  } else {
    plain = text;
  }
  const size_t slash = plain.find('/');
  const auto address = parse_address(plain.substr(0, slash));
  if (!address) return bad("bad address pattern");
  const size_t bits_max = bytes_of(*address) * 8;
  uint64_t bits = bits_max;
  if (slash != std::string::npos) {
    const auto given = parse_decimal(plain.substr(slash + 1));
    if (!given || *given > bits_max) return bad("bad net/mask pattern");
    bits = *given;
  }
  const IpAddress network = masked(*address, bits);
  if (network != *address) {
    const std::string open = address->v6 ? "[" : "", close = address->v6 ? "]" : "";
    return std::unexpected("non-null host address bits in \"" + std::string(text) +
                           "\", perhaps you should use \"" + open + to_text(network) + close + "/" +
                           std::to_string(bits) + "\" instead");
  }
  return Network{network, static_cast<uint8_t>(bits)};
}

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
    if (parse_address(text.substr(0, text.find('/'))))
      return std::unexpected("an IPv6 address must be in brackets: \"" + std::string(text) + "\"");
    auto table = tables.open(text);
    if (!table) return std::unexpected(table.error());
    element.what = std::move(*table);
    return element;
  }
  const bool is_network =
      text.starts_with('[') || text.find('/') != std::string_view::npos || digits_and_dots(text);
  if (subject == Subject::client && is_network) {
    const auto network = Network::parse(text);
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
      if (const auto* network = std::get_if<Network>(&element.what)) {
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
