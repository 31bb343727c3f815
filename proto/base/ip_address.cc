#include "proto/base/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "proto/base/text.h"

namespace mx {

std::optional<IpAddress> parse_ip_address(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof terminated || text.find('\0') != text.npos) return std::nullopt;
  if (!text.empty()) std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  IpAddress address;
  if (::inet_pton(AF_INET, terminated, address.bytes.data()) == 1) return address;
  address = {.v6 = true, .bytes = {}};
  if (::inet_pton(AF_INET6, terminated, address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::string to_string(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof text);
  return text;
}

IpAddress unmapped(const IpAddress& address) {
  static constexpr uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (!address.v6 || !std::equal(mapped, mapped + 12, address.bytes.begin())) return address;
  IpAddress v4;
  std::copy(address.bytes.begin() + 12, address.bytes.end(), v4.bytes.begin());
  return v4;
}

IpAddress masked(IpAddress address, size_t prefix_bits) {
  for (size_t i = 0; i < address.bytes.size(); ++i) {
    const size_t kept = std::clamp<size_t>(prefix_bits, i * 8, i * 8 + 8) - i * 8;
    address.bytes[i] &= static_cast<uint8_t>(0xFF00U >> kept);
  }
  return address;
}

bool IpNetwork::contains(const IpAddress& other) const {
  if (other.v6 != address.v6) return false;
  const size_t whole = prefix_bits / 8;
  if (std::memcmp(other.bytes.data(), address.bytes.data(), whole) != 0) return false;
  if (prefix_bits % 8 == 0) return true;
  const uint8_t difference = other.bytes[whole] ^ address.bytes[whole];
  return difference >> (8 - prefix_bits % 8) == 0;
}

std::expected<IpNetwork, std::string> IpNetwork::parse(std::string_view text) {
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
  const auto address = parse_ip_address(plain.substr(0, slash));
  if (!address) return bad("bad address pattern");
  uint64_t bits = address->bits();
  if (slash != std::string::npos) {
    const auto given = parse_decimal(plain.substr(slash + 1));
    if (!given || *given > bits) return bad("bad net/mask pattern");
    bits = *given;
  }
  const IpAddress network = masked(*address, bits);
  if (network != *address) {
    const std::string open = address->v6 ? "[" : "", close = address->v6 ? "]" : "";
    return std::unexpected("non-null host address bits in \"" + std::string(text) +
                           "\", perhaps you should use \"" + open + to_string(network) + close +
                           "/" + std::to_string(bits) + "\" instead");
  }
  return IpNetwork{network, static_cast<uint8_t>(bits)};
}

}  // namespace mx
