// engine/config/sections_dns.cc - how the names of next hops are looked up.
#include <fmt/format.h>

#include "engine/config/addresses.h"
#include "engine/config/sections.h"
#include "engine/config/values.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr size_t shown_bytes_max = 60;

// `addr` or `addr:port`, IPv6 in brackets where a port follows.
void read_servers(Evaluator& values, LookupSettings& lookup) {
  constexpr std::string_view name = "ringmx_dns_servers";
  for (const Word& word : values.list(name).words) {
    const auto whole = parse_address(word.text);
    auto listen = parse_listen(whole ? listen_address(*whole, 53).text : word.text, true, true);
    if (!listen || listen->size() != 1 || listen->front().port == 0)
      values.report(word, Severity::error,
                    fmt::format("{}: \"{}\" is not addr or addr:port, such as 127.0.0.1:53", name,
                                printable(word.text, shown_bytes_max)));
    else
      lookup.servers.push_back(listen->front().text);
  }
  if (lookup.servers.size() > limits::dns_servers_max)
    values.error(name, fmt::format("at most {} servers", limits::dns_servers_max));
}

// smtp_dns_support_level; where it is empty, disable_dns_lookups.
bool looks_up_dns(Evaluator& values) {
  constexpr std::string_view name = "smtp_dns_support_level";
  const std::string level = lower(values.text(name));
  if (level.empty()) return !values.boolean("disable_dns_lookups");
  if (level == "dnssec")
    values.warning(name, "dnssec: read as enabled, validation is the resolver's (DANE needs TLS)");
  else if (level != "enabled" && level != "disabled")
    values.error(name, fmt::format("\"{}\" is not one of disabled, enabled, dnssec",
                                   printable(level, shown_bytes_max)));
  return level != "disabled";
}

void read_host_lookup(Evaluator& values, LookupSettings& lookup) {
  constexpr std::string_view name = "smtp_host_lookup";
  lookup.dns = lookup.native = false;
  for (const Word& word : values.list(name).words) {
    const std::string way = lower(word.text);
    if (way == "dns")
      lookup.dns = true;
    else if (way == "native")
      lookup.native = true;
    else
      values.report(word, Severity::error,
                    fmt::format("{}: \"{}\" is not one of dns, native", name,
                                printable(way, shown_bytes_max)));
  }
  if (!lookup.dns && !lookup.native) values.error(name, "is empty: dns or native");
}

AddressPreference address_preference(Evaluator& values) {
  constexpr std::string_view name = "smtp_address_preference";
  const std::string value = lower(values.text(name));
  if (value == "ipv4") return AddressPreference::ipv4;
  if (value == "ipv6") return AddressPreference::ipv6;
  if (value != "any")
    values.error(name, fmt::format("\"{}\" is not one of ipv4, ipv6, any",
                                   printable(value, shown_bytes_max)));
  return AddressPreference::any;
}

}  // namespace

void read_lookup(Evaluator& values, Settings& settings) {
  LookupSettings& lookup = settings.relay.lookup;
  read_servers(values, lookup);
  read_host_lookup(values, lookup);
  lookup.mx = looks_up_dns(values);
  if (!lookup.mx) {  // the system's resolver for all, as in Postfix
    lookup.dns = false;
    lookup.native = true;
  }
  lookup.ipv4 = settings.ipv4;
  lookup.ipv6 = settings.ipv6;
  lookup.randomize = values.boolean("smtp_randomize_addresses");
  lookup.preference = address_preference(values);
  lookup.ignore_mx_error = values.boolean("ignore_mx_lookup_error");
  lookup.defer_without_address = values.boolean("smtp_defer_if_no_mx_address_found");
}

}  // namespace mx::config
