// engine/config/parameters_mail.cc - Postfix's parameters of names, addresses and routing, in
// alphabetical order. What a row says, and what the classes promise, is in parameters.h.
#include "engine/config/parameters.h"
#include "engine/config/reasons.h"

namespace mx::config {

namespace {

constexpr Parameter rows[] = {
    acts("allow_percent_hack", Type::boolean, "yes"),
    acts("allow_untrusted_routing", Type::boolean, "no"),
    refused("always_bcc", Type::text, "", not_built::bcc),
    acts("anvil_rate_time_unit", Type::time, "60s"),
    harmless("anvil_status_update_time", Type::time, "600s", why::log_shape),
    acts("append_at_myorigin", Type::boolean, "yes"),
    acts("append_dot_mydomain", Type::boolean,
         "${{$compatibility_level} <level {1} ? {yes} : {no}}"),
    refused("best_mx_transport", Type::text, "", not_built::routing),
    harmless("broken_sasl_auth_clients", Type::boolean, "no", why::sasl),
    harmless("canonical_classes", Type::text,
             "envelope_sender, envelope_recipient, "
             "header_sender, header_recipient",
             why::unset_feature),
    refused("canonical_maps", Type::text, "", not_built::rewriting),
    harmless("cleanup_replace_stray_cr_lf", Type::boolean, "yes", why::stray_cr_lf),
    acts("compatibility_level", Type::text, "0"),
    harmless("connection_cache_protocol_timeout", Type::time, "5s", why::connection_pool),
    harmless("connection_cache_status_update_time", Type::time, "600s", why::connection_pool),
    harmless("connection_cache_ttl_limit", Type::time, "2s", why::connection_pool),
    harmless("cyrus_sasl_config_path", Type::text, "", why::sasl),
    harmless("default_filter_nexthop", Type::text, "", why::unset_feature),
    acts("default_transport", Type::text, "smtp"),
    refused("default_transport_rate_delay", Type::time, "0s", not_built::rate_delay),
    acts("disable_dns_lookups", Type::boolean, "no"),
    acts("disable_vrfy_command", Type::boolean, "no"),
    harmless("dns_ncache_ttl_fix_enable", Type::boolean, "no", why::postscreen),
    harmless("dnsblog_reply_delay", Type::time, "0s", why::postscreen),
    harmless("dnsblog_service_name", Type::text, "dnsblog", why::postscreen),
    harmless("dnssec_probe", Type::text, "ns:.", why::tls),
    refused("dont_remove", Type::integer, "0", not_built::saved_queue),
    acts("double_bounce_sender", Type::text, "double-bounce"),
    harmless("duplicate_filter_limit", Type::integer, "1000", why::duplicates),
    harmless("empty_address_default_transport_maps_lookup_key", Type::text, "<>",
             why::unset_feature),
    harmless("empty_address_relayhost_maps_lookup_key", Type::text, "<>", why::unset_feature),
    harmless("enable_idna2003_compatibility", Type::boolean, "no", why::idna),
    acts("hopcount_limit", Type::integer, "50"),
    acts("ignore_mx_lookup_error", Type::boolean, "no"),
    acts("inet_interfaces", Type::text, "all"),
    acts("inet_protocols", Type::text, "all"),
    acts("known_tcp_ports", Type::text, "lmtp=24, smtp=25, smtps=submissions=465, submission=587"),
    acts("line_length_limit", Type::integer, "2048"),
    acts("mail_name", Type::text, "ringmx"),
    acts("mail_owner", Type::text, "postfix"),
    acts("maillog_file", Type::text, ""),
    harmless("masquerade_classes", Type::text, "envelope_sender, header_sender, header_recipient",
             why::unset_feature),
    refused("masquerade_domains", Type::text, "", not_built::rewriting),
    harmless("masquerade_exceptions", Type::text, "", why::unset_feature),
    refused("master_service_disable", Type::text, "", not_built::service_disable),
    acts("message_size_limit", Type::integer, "10240000"),
    acts("mydestination", Type::text, "$myhostname, localhost.$mydomain, localhost"),
    acts("mydomain", Type::text, ""),
    acts("myhostname", Type::text, ""),
    acts("mynetworks", Type::text, ""),
    acts("mynetworks_style", Type::text,
         "${{$compatibility_level} <level {2} ? {subnet} : {host}}"),
    acts("myorigin", Type::text, "$myhostname"),
    acts("non_fqdn_reject_code", Type::integer, "504"),
    harmless("openssl_path", Type::text, "openssl", why::tls),
    acts("owner_request_special", Type::boolean, "yes"),
    acts("parent_domain_matches_subdomains", Type::text,
         "debug_peer_list,fast_flush_domains,mynetworks,permit_m"
         "x_backup_networks,qmqpd_authorized_clients,relay_domains,smtpd_access_maps"),
    acts("propagate_unmatched_extensions", Type::text, "canonical, virtual"),
    acts("proxy_interfaces", Type::text, ""),
    acts("proxy_read_maps", Type::text,
         "$local_recipient_maps $mydestination "
         "$virtual_alias_maps $virtual_alias_domains $virtual_mailbox_maps "
         "$virtual_mailbox_domains $relay_recipient_maps $relay_domains $canonical_maps "
         "$sender_canonical_maps $recipient_canonical_maps $relocated_maps $transport_maps "
         "$mynetworks $smtpd_sender_login_maps $sender_bcc_maps $recipient_bcc_maps "
         "$smtp_generic_maps $lmtp_generic_maps $alias_maps $smtpd_client_restrictions "
         "$smtpd_helo_restrictions $smtpd_sender_restrictions $smtpd_relay_restrictions "
         "$smtpd_recipient_restrictions "
         "$address_verify_sender_dependent_default_transport_maps "
         "$address_verify_sender_dependent_relayhost_maps $address_verify_transport_maps "
         "$fallback_transport_maps $lmtp_discard_lhlo_keyword_address_maps "
         "$lmtp_pix_workaround_maps $lmtp_sasl_password_maps $lmtp_tls_policy_maps "
         "$mailbox_command_maps $mailbox_transport_maps "
         "$postscreen_discard_ehlo_keyword_address_maps $rbl_reply_maps "
         "$sender_dependent_default_transport_maps $sender_dependent_relayhost_maps "
         "$smtp_discard_ehlo_keyword_address_maps $smtp_pix_workaround_maps "
         "$smtp_sasl_password_maps $smtp_tls_policy_maps "
         "$smtpd_discard_ehlo_keyword_address_maps $smtpd_milter_maps $virtual_gid_maps "
         "$virtual_uid_maps $local_login_sender_maps $postscreen_reject_footer_maps "
         "$smtpd_reject_footer_maps $tls_server_sni_maps $tlsproxy_client_policy_maps "
         "$default_delivery_status_filter $lmtp_delivery_status_filter $lmtp_dns_reply_filter "
         "$lmtp_reply_filter $local_delivery_status_filter $pipe_delivery_status_filter "
         "$postscreen_command_filter $smtp_delivery_status_filter $smtp_dns_reply_filter "
         "$smtp_reply_filter $smtpd_command_filter $smtpd_dns_reply_filter "
         "$virtual_delivery_status_filter $body_checks $header_checks $lmtp_body_checks "
         "$lmtp_header_checks $lmtp_mime_header_checks $lmtp_nested_header_checks "
         "$milter_header_checks $mime_header_checks $nested_header_checks $smtp_body_checks "
         "$smtp_header_checks $smtp_mime_header_checks $smtp_nested_header_checks"),
    refused("recipient_bcc_maps", Type::text, "", not_built::bcc),
    harmless("recipient_canonical_classes", Type::text, "envelope_recipient, header_recipient",
             why::unset_feature),
    refused("recipient_canonical_maps", Type::text, "", not_built::rewriting),
    acts("recipient_delimiter", Type::text, ""),
    acts("reject_code", Type::integer, "554"),
    acts("relay_domains", Type::text,
         "${{$compatibility_level} <level {2} ? "
         "{$mydestination} : {}}"),
    acts("relay_domains_reject_code", Type::integer, "554"),
    acts("relay_recipient_maps", Type::text, ""),
    acts("relay_transport", Type::text, "relay"),
    acts("relayhost", Type::text, ""),
    refused("relocated_maps", Type::text, "", not_built::relocated),
    refused("remote_header_rewrite_domain", Type::text, "", not_built::rewriting),
    refused("resolve_dequoted_address", Type::boolean, "yes", not_built::resolve),
    refused("resolve_null_domain", Type::boolean, "no", not_built::resolve),
    refused("resolve_numeric_domain", Type::boolean, "no", not_built::resolve),
    harmless("send_cyrus_sasl_authzid", Type::boolean, "no", why::sasl),
    refused("sender_bcc_maps", Type::text, "", not_built::bcc),
    harmless("sender_canonical_classes", Type::text, "envelope_sender, header_sender",
             why::unset_feature),
    refused("sender_canonical_maps", Type::text, "", not_built::rewriting),
    refused("sender_dependent_default_transport_maps", Type::text, "", not_built::routing),
    refused("sender_dependent_relayhost_maps", Type::text, "", not_built::routing),
    acts("show_user_unknown_table_name", Type::boolean, "yes"),
    harmless("smtputf8_autodetect_classes", Type::text, "sendmail, verify", why::local_submission),
    acts("smtputf8_enable", Type::boolean, "${{$compatibility_level} <level {1} ? {no} : {yes}}"),
    acts("soft_bounce", Type::boolean, "no"),
    acts("strict_rfc821_envelopes", Type::boolean, "no"),
    acts("strict_smtputf8", Type::boolean, "no"),
    acts("swap_bangpath", Type::boolean, "yes"),
    acts("syslog_name", Type::text, "${multi_instance_name?{$multi_instance_name}:{postfix}}"),
    acts("unknown_local_recipient_reject_code", Type::integer, "550"),
    acts("unknown_relay_recipient_reject_code", Type::integer, "550"),
};

}  // namespace

const std::span<const Parameter> mail_parameters = rows;

}  // namespace mx::config
