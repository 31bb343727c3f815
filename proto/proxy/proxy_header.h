// proto/proxy/proxy_header.h - the header that a load balancer puts in front of a connection to say
// who the client is: the PROXY protocol of haproxy, versions 1 (a line of text) and 2 (binary);
// proxy-protocol.txt, 2020/03/05, is the specification.
//
// Pure: bytes in, addresses out. The header is complete or it is not; a parser that has not seen
// all of it asks for more, up to limits::proxy_header_bytes_max, and what follows it is never
// touched. Whatever is not exactly as specified is refused: the address of a client decides what it
// may do. Whether the peer may say it at all is the owner's question.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/ip_address.h"

namespace mx::proxy {

struct Header {
  enum class State : uint8_t {
    incomplete,  // more bytes are needed
    bad,         // `error` says why; the connection is of no use
    own,         // LOCAL or UNKNOWN: the client is the peer itself (a health check)
    proxied,     // the client is `source`
  };
  State state = State::incomplete;
  size_t bytes = 0;  // of the header, when it is complete
  std::string_view error;
  IpAddress source, destination;  // an IPv4-mapped IPv6 address is given as IPv4
  uint16_t source_port = 0, destination_port = 0;
};

// `in`: all bytes of the connection so far. Cost: one pass over the header.
Header parse_header(std::string_view in);

}  // namespace mx::proxy
