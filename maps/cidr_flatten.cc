#include "maps/cidr_flatten.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <type_traits>

#include "proto/base/assert.h"
#include "proto/base/endian.h"

namespace mx::maps {

namespace {

// A set of numbers below a fixed size with a fast "first not below": bits, then a bit for every
// word that is not zero, and so on.
class BitSet {
 public:
  explicit BitSet(size_t size) {
    do {
      size = (size + 63) / 64;
      levels_.emplace_back(size, 0);
    } while (size > 1);
  }
  bool contains(size_t i) const { return (levels_[0][i / 64] >> i % 64 & 1U) != 0; }
  void insert(size_t i) {
    for (auto& level : levels_) {
      const bool was_empty = level[i / 64] == 0;
      level[i / 64] |= uint64_t{1} << i % 64;
      if (!was_empty) return;
      i /= 64;
    }
  }
  void erase(size_t i) {
    for (auto& level : levels_) {
      level[i / 64] &= ~(uint64_t{1} << i % 64);
      if (level[i / 64] != 0) return;
      i /= 64;
    }
  }
  // SIZE_MAX when there is none.
  size_t first_from(size_t i) const {
    size_t height = 0;
    for (; height < levels_.size(); ++height) {
      if (i / 64 >= levels_[height].size()) return SIZE_MAX;
      const uint64_t rest = levels_[height][i / 64] >> i % 64;
      if (rest != 0) {
        i += static_cast<size_t>(std::countr_zero(rest));
        break;
      }
      i = i / 64 + 1;
    }
    if (height == levels_.size()) return SIZE_MAX;
    while (height-- > 0) i = i * 64 + static_cast<size_t>(std::countr_zero(levels_[height][i]));
    return i;
  }

 private:
  std::vector<std::vector<uint64_t>> levels_;
};

// Which rules hold at one address, and the first that matches there.
class State {
 public:
  explicit State(std::span<const CidrRule> rules)
      : rules_(rules),
        position_(rules.size()),
        rule_at_(rules.size()),
        block_starts_(rules.size() + 2, 0),
        condition_(rules.size(), 0),
        live_(rules.size()) {
    for (const CidrRule& rule : rules) ++block_starts_[block_of(rule) + 1];
    for (size_t i = 1; i < block_starts_.size(); ++i) block_starts_[i] += block_starts_[i - 1];
    std::vector<uint32_t> next = block_starts_;
    for (uint32_t i = 0; i < rules.size(); ++i) {
      position_[i] = next[block_of(rules[i])]++;
      rule_at_[position_[i]] = i;
    }
  }

  // The condition of `rule` becomes the opposite.
  void flip(uint32_t rule) {
    condition_[rule] ^= 1;
    while (true) {
      const bool is_if = rules_[rule].value == CidrRule::is_if;
      const bool live = condition_[rule] != 0 && (!is_if || first_in(rule + 1).has_value());
      if (live == live_.contains(position_[rule])) return;
      if (live)
        live_.insert(position_[rule]);
      else
        live_.erase(position_[rule]);
      if (rules_[rule].parent == CidrRule::no_parent) return;
      rule = rules_[rule].parent;
    }
  }

  uint32_t value() const {
    auto rule = first_in(0);
    while (rule && rules_[*rule].value == CidrRule::is_if) rule = first_in(*rule + 1);
    return rule ? rules_[*rule].value : 0;
  }

 private:
  // Block 0 is the whole table, block i + 1 what rule i (an `if`) encloses.
  static size_t block_of(const CidrRule& rule) {
    return rule.parent == CidrRule::no_parent ? 0 : size_t{rule.parent} + 1;
  }
  std::optional<uint32_t> first_in(size_t block) const {
    if (block_starts_[block] == block_starts_[block + 1]) return std::nullopt;
    const size_t at = live_.first_from(block_starts_[block]);
    if (at >= block_starts_[block + 1]) return std::nullopt;
    return rule_at_[at];
  }

  std::span<const CidrRule> rules_;
  std::vector<uint32_t> position_;      // of each rule in live_
  std::vector<uint32_t> rule_at_;       // its inverse
  std::vector<uint32_t> block_starts_;  // positions
  std::vector<uint8_t> condition_;
  BitSet live_;
};

template <typename Address>
struct Change {
  Address address;
  uint32_t rule;
  bool operator<(const Change& other) const { return address < other.address; }
};

// The first address after the network; nothing when it reaches to the end.
std::optional<uint32_t> after(uint32_t start, uint8_t prefix_bits) {
  const uint64_t next = start + (uint64_t{1} << (32 - prefix_bits));
  if (next > UINT32_MAX) return std::nullopt;
  return static_cast<uint32_t>(next);
}

std::optional<Ipv6Number> after(Ipv6Number start, uint8_t prefix_bits) {
  if (prefix_bits == 0) return std::nullopt;
  if (prefix_bits > 64) {
    start.low += uint64_t{1} << (128 - prefix_bits);
    if (start.low != 0) return start;
    prefix_bits = 64;
  }
  start.high += uint64_t{1} << (64 - prefix_bits);
  if (start.high == 0) return std::nullopt;
  return start;
}

template <typename Address>
Ranges<Address> flatten(std::span<const CidrRule> rules) {
  constexpr bool v6 = std::is_same_v<Address, Ipv6Number>;
  State state(rules);
  std::vector<Change<Address>> changes;
  for (uint32_t i = 0; i < rules.size(); ++i) {
    const IpNetwork& network = rules[i].network;
    if (network.address.v6 != v6) continue;
    Address start;
    if constexpr (v6)
      start = ipv6_number(network.address);
    else
      start = ipv4_number(network.address);
    changes.push_back({start, i});
    if (const auto end = after(start, network.prefix_bits)) changes.push_back({*end, i});
    if (!rules[i].affirmative) state.flip(i);
  }
  std::sort(changes.begin(), changes.end());

  Ranges<Address> ranges;
  Address at{};
  for (size_t i = 0;;) {
    for (; i < changes.size() && changes[i].address == at; ++i) state.flip(changes[i].rule);
    ranges.append(at, state.value());
    if (i == changes.size()) break;
    at = changes[i].address;
  }
  ranges.build();
  return ranges;
}

}  // namespace

uint32_t ipv4_number(const IpAddress& address) {
  MX_ASSERT(!address.v6);
  return std::byteswap(load_le<uint32_t>(std::as_bytes(std::span(address.bytes)).data()));
}

Ipv6Number ipv6_number(const IpAddress& address) {
  MX_ASSERT(address.v6);
  const std::byte* const bytes = std::as_bytes(std::span(address.bytes)).data();
  return {std::byteswap(load_le<uint64_t>(bytes)), std::byteswap(load_le<uint64_t>(bytes + 8))};
}

Ranges<uint32_t> flatten_ipv4(std::span<const CidrRule> rules) {
  return flatten<uint32_t>(rules);
}

Ranges<Ipv6Number> flatten_ipv6(std::span<const CidrRule> rules) {
  return flatten<Ipv6Number>(rules);
}

}  // namespace mx::maps
