// maps/cidr.h - a cidr table (cidr_table(5)): rules of networks, first match wins, flattened when
// it is compiled into disjoint ranges, so that a look-up costs the same for ten rules and a
// million.
//
// IPv4 and IPv6 have a sorted array of range starts each, entered through a direct index over 16
// bits (ranges.h). Equal values are kept once. Owner and threads: immutable after compile(), any
// thread. An IPv4-mapped IPv6 address is an IPv6 address here, as in Postfix, which writes the
// client's address as IPv4 before it looks it up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maps/lookup.h"
#include "maps/ranges.h"
#include "maps/source.h"
#include "proto/base/ip_address.h"

namespace mx::maps {

class CidrTable {
 public:
  // Reads cidr source text. Rules that Postfix ignores are ignored, with its words in
  // `diagnostics`. Cost: about a microsecond a rule.
  static CidrTable compile(std::string_view source, std::vector<SourceDiagnostic>& diagnostics);

  // `key`: the text of an address; anything else is a miss.
  Lookup find(std::string_view key) const;
  Lookup find(const IpAddress& address) const;
  size_t rule_count() const { return rule_count_; }  // without `if`s
  size_t range_count() const { return ipv4_.size() + ipv6_.size(); }

 private:
  Ranges<uint32_t> ipv4_;
  Ranges<Ipv6Number> ipv6_;
  std::vector<std::string> values_;  // number n is values_[n - 1]
  size_t rule_count_ = 0;
};

}  // namespace mx::maps
