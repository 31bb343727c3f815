#include "engine/config/restart.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "engine/config/load.h"

namespace mx::config {

void report_restart_needed(const Settings& started, const Settings& next,
                           Diagnostics& diagnostics) {
  const std::string file = main_cf_path(next.config_directory);
  const auto check = [&](std::string_view name, bool same) {
    if (same) return;
    const auto line = next.lines.find(name);
    diagnostics.push_back(
        {file, line == next.lines.end() ? 0 : line->second, Severity::warning,
         fmt::format("{}: the change takes effect at a restart, not at a reload", name)});
  };
  const bool listed = next.lines.contains("ringmx_listen");
  check(listed ? "ringmx_listen" : "inet_interfaces", started.listen == next.listen);
  check("mail_owner", started.mail_owner == next.mail_owner);
  check("maillog_file", started.log.maillog_file == next.log.maillog_file);
  check("syslog_name", started.log.syslog_name == next.log.syslog_name);
  check("queue_directory", started.queue.directory == next.queue.directory);
  const LookupSettings& asked = started.relay.lookup;
  const LookupSettings& asks = next.relay.lookup;
  check("ringmx_dns_servers", asked.servers == asks.servers);
  // Listeners have their own row; this is for addresses of names.
  check("inet_protocols", asked.ipv4 == asks.ipv4 && asked.ipv6 == asks.ipv6);
  check("smtp_host_lookup", asked.dns == asks.dns && asked.native == asks.native);
  check("smtp_dns_support_level", asked.mx == asks.mx);
  check("smtp_address_preference", asked.preference == asks.preference);
  check("smtp_randomize_addresses", asked.randomize == asks.randomize);
  check("smtp_defer_if_no_mx_address_found",
        asked.defer_without_address == asks.defer_without_address);
  check("ignore_mx_lookup_error", asked.ignore_mx_error == asks.ignore_mx_error);
  check("ringmx_backend_balance", started.relay.ordered == next.relay.ordered);
  check("ringmx_backend_connections",
        started.relay.backend_connections == next.relay.backend_connections);
  const ResourceSettings& was = started.resources;
  const ResourceSettings& is = next.resources;
  check("ringmx_body_cache", was.body_cache_bytes == is.body_cache_bytes);
  check("ringmx_max_sessions", was.sessions_max == is.sessions_max);
  check("ringmx_queue_size_limit", started.queue.size_limit == next.queue.size_limit);
  check("ringmx_sandbox", was.sandbox == is.sandbox);
  check("ringmx_queue_sync", started.queue.sync == next.queue.sync);
  check("ringmx_queue_flush", started.queue.flush == next.queue.flush);
  check("ringmx_segment_size", started.queue.segment_size == next.queue.segment_size);
  check("ringmx_shards", was.shards == is.shards);
}

}  // namespace mx::config
