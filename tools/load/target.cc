#include "tools/load/target.h"

#include <netdb.h>

#include <cstring>
#include <memory>

#include "proto/base/text.h"

namespace mx::load {

std::expected<io::Endpoint, std::string> parse_target(std::string_view text) {
  if (text.starts_with("inet:")) text.remove_prefix(5);
  std::string_view host = text, port = "25";
  const size_t colon = text.rfind(':');
  if (colon != text.npos && text.back() != ']') {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  const auto number = parse_decimal(port);
  if (!number || *number > 65'535)
    return std::unexpected("not a port: " + std::string(port) + " (wanted: [host]:port)");
  if (host.empty()) host = "127.0.0.1";
  if (auto at = io::parse_endpoint(host, static_cast<uint16_t>(*number))) return *at;

  addrinfo wanted{}, *list = nullptr;
  wanted.ai_socktype = SOCK_STREAM;
  const std::string name(host);
  const int error = ::getaddrinfo(name.c_str(), std::to_string(*number).c_str(), &wanted, &list);
  if (error != 0) return std::unexpected(name + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  io::Endpoint found;
  std::memcpy(&found.address, list->ai_addr, list->ai_addrlen);
  found.length = list->ai_addrlen;
  return found;
}

std::string target_text(const io::Endpoint& endpoint) {
  std::string ip(endpoint.ip_text().view());
  if (endpoint.is_ipv6()) ip = "[" + ip + "]";
  return ip + ":" + std::to_string(endpoint.port());
}

}  // namespace mx::load
