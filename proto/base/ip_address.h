// proto/base/ip_address.h - IPv4 and IPv6 addresses and networks as values, and their text forms.
//
// Pure functions. Text is read as inet_pton(3) reads it (RFC 4291 2.2 for IPv6, four decimal parts
// for IPv4), so that a table, a list and the kernel agree on what is an address.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace mx {

struct IpAddress {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};  // network order; IPv4 in the first four, the others zero
  bool operator==(const IpAddress&) const = default;
  uint8_t bits() const { return v6 ? 128 : 32; }
};

// An address without brackets.
std::optional<IpAddress> parse_ip_address(std::string_view text);
std::string to_string(const IpAddress& address);  // no brackets

// An IPv4-mapped IPv6 address (::ffff:a.b.c.d) as the IPv4 address that it stands for.
IpAddress unmapped(const IpAddress& address);

// The address with the bits behind the first `prefix_bits` cleared.
IpAddress masked(IpAddress address, size_t prefix_bits);

// An address with the number of its leading bits that count.
struct IpNetwork {
  IpAddress address;
  uint8_t prefix_bits = 0;
  bool contains(const IpAddress& other) const;
  // `a.b.c.d`, `a.b.c.d/n`, `v6`, `v6/n`, `[v6]`, `[v6]/n`, `[v6/n]`; the error says what is wrong,
  // host bits beyond the mask included, in Postfix's words.
  static std::expected<IpNetwork, std::string> parse(std::string_view text);
};

}  // namespace mx
