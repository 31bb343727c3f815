// engine/io/endpoint.h - an IP address and port as value, text and sockaddr; listening and
// connecting sockets.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "engine/io/fd.h"
#include "proto/base/fixed_text.h"
#include "proto/base/time.h"

namespace mx::io {

struct Endpoint {
  sockaddr_storage address{};
  socklen_t length = 0;

  // "1.2.3.4" or "2001:db8::1" (no brackets, as Postfix logs it).
  FixedText<48> ip_text() const;
  uint16_t port() const;
  bool is_ipv6() const { return address.ss_family == AF_INET6; }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&address); }
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&address); }
};

// "1.2.3.4" or "::1", also with brackets; a number, never a name.
std::expected<Endpoint, std::string> parse_endpoint(std::string_view ip, uint16_t port);

// Why nobody may listen there now; empty: somebody may. To be asked before the first listen_on().
// A process that was killed has its sockets for a moment longer (io_uring lets them go later).
std::string why_taken(const Endpoint& at);
// A listening TCP socket with SO_REUSEPORT; what accepted sockets inherit (TCP_NODELAY, keepalive)
// is set on it. IPv6 listeners take IPv6 only. The error says what failed and where.
std::expected<Fd, std::string> listen_on(const Endpoint& at, int backlog);
// A TCP socket for connecting, with TCP_NODELAY.
std::expected<Fd, std::string> connecting_socket(const Endpoint& to);
// The address that the kernel gave to a bound socket.
Endpoint local_endpoint(int fd);

}  // namespace mx::io
