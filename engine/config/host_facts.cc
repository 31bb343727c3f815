#include "engine/config/host_facts.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace mx::config {

namespace {

IpAddress address_of(const sockaddr* socket_address) {
  IpAddress address;
  address.v6 = socket_address->sa_family == AF_INET6;
  if (address.v6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, socket_address, sizeof v6);
    std::memcpy(address.bytes.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
  } else {
    sockaddr_in v4;
    std::memcpy(&v4, socket_address, sizeof v4);
    std::memcpy(address.bytes.data(), &v4.sin_addr, sizeof v4.sin_addr);
  }
  return address;
}

uint8_t prefix_length_of(const sockaddr* netmask) {
  int ones = 0;
  for (const uint8_t byte : address_of(netmask).bytes) ones += std::popcount(byte);
  return static_cast<uint8_t>(ones);
}

std::vector<InterfaceAddress> read_interfaces() {
  std::vector<InterfaceAddress> result;
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return result;
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_netmask == nullptr || (one->ifa_flags & IFF_UP) == 0)
      continue;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    result.push_back({address_of(one->ifa_addr), prefix_length_of(one->ifa_netmask),
                      (one->ifa_flags & IFF_LOOPBACK) != 0});
  }
  freeifaddrs(first);
  // As Postfix lists them: IPv4 first.
  std::ranges::stable_partition(result,
                                [](const InterfaceAddress& one) { return !one.address.v6; });
  return result;
}

}  // namespace

HostFacts read_host_facts() {
  HostFacts facts;
  std::array<char, 256> name{};  // HOST_NAME_MAX is 64
  if (gethostname(name.data(), name.size() - 1) == 0 && name[0] != 0) facts.hostname = name.data();
  facts.interfaces = read_interfaces();
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (sched_getaffinity(0, sizeof cpus, &cpus) == 0)
    facts.cores = static_cast<uint32_t>(std::max(1, CPU_COUNT(&cpus)));
  return facts;
}

}  // namespace mx::config
