#include "engine/dns/native.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cstring>

#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::dns {

Answer ask_system(const Question& question) {
  MX_ASSERT(question.type != Type::mx);
  Answer answer;
  answer.ttl = seconds(60);
  const bool v6 = question.type == Type::aaaa;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_family = v6 ? AF_INET6 : AF_INET;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(question.name.c_str(), nullptr, &hints, &found);
  if (error != 0) {
    answer.outcome = error == EAI_NONAME                              ? Outcome::no_name
                     : error == EAI_NODATA || error == EAI_ADDRFAMILY ? Outcome::no_data
                                                                      : Outcome::failed;
    answer.why = fmt::format("{} {}: {}", to_text(question.type), printable(question.name),
                             gai_strerror(error));
    return answer;
  }
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (answer.addresses.size() == limits::dns_records_max) break;
    IpAddress address;
    address.v6 = v6;
    if (v6)
      std::memcpy(address.bytes.data(),
                  &reinterpret_cast<const sockaddr_in6*>(at->ai_addr)->sin6_addr, 16);
    else
      std::memcpy(address.bytes.data(),
                  &reinterpret_cast<const sockaddr_in*>(at->ai_addr)->sin_addr, 4);
    answer.addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  answer.outcome = answer.addresses.empty() ? Outcome::no_data : Outcome::found;
  return answer;
}

}  // namespace mx::dns
