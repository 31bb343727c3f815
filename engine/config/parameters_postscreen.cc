// engine/config/parameters_postscreen.cc - Postfix's parameters of postscreen, in alphabetical
// order. What a row says, and what the classes promise, is in parameters.h.
#include "engine/config/parameters.h"
#include "engine/config/reasons.h"

namespace mx::config {

namespace {

constexpr Parameter rows[] = {
    refused("postscreen_access_list", Type::text, "permit_mynetworks", not_built::postscreen),
    harmless("postscreen_allowlist_interfaces", Type::text,
             "${postscreen_whitelist_interfaces?{$postscre"
             "en_whitelist_interfaces}:{static:all}}",
             why::postscreen),
    harmless("postscreen_bare_newline_action", Type::text, "ignore", why::postscreen),
    refused("postscreen_bare_newline_enable", Type::boolean, "no", not_built::postscreen),
    harmless("postscreen_bare_newline_ttl", Type::time, "30d", why::postscreen),
    harmless("postscreen_cache_cleanup_interval", Type::time, "12h", why::postscreen),
    harmless("postscreen_cache_map", Type::text, "btree:$data_directory/postscreen_cache",
             why::postscreen),
    harmless("postscreen_cache_retention_time", Type::time, "7d", why::postscreen),
    harmless("postscreen_client_connection_count_limit", Type::text,
             "$smtpd_client_connection_count_limit", why::postscreen),
    harmless("postscreen_command_count_limit", Type::integer, "20", why::postscreen),
    harmless("postscreen_command_filter", Type::text, "", why::postscreen),
    harmless("postscreen_command_time_limit", Type::time, "${stress?{10}:{300}}s", why::postscreen),
    refused("postscreen_denylist_action", Type::text,
            "${postscreen_blacklist_action?{$postscreen_b"
            "lacklist_action}:{ignore}}",
            not_built::postscreen, "ignore"),
    harmless("postscreen_disable_vrfy_command", Type::boolean, "$disable_vrfy_command",
             why::postscreen),
    harmless("postscreen_discard_ehlo_keyword_address_maps", Type::text,
             "$smtpd_discard_ehlo_keyword_address_maps", why::postscreen),
    harmless("postscreen_discard_ehlo_keywords", Type::text, "$smtpd_discard_ehlo_keywords",
             why::postscreen),
    refused("postscreen_dnsbl_action", Type::text, "ignore", not_built::postscreen),
    harmless("postscreen_dnsbl_allowlist_threshold", Type::integer,
             "${postscreen_dnsbl_whitelist_threshold?{$pos"
             "tscreen_dnsbl_whitelist_threshold}:{0}}",
             why::postscreen),
    harmless("postscreen_dnsbl_max_ttl", Type::time,
             "${postscreen_dnsbl_ttl?{$postscreen_dnsbl_tt"
             "l}:{1}}h",
             why::postscreen),
    harmless("postscreen_dnsbl_min_ttl", Type::time, "60s", why::postscreen),
    harmless("postscreen_dnsbl_reply_map", Type::text, "", why::postscreen),
    harmless("postscreen_dnsbl_sites", Type::text, "", why::postscreen),
    harmless("postscreen_dnsbl_threshold", Type::integer, "1", why::postscreen),
    harmless("postscreen_dnsbl_timeout", Type::time, "10s", why::postscreen),
    harmless("postscreen_enforce_tls", Type::boolean, "$smtpd_enforce_tls", why::postscreen),
    harmless("postscreen_expansion_filter", Type::text, "$smtpd_expansion_filter", why::postscreen),
    harmless("postscreen_forbidden_commands", Type::text, "$smtpd_forbidden_commands",
             why::postscreen),
    refused("postscreen_greet_action", Type::text, "ignore", not_built::postscreen),
    harmless("postscreen_greet_banner", Type::text, "$smtpd_banner", why::postscreen),
    harmless("postscreen_greet_ttl", Type::time, "1d", why::postscreen),
    harmless("postscreen_greet_wait", Type::time, "${stress?{2}:{6}}s", why::postscreen),
    harmless("postscreen_helo_required", Type::boolean, "$smtpd_helo_required", why::postscreen),
    harmless("postscreen_non_smtp_command_action", Type::text, "drop", why::postscreen),
    refused("postscreen_non_smtp_command_enable", Type::boolean, "no", not_built::postscreen),
    harmless("postscreen_non_smtp_command_ttl", Type::time, "30d", why::postscreen),
    harmless("postscreen_pipelining_action", Type::text, "enforce", why::postscreen),
    refused("postscreen_pipelining_enable", Type::boolean, "no", not_built::postscreen),
    harmless("postscreen_pipelining_ttl", Type::time, "30d", why::postscreen),
    harmless("postscreen_post_queue_limit", Type::text, "$default_process_limit", why::postscreen),
    harmless("postscreen_pre_queue_limit", Type::text, "$default_process_limit", why::postscreen),
    harmless("postscreen_reject_footer", Type::text, "$smtpd_reject_footer", why::postscreen),
    harmless("postscreen_reject_footer_maps", Type::text, "$smtpd_reject_footer_maps",
             why::postscreen),
    harmless("postscreen_tls_security_level", Type::text, "$smtpd_tls_security_level",
             why::postscreen),
    refused("postscreen_upstream_proxy_protocol", Type::text, "", not_built::postscreen),
    harmless("postscreen_upstream_proxy_timeout", Type::time, "5s", why::postscreen),
    harmless("postscreen_use_tls", Type::boolean, "$smtpd_use_tls", why::postscreen),
    harmless("postscreen_watchdog_timeout", Type::time, "10s", why::postscreen),
};

}  // namespace

const std::span<const Parameter> postscreen_parameters = rows;

}  // namespace mx::config
