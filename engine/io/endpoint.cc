#include "engine/io/endpoint.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

namespace mx::io {
namespace {

std::string failed(const char* what, const Endpoint& at) {
  std::string text = std::string(what) + " ";
  text += at.is_ipv6() ? "[" : "";
  text += at.ip_text().view();
  text += at.is_ipv6() ? "]:" : ":";
  return text + std::to_string(at.port()) + ": " + std::strerror(errno);
}

bool set(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

}  // namespace

FixedText<48> Endpoint::ip_text() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&address);
    ::inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
  } else if (address.ss_family == AF_INET6) {
    const auto* in = reinterpret_cast<const sockaddr_in6*>(&address);
    ::inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
  }
  FixedText<48> out;
  static_cast<void>(out.assign(text));  // INET6_ADDRSTRLEN is 46
  return out;
}

uint16_t Endpoint::port() const {
  if (address.ss_family == AF_INET)
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
}

std::expected<Endpoint, std::string> parse_endpoint(std::string_view ip, uint16_t port) {
  std::string text(ip);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
    text = text.substr(1, text.size() - 2);
  if (text.starts_with("IPv6:") || text.starts_with("ipv6:")) text = text.substr(5);
  Endpoint out;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.address);
  if (::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    out.length = sizeof *v4;
    return out;
  }
  if (::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    out.length = sizeof *v6;
    return out;
  }
  return std::unexpected("not an IP address: " + std::string(ip));
}

// With SO_REUSEPORT another program could share the port unseen, and have a part of the clients.
std::string why_taken(const Endpoint& at) {
  const Fd fd(::socket(at.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || at.port() == 0) return "";
  set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (at.is_ipv6()) set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  const bool may = ::bind(fd.get(), at.raw(), at.length) == 0 && ::listen(fd.get(), 1) == 0;
  return may || errno != EADDRINUSE ? "" : failed("bind", at);
}

std::expected<Fd, std::string> listen_on(const Endpoint& at, int backlog) {
  Fd fd(::socket(at.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return std::unexpected(failed("socket for", at));
  set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1))
    return std::unexpected(failed("SO_REUSEPORT on", at));
  if (at.is_ipv6()) set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  if (::bind(fd.get(), at.raw(), at.length) != 0) return std::unexpected(failed("bind", at));
  if (::listen(fd.get(), backlog) != 0) return std::unexpected(failed("listen on", at));
  return fd;
}

std::expected<Fd, std::string> connecting_socket(const Endpoint& to) {
  Fd fd(::socket(to.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return std::unexpected(failed("socket for", to));
  set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  return fd;
}

Endpoint local_endpoint(int fd) {
  Endpoint out;
  out.length = sizeof out.address;
  ::getsockname(fd, out.raw(), &out.length);
  return out;
}

}  // namespace mx::io
