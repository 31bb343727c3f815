// engine/config/parameters_ringmx.cc - our own parameters. Postfix does not know them and ignores
// them, so that one main.cf serves both.
#include "engine/config/parameters.h"

namespace mx::config {

namespace {

constexpr Parameter rows[] = {
    acts("ringmx_8bit", Type::text, "send"),
    acts("ringmx_backend_balance", Type::text, "spread"),
    acts("ringmx_backend_check_interval", Type::time, "60s"),
    acts("ringmx_backend_connections", Type::integer, "100"),
    acts("ringmx_body_cache", Type::integer, "67108864"),
    acts("ringmx_bounce", Type::text, "dsn"),
    acts("ringmx_dns_servers", Type::text, ""),
    acts("ringmx_listen", Type::text, ""),
    acts("ringmx_max_sessions", Type::integer, "20000"),
    acts("ringmx_proxy_trusted", Type::text, ""),
    acts("ringmx_quarantine_digest", Type::time, "1d"),
    acts("ringmx_queue_flush", Type::text, "auto"),
    acts("ringmx_queue_size_limit", Type::integer, "1073741824"),
    acts("ringmx_queue_sync", Type::text, "auto"),
    acts("ringmx_sandbox", Type::boolean, "yes"),
    acts("ringmx_segment_size", Type::integer, "16777216"),
    acts("ringmx_shards", Type::integer, "0"),
    acts("ringmx_shutdown_timeout", Type::time, "10s"),
};

}  // namespace

const std::span<const Parameter> ringmx_parameters = rows;

}  // namespace mx::config
