// engine/config/sections_delivery.cc - how much is sent to a next hop at once, how long connections
// last, how its backends are chosen, and routes that main.cf has without a file.
#include <fmt/format.h>

#include <string>

#include "engine/config/addresses.h"
#include "engine/config/sections.h"
#include "engine/config/values.h"
#include "maps/spec.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr uint32_t int_max = INT32_MAX;
constexpr Duration time_max = seconds(INT32_MAX);
constexpr uint32_t backend_connections_max = 10'000;

TransportLimits read_transport_limits(Evaluator& values, std::string_view transport) {
  TransportLimits limits;
  const auto name = [&](std::string_view rest) { return fmt::format("{}_{}", transport, rest); };
  const std::string recipients = name("destination_recipient_limit");
  const std::string concurrency = name("destination_concurrency_limit");
  const std::string delay = name("destination_rate_delay");
  const std::string growth = name("destination_concurrency_positive_feedback");
  limits.recipients = values.small_integer(recipients, 0, int_max);
  limits.concurrency = values.small_integer(concurrency, 0, int_max);
  limits.initial = values.small_integer(name("initial_destination_concurrency"), 1, int_max);
  limits.rate_delay = values.time(delay, {}, time_max);
  if (const auto parsed = parse_feedback(values.text(growth)))
    limits.growth = *parsed;
  else
    values.error(growth, parsed.error());
  if (limits.recipients != 1) return limits;
  // Postfix's limits are for each mailbox then, not for the host.
  if (limits.rate_delay.us > 0)
    values.error(delay, fmt::format("with {} = 1 Postfix waits between two messages for one "
                                    "mailbox, which is not built",
                                    recipients));
  if (values.line_of(concurrency) != 0)
    values.warning(concurrency,
                   fmt::format("with {} = 1 it is a limit for each mailbox; connections to a "
                               "backend are limited by ringmx_backend_connections",
                               recipients));
  return limits;
}

// What mail would meet that is routed by `value`; empty: nothing.
std::string trouble_of_route(std::string_view value, const RelaySettings& relay) {
  const size_t colon = value.find(':');
  const std::string_view transport = trim(value.substr(0, colon));
  if (!transport.empty() && !is_transport(transport))
    return "only relay, smtp, local, virtual, error, retry and discard are built";
  const bool leads_on = transport.empty() || transport == "relay" || transport == "smtp";
  if (!leads_on || colon == std::string_view::npos) return {};
  const auto hops = parse_next_hops(value.substr(colon + 1), relay.default_port, relay.known_ports);
  return hops ? std::string() : hops.error();
}

// Not of unions, which join what their parts have to one value.
void check_routes(Evaluator& values, const Word& word, const maps::TableSpec& table,
                  const RelaySettings& relay) {
  const auto check = [&](std::string_view value) {
    if (const std::string trouble = trouble_of_route(value, relay); !trouble.empty())
      values.report(word, Severity::error,
                    fmt::format("transport_maps: \"{}\": {}", printable(value), trouble));
  };
  for (const auto& [key, value] : table.entries) check(value);
  if (table.kind == maps::TableKind::constant) check(table.value);
}

}  // namespace

void check_written_routes(Evaluator& values, const Settings& settings) {
  for (const Word& word : settings.domains.transport_maps.words)
    if (const auto table = maps::parse_table_spec(word.text))
      check_routes(values, word, *table, settings.relay);
}

void read_delivery(Evaluator& values, Settings& settings) {
  RelaySettings& relay = settings.relay;
  relay.relay_limits = read_transport_limits(values, "relay");
  relay.smtp_limits = read_transport_limits(values, "smtp");
  relay.reuse = values.boolean("smtp_connection_cache_on_demand");
  relay.idle_time = values.time("smtp_connection_cache_time_limit", seconds(1), time_max);
  relay.reuse_time = values.time("smtp_connection_reuse_time_limit", seconds(1), time_max);
  relay.reuse_count = values.small_integer("smtp_connection_reuse_count_limit", 0, int_max);
  relay.backend_connections =
      values.small_integer("ringmx_backend_connections", 1, backend_connections_max);
  relay.check_interval = values.time("ringmx_backend_check_interval", {}, seconds(86'400));
  constexpr std::string_view balance = "ringmx_backend_balance";
  relay.ordered = values.text(balance) == "ordered";
  if (!relay.ordered && values.text(balance) != "spread")
    values.error(balance,
                 fmt::format("\"{}\": spread or ordered", printable(values.text(balance))));
  if (relay.relayhost.size() > 1 && !relay.ordered && values.line_of(balance) == 0)
    values.warning(
        "relayhost",
        "its hosts share the mail; Postfix tries them in this order, as ringmx does "
        "with ringmx_backend_balance = ordered (spread: as it is, without this warning)");
}

}  // namespace mx::config
