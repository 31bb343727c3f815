// engine/policy/match_list.h - Postfix's match lists (mydestination, relay_domains, mynetworks):
// elements from left to right, the first that matches decides.
//
// An element is a plain pattern, an address or network, or a table (type:path, key present =
// match); `!` in front makes a match mean "not in the list". Names and addresses are compared
// without regard to case. Compiled once, const after that, any thread; no allocation when matching.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/policy/inputs.h"
#include "engine/policy/tables.h"
#include "maps/keys.h"
#include "proto/base/ip_address.h"

namespace mx::policy {

enum class Match : uint8_t { no, yes, tempfail };

class MatchList {
 public:
  // What the elements are matched against: names (mydestination, relay_domains) or clients
  // (mynetworks).
  enum class Subject : uint8_t { domain, client };

  static MatchList compile(const Tokens& elements, Subject subject, maps::SubdomainStyle style,
                           TableStore& tables, std::vector<ConfigError>& errors);

  // `name` in any case.
  Match match_domain(std::string_view name) const;
  Match match_client(std::string_view name, std::string_view address_text,
                     const IpAddress& address) const;

 private:
  struct Element {
    bool negated = false;
    std::variant<std::string, IpNetwork, TablePointer> what;  // pattern in lower case
  };
  static std::expected<Element, std::string> parse(std::string_view text, Subject subject,
                                                   TableStore& tables);
  static Match ask(const TablePointer& table, std::span<const maps::Key> keys);
  Match match_name(const Element& element, std::span<const maps::Key> name_keys) const;

  std::vector<Element> elements_;
  maps::SubdomainStyle style_ = maps::SubdomainStyle::dot;
};

}  // namespace mx::policy
