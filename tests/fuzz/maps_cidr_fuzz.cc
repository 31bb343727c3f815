// A cidr table of any content: flattened ranges answer as the rules read one after the other, at
// every boundary of every network that the source names and beside it.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maps/cidr.h"
#include "maps/cidr_flatten.h"
#include "proto/base/assert.h"
#include "proto/base/text.h"

namespace {

using namespace mx;

// What the rules say at `address`: the number of a value, or 0.
uint32_t first_match(const std::vector<maps::CidrRule>& rules, const IpAddress& address) {
  std::vector<bool> holds(rules.size());
  for (size_t i = 0; i < rules.size(); ++i) {
    const maps::CidrRule& rule = rules[i];
    const bool inside = rule.parent == maps::CidrRule::no_parent || holds[rule.parent];
    holds[i] = inside && rule.network.address.v6 == address.v6 &&
               rule.network.contains(address) == rule.affirmative;
    if (holds[i] && rule.value != maps::CidrRule::is_if) return rule.value;
  }
  return 0;
}

// Rules from bytes, so that every shape of them is near: 6 bytes a rule.
std::vector<maps::CidrRule> rules_from(const uint8_t* data, size_t size) {
  std::vector<maps::CidrRule> rules;
  std::vector<uint32_t> open;
  for (; size >= 6 && rules.size() < 200; data += 6, size -= 6) {
    maps::CidrRule rule;
    rule.network.address.v6 = (data[0] & 1U) != 0;
    rule.affirmative = (data[0] & 2U) != 0;
    if ((data[0] & 4U) != 0 && !open.empty()) open.pop_back();
    if (!open.empty()) rule.parent = open.back();
    const size_t last = rule.network.address.v6 ? 15 : 3;
    rule.network.address.bytes[0] = data[1];
    rule.network.address.bytes[last - 1] = data[2];
    rule.network.address.bytes[last] = data[3];
    rule.network.prefix_bits = static_cast<uint8_t>(data[4] % (rule.network.address.bits() + 1));
    rule.network.address = masked(rule.network.address, rule.network.prefix_bits);
    if ((data[0] & 24U) == 24U)
      open.push_back(static_cast<uint32_t>(rules.size()));
    else
      rule.value = 1 + data[5];
    rules.push_back(rule);
  }
  return rules;
}

void step(IpAddress& address, bool up) {
  for (size_t i = address.bits() / 8; i-- > 0;) {
    address.bytes[i] = static_cast<uint8_t>(address.bytes[i] + (up ? 1 : 255));
    if (address.bytes[i] != (up ? 0 : 255)) break;
  }
}

void check(const std::vector<maps::CidrRule>& rules) {
  const auto ipv4 = maps::flatten_ipv4(rules);
  const auto ipv6 = maps::flatten_ipv6(rules);
  MX_ASSERT(ipv4.size() + ipv6.size() <= 4 * rules.size() + 2);
  const auto check_at = [&](const IpAddress& address) {
    const uint32_t found =
        address.v6 ? ipv6.find(maps::ipv6_number(address)) : ipv4.find(maps::ipv4_number(address));
    MX_ASSERT(found == first_match(rules, address));
  };
  for (const maps::CidrRule& rule : rules) {
    IpAddress address = rule.network.address;
    check_at(address);
    step(address, false);
    check_at(address);
    address = rule.network.address;
    for (size_t bit = rule.network.prefix_bits; bit < address.bits(); ++bit)
      address.bytes[bit / 8] |= static_cast<uint8_t>(0x80U >> bit % 8);
    check_at(address);
    step(address, true);
    check_at(address);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check(rules_from(data, size));

  const std::string_view source(reinterpret_cast<const char*>(data), size);
  std::vector<maps::SourceDiagnostic> diagnostics;
  const maps::CidrTable table = maps::CidrTable::compile(source, diagnostics);
  for (const maps::SourceDiagnostic& diagnostic : diagnostics) MX_ASSERT(diagnostic.line > 0);
  // Words of the source as keys: a value is never empty, and the same address has the same value.
  for (std::string_view rest = source; !rest.empty();) {
    const std::string_view key = take_word(rest, " \t\n\r/[]!");
    const maps::Lookup found = table.find(key);
    MX_ASSERT(found.outcome != maps::Outcome::tempfail);
    MX_ASSERT(found.is_hit() == !found.value.empty());
    const auto address = parse_ip_address(key);
    MX_ASSERT(address.has_value() || !found.is_hit());
    if (address) MX_ASSERT(table.find(to_string(*address)).value == found.value);
  }
  return 0;
}
