#include "engine/config/addresses.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/config/values.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr size_t shown_bytes_max = 80;

std::string bracketed(std::string_view text, bool on) {
  return on ? fmt::format("[{}]", text) : std::string(text);
}

// Address classes A, B and C of RFC 791.
uint8_t class_prefix_length(uint8_t first_byte) {
  if (first_byte < 128) return 8;
  return first_byte < 192 ? 16 : 24;
}

}  // namespace

IpAddress loopback_address(bool v6) {
  IpAddress address;
  address.v6 = v6;
  if (v6)
    address.bytes.back() = 1;
  else
    address.bytes = {127, 0, 0, 1};
  return address;
}

std::optional<IpAddress> parse_address(std::string_view text) {
  if (!text.starts_with('[') || !text.ends_with(']')) return parse_ip_address(text);
  text = text.substr(1, text.size() - 2);
  if (starts_with_ignoring_case(text, "ipv6:")) text.remove_prefix(5);
  return parse_ip_address(text);
}

uint8_t network_prefix_length(const InterfaceAddress& one, std::string_view style) {
  if (style == "host") return one.address.v6 ? 128 : 32;
  if (style == "class" && !one.address.v6) return class_prefix_length(one.address.bytes[0]);
  return one.prefix_length;
}

std::string network_text(const IpAddress& address, uint8_t prefix_length) {
  const IpAddress network = masked(address, prefix_length);
  return fmt::format("{}/{}", bracketed(to_string(network), network.v6), prefix_length);
}

std::optional<uint16_t> parse_port(std::string_view text, std::string_view known_ports) {
  if (const auto number = parse_decimal(text))
    return *number <= 65'535 ? std::optional(static_cast<uint16_t>(*number)) : std::nullopt;
  const auto groups = split_list(known_ports);
  if (text.empty() || !groups) return std::nullopt;
  for (const std::string_view group : *groups) {  // name=name=…=port
    const size_t last = group.rfind('=');
    if (last == std::string_view::npos) continue;
    std::string_view names = group.substr(0, last);
    for (std::string_view name = take_word(names, "="); !name.empty(); name = take_word(names, "="))
      if (name == text) return parse_port(group.substr(last + 1), {});
  }
  return std::nullopt;
}

ListenAddress listen_address(const IpAddress& address, uint16_t port) {
  return {address, port, fmt::format("{}:{}", bracketed(to_string(address), address.v6), port)};
}

std::expected<std::vector<ListenAddress>, std::string> parse_listen(std::string_view text,
                                                                    bool ipv4, bool ipv6) {
  const auto malformed = [&] {
    return std::unexpected(
        fmt::format("\"{}\" is not addr:port, such as 127.0.0.1:25, [::1]:25 or *:25",
                    printable(text, shown_bytes_max)));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return malformed();
  const std::string_view host = text.substr(0, colon);
  const auto port = parse_port(text.substr(colon + 1), {});
  if (!port) return malformed();
  std::vector<ListenAddress> result;
  if (host == "*") {
    if (ipv4) result.push_back(listen_address({}, *port));
    if (ipv6) result.push_back(listen_address({.v6 = true, .bytes = {}}, *port));
    return result;
  }
  const auto address = parse_address(host);
  if (!address || (address->v6 && !host.starts_with('['))) return malformed();
  result.push_back(listen_address(*address, *port));
  return result;
}

std::expected<NextHop, std::string> parse_next_hop(std::string_view text, uint16_t default_port,
                                                   std::string_view known_ports) {
  const auto malformed = [&](std::string_view why) {
    return std::unexpected(fmt::format("{} in \"{}\"", why, printable(text, shown_bytes_max)));
  };
  NextHop hop;
  std::string_view rest;
  hop.bracketed = text.starts_with('[');
  if (hop.bracketed) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return malformed("missing ]");
    hop.host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
    if (starts_with_ignoring_case(hop.host, "ipv6:")) hop.host.erase(0, 5);
  } else {
    const size_t colon = std::min(text.rfind(':'), text.size());
    hop.host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  hop.port = default_port;
  if (!rest.empty()) {
    if (rest.front() != ':') return malformed("unexpected text after ]");
    const auto port = parse_port(rest.substr(1), known_ports);
    if (!port || *port == 0) return malformed("bad port");
    hop.port = *port;
  }
  if (const auto address = parse_ip_address(hop.host)) {
    hop.is_address = true;
    hop.address = *address;
    hop.host = to_string(*address);
  } else if (!is_valid_hostname(hop.host)) {
    return malformed("valid hostname or network address required");
  }
  hop.text = fmt::format("{}:{}", bracketed(hop.host, hop.bracketed), hop.port);
  return hop;
}

bool is_transport(std::string_view name) {
  constexpr std::array<std::string_view, 7> known{"relay", "smtp",  "local",  "virtual",
                                                  "error", "retry", "discard"};
  return std::ranges::find(known, name) != known.end();
}

std::expected<std::vector<NextHop>, std::string> parse_next_hops(std::string_view text,
                                                                 uint16_t default_port,
                                                                 std::string_view known_ports) {
  std::vector<NextHop> hops;
  while (true) {
    const std::string_view word = take_word(text, ", \t\r\n");
    if (word.empty()) return hops;
    auto hop = parse_next_hop(word, default_port, known_ports);
    if (!hop) return std::unexpected(std::move(hop.error()));
    hops.push_back(std::move(*hop));
  }
}

bool is_valid_hostname(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > limits::domain_bytes_max) return false;
  bool numeric = true;
  size_t label = 0;
  char previous = '.';
  for (const char c : name) {
    if (c == '.') {
      if (label == 0 || previous == '-') return false;
      label = 0;
    } else {
      if (!is_alnum(c) && c != '-' && c != '_') return false;
      if (c == '-' && label == 0) return false;
      if (++label > limits::domain_label_bytes_max) return false;
      numeric = numeric && is_digit(c);
    }
    previous = c;
  }
  return label > 0 && previous != '-' && !numeric;
}

}  // namespace mx::config
