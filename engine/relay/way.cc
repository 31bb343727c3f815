#include "engine/relay/way.h"

#include <optional>

#include "engine/config/addresses.h"
#include "engine/dns/name.h"
#include "engine/policy/route.h"
#include "maps/keys.h"
#include "proto/base/text.h"

namespace mx::relay {
namespace {

// The domain of an address is not what a person wrote as a next hop: whatever is in it, it names
// one host, at the usual port.
std::vector<config::NextHop> hosts_of_domain(std::string_view domain,
                                             const config::RelaySettings& relay) {
  std::optional<std::string> host(domain);
  const bool literal = domain.starts_with('[') && config::parse_address(domain);
  if (!literal && !is_ascii(domain)) host = dns::ascii_name(domain);
  if (!host || (!literal && !config::is_valid_hostname(*host))) return {};
  auto hop = config::parse_next_hop(*host, relay.default_port, relay.known_ports);
  return hop ? std::vector{std::move(*hop)} : std::vector<config::NextHop>{};
}

}  // namespace

std::expected<std::vector<config::NextHop>, std::string> hosts_of(
    std::string_view next_hop, bool by_domain, const config::RelaySettings& relay) {
  if (by_domain) return hosts_of_domain(next_hop, relay);
  return config::parse_next_hops(next_hop, relay.default_port, relay.known_ports);
}

std::string suspended(const NextHop& hop) {
  const std::string why = hop.why_down();
  return why.empty() ? "" : "delivery temporarily suspended: " + why;
}

WaitReasons::WaitReasons(const policy::Snapshot& snapshot, const NextHops& next_hops)
    : snapshot_(snapshot), next_hops_(next_hops) {
  const config::RelaySettings& relay = snapshot.settings->relay;
  relay_ = next_hops.find(relay.relay_hosts);
  default_ = next_hops.find(relay.default_hosts);
}

WaitReasons::Pointer WaitReasons::next_hop(std::string_view address) const {
  maps::KeyText internal;
  if (!maps::unquote_address(internal, address)) return nullptr;
  const policy::Route route = policy::route(snapshot_.policy, internal.view());
  if (route.kind != policy::Route::Kind::hop) return nullptr;
  if (const Pointer& own = route.relay ? relay_ : default_; route.own && own != nullptr) return own;
  std::string name(route.next_hop.view());
  if (route.by_domain) name = lower(name);
  const auto hosts = hosts_of(name, route.by_domain, snapshot_.settings->relay);
  return hosts ? next_hops_.find(*hosts) : nullptr;
}

std::string WaitReasons::of(std::string_view address) const {
  const Pointer hop = next_hop(address);
  return hop == nullptr ? "" : suspended(*hop);
}

}  // namespace mx::relay
