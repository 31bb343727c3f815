// maps/cidr_flatten.h - rules of networks with `!` and nested `if` → disjoint ranges with the value
// of the first rule that matches.
//
// A sweep over all addresses at which any condition changes (at most two a rule). Rules and `if`s
// that hold at the present address are bits of a set in which the contents of one `if` lie side by
// side in their order; an `if` has its bit while its condition holds and something in it has. So
// the first bit, followed downwards, is the first rule that matches, and a change costs one step
// for each enclosing `if` that changes with it. Cost: O(n log n) for the sort, O(n · depth) for the
// rest; about 60 bytes a rule while it works. Exact by construction: nothing is approximated.
#pragma once

#include <cstdint>
#include <span>

#include "maps/ranges.h"
#include "proto/base/ip_address.h"

namespace mx::maps {

struct CidrRule {
  static constexpr uint32_t no_parent = UINT32_MAX;
  static constexpr uint32_t is_if = UINT32_MAX;

  IpNetwork network;
  bool affirmative = true;      // false: `!`, all addresses of its family but these
  uint32_t parent = no_parent;  // index of the innermost `if` around it
  uint32_t value = is_if;       // number of its value, from 1
};

// Rules in the order of the source. A rule about the other family never holds.
Ranges<uint32_t> flatten_ipv4(std::span<const CidrRule> rules);
Ranges<Ipv6Number> flatten_ipv6(std::span<const CidrRule> rules);

uint32_t ipv4_number(const IpAddress& address);
Ipv6Number ipv6_number(const IpAddress& address);

}  // namespace mx::maps
