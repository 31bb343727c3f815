// engine/config/addresses.h - the address forms of main.cf: addresses, networks, where to listen,
// next hops. Pure functions; an error is a sentence without place.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/host_facts.h"
#include "engine/config/settings.h"

namespace mx::config {

IpAddress loopback_address(bool v6);
// `1.2.3.4`, `::1`, `[1.2.3.4]`, `[::1]`, `[ipv6:::1]`.
std::optional<IpAddress> parse_address(std::string_view text);

// How many leading bits of an interface's address mynetworks_style (host, subnet, class) trusts.
uint8_t network_prefix_length(const InterfaceAddress& one, std::string_view style);
// `192.0.2.0/24`, `[fd00::]/64`: host bits cleared.
std::string network_text(const IpAddress& address, uint8_t prefix_length);

// The number of a port, or of a service name by known_tcp_ports' text (`smtp=25, submission=587`).
std::optional<uint16_t> parse_port(std::string_view text, std::string_view known_ports);

// `addr:port` with `*` for every address of every family that is on. Port 0: the kernel chooses
// one.
std::expected<std::vector<ListenAddress>, std::string> parse_listen(std::string_view text,
                                                                    bool ipv4, bool ipv6);
ListenAddress listen_address(const IpAddress& address, uint16_t port);

// `[host]`, `[host]:port`, `host`, `host:port`; host may be an address.
std::expected<NextHop, std::string> parse_next_hop(std::string_view text, uint16_t default_port,
                                                   std::string_view known_ports);

// Whether a route (transport_maps) may name it. With others mail is put off, as by Postfix when
// master.cf does not have them.
bool is_transport(std::string_view name);

// What relayhost and a transport's next hop may say, separated by commas or blanks. Without
// brackets the host's MX is meant.
std::expected<std::vector<NextHop>, std::string> parse_next_hops(std::string_view text,
                                                                 uint16_t default_port,
                                                                 std::string_view known_ports);

// RFC 1123 2.1, with `_` allowed as Postfix does; a name of digits only is none.
bool is_valid_hostname(std::string_view name);

}  // namespace mx::config
