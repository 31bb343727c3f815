// engine/config/parameters_smtp.cc - Postfix's parameters of the SMTP client, in alphabetical
// order. What a row says, and what the classes promise, is in parameters.h.
#include "engine/config/parameters.h"
#include "engine/config/reasons.h"

namespace mx::config {

namespace {

constexpr Parameter rows[] = {
    acts("smtp_address_preference", Type::text, "any"),
    harmless("smtp_address_verify_target", Type::text, "rcpt", why::verification),
    harmless("smtp_always_send_ehlo", Type::boolean, "yes", why::always_ehlo),
    harmless("smtp_balance_inet_protocols", Type::boolean, "yes", why::backend_addresses),
    acts("smtp_bind_address", Type::text, ""),
    acts("smtp_bind_address6", Type::text, ""),
    acts("smtp_bind_address_enforce", Type::boolean, "no"),
    refused("smtp_body_checks", Type::text, "", not_built::content_checks),
    harmless("smtp_cname_overrides_servername", Type::boolean, "no", why::tls),
    acts("smtp_connect_timeout", Type::time, "30s"),
    harmless("smtp_connection_cache_destinations", Type::text, "", why::connection_cache),
    acts("smtp_connection_cache_on_demand", Type::boolean, "yes"),
    acts("smtp_connection_cache_time_limit", Type::time, "2s"),
    acts("smtp_connection_reuse_count_limit", Type::integer, "0"),
    acts("smtp_connection_reuse_time_limit", Type::time, "300s"),
    acts("smtp_data_done_timeout", Type::time, "600s"),
    acts("smtp_data_init_timeout", Type::time, "120s"),
    acts("smtp_data_xfer_timeout", Type::time, "180s"),
    acts("smtp_defer_if_no_mx_address_found", Type::boolean, "no"),
    refused("smtp_delivery_status_filter", Type::text, "$default_delivery_status_filter",
            not_built::reply_filters, ""),
    refused("smtp_discard_ehlo_keyword_address_maps", Type::text, "", not_built::client_dialogue),
    refused("smtp_discard_ehlo_keywords", Type::text, "", not_built::client_dialogue),
    refused("smtp_dns_reply_filter", Type::text, "", not_built::reply_filters),
    harmless("smtp_dns_resolver_options", Type::text, "", why::search_list),
    acts("smtp_dns_support_level", Type::text, ""),
    refused("smtp_enforce_tls", Type::boolean, "no", not_built::tls),
    refused("smtp_fallback_relay", Type::text, "$fallback_relay", not_built::routing, ""),
    refused("smtp_generic_maps", Type::text, "", not_built::rewriting),
    refused("smtp_header_checks", Type::text, "", not_built::content_checks),
    acts("smtp_helo_name", Type::text, "$myhostname"),
    acts("smtp_helo_timeout", Type::time, "300s"),
    acts("smtp_host_lookup", Type::text, "dns"),
    harmless("smtp_line_length_limit", Type::integer, "998", why::content),
    acts("smtp_mail_timeout", Type::time, "300s"),
    refused("smtp_mime_header_checks", Type::text, "", not_built::content_checks),
    harmless("smtp_min_data_rate", Type::integer, "500", why::backend_deadline),
    harmless("smtp_mx_address_limit", Type::integer, "5", why::backend_addresses),
    harmless("smtp_mx_session_limit", Type::integer, "2", why::backend_addresses),
    refused("smtp_nested_header_checks", Type::text, "", not_built::content_checks),
    refused("smtp_never_send_ehlo", Type::boolean, "no", not_built::client_dialogue),
    harmless("smtp_per_request_deadline", Type::boolean,
             "${smtp_per_record_deadline?{$smtp_per_record"
             "_deadline}:{no}}",
             why::backend_deadline),
    harmless("smtp_pix_workaround_delay_time", Type::time, "10s", why::pix),
    harmless("smtp_pix_workaround_maps", Type::text, "", why::pix),
    harmless("smtp_pix_workaround_threshold_time", Type::time, "500s", why::pix),
    harmless("smtp_pix_workarounds", Type::text, "disable_esmtp,delay_dotcrlf", why::pix),
    harmless("smtp_quit_timeout", Type::time, "300s", why::backend_quit),
    refused("smtp_quote_rfc821_envelope", Type::boolean, "yes", not_built::client_dialogue),
    acts("smtp_randomize_addresses", Type::boolean, "yes"),
    acts("smtp_rcpt_timeout", Type::time, "300s"),
    refused("smtp_reply_filter", Type::text, "", not_built::reply_filters),
    acts("smtp_rset_timeout", Type::time, "20s"),
    harmless("smtp_sasl_auth_cache_name", Type::text, "", why::sasl),
    harmless("smtp_sasl_auth_cache_time", Type::time, "90d", why::sasl),
    refused("smtp_sasl_auth_enable", Type::boolean, "no", not_built::sasl_client),
    harmless("smtp_sasl_auth_soft_bounce", Type::boolean, "yes", why::sasl),
    harmless("smtp_sasl_mechanism_filter", Type::text, "", why::sasl),
    harmless("smtp_sasl_password_maps", Type::text, "", why::sasl),
    harmless("smtp_sasl_path", Type::text, "", why::sasl),
    harmless("smtp_sasl_security_options", Type::text, "noplaintext, noanonymous", why::sasl),
    harmless("smtp_sasl_tls_security_options", Type::text, "$smtp_sasl_security_options", why::tls),
    harmless("smtp_sasl_tls_verified_security_options", Type::text,
             "$smtp_sasl_tls_security_options", why::tls),
    harmless("smtp_sasl_type", Type::text, "cyrus", why::sasl),
    harmless("smtp_send_dummy_mail_auth", Type::boolean, "no", why::unset_feature),
    refused("smtp_send_xforward_command", Type::boolean, "no", not_built::client_dialogue),
    harmless("smtp_sender_dependent_authentication", Type::boolean, "no", why::sasl),
    refused("smtp_skip_5xx_greeting", Type::boolean, "yes", not_built::client_dialogue),
    harmless("smtp_skip_quit_response", Type::boolean, "yes", why::backend_quit),
    harmless("smtp_starttls_timeout", Type::time, "300s", why::tls),
    acts("smtp_tcp_port", Type::text, "smtp"),
    refused("smtp_use_tls", Type::boolean, "no", not_built::tls),
    harmless("smtp_xforward_timeout", Type::time, "300s", why::unset_feature),
};

}  // namespace

const std::span<const Parameter> smtp_parameters = rows;

}  // namespace mx::config
