// engine/config/parameters_access.cc - Postfix's parameters of access restrictions and address
// verification, in alphabetical order. What a row says, and what the classes promise, is in
// parameters.h.
#include "engine/config/parameters.h"
#include "engine/config/reasons.h"

namespace mx::config {

namespace {

constexpr Parameter rows[] = {
    acts("access_map_defer_code", Type::integer, "450"),
    acts("access_map_reject_code", Type::integer, "554"),
    harmless("address_verify_cache_cleanup_interval", Type::time, "12h", why::verification),
    harmless("address_verify_default_transport", Type::text, "$default_transport",
             why::verification),
    harmless("address_verify_local_transport", Type::text, "$local_transport", why::verification),
    harmless("address_verify_map", Type::text, "btree:$data_directory/verify_cache",
             why::verification),
    harmless("address_verify_negative_cache", Type::boolean, "yes", why::verification),
    harmless("address_verify_negative_expire_time", Type::time, "3d", why::verification),
    harmless("address_verify_negative_refresh_time", Type::time, "3h", why::verification),
    harmless("address_verify_pending_request_limit", Type::integer, "5000", why::verification),
    harmless("address_verify_poll_count", Type::integer, "${stress?{1}:{3}}", why::verification),
    harmless("address_verify_poll_delay", Type::time, "3s", why::verification),
    harmless("address_verify_positive_expire_time", Type::time, "31d", why::verification),
    harmless("address_verify_positive_refresh_time", Type::time, "7d", why::verification),
    harmless("address_verify_relay_transport", Type::text, "$relay_transport", why::verification),
    harmless("address_verify_relayhost", Type::text, "$relayhost", why::verification),
    harmless("address_verify_sender", Type::text, "$double_bounce_sender", why::verification),
    harmless("address_verify_sender_dependent_default_transport_maps", Type::text,
             "$sender_dependent_default_transport_maps", why::verification),
    harmless("address_verify_sender_dependent_relayhost_maps", Type::text,
             "$sender_dependent_relayhost_maps", why::verification),
    harmless("address_verify_sender_ttl", Type::time, "0s", why::verification),
    harmless("address_verify_service_name", Type::text, "verify", why::verification),
    harmless("address_verify_transport_maps", Type::text, "$transport_maps", why::verification),
    harmless("address_verify_virtual_transport", Type::text, "$virtual_transport",
             why::verification),
    harmless("default_rbl_reply", Type::raw,
             "$rbl_code Service unavailable; $rbl_class "
             "[$rbl_what] blocked using $rbl_domain${rbl_reason?; $rbl_reason}",
             why::restriction),
    acts("defer_code", Type::integer, "450"),
    acts("invalid_hostname_reject_code", Type::integer, "501"),
    harmless("maps_rbl_domains", Type::text, "", why::restriction),
    harmless("maps_rbl_reject_code", Type::integer, "554", why::restriction),
    acts("multi_recipient_bounce_reject_code", Type::integer, "550"),
    harmless("permit_mx_backup_networks", Type::text, "", why::restriction),
    acts("plaintext_reject_code", Type::integer, "450"),
    harmless("rbl_reply_maps", Type::text, "", why::restriction),
    acts("reject_tempfail_action", Type::text, "defer_if_permit"),
    acts("relay_clientcerts", Type::text, ""),
    acts("unknown_address_reject_code", Type::integer, "450"),
    acts("unknown_address_tempfail_action", Type::text, "$reject_tempfail_action"),
    acts("unknown_client_reject_code", Type::integer, "450"),
    harmless("unknown_helo_hostname_tempfail_action", Type::text, "$reject_tempfail_action",
             why::restriction),
    harmless("unknown_hostname_reject_code", Type::integer, "450", why::restriction),
    harmless("unverified_recipient_defer_code", Type::integer, "450", why::verification),
    harmless("unverified_recipient_reject_code", Type::integer, "450", why::verification),
    harmless("unverified_recipient_reject_reason", Type::text, "", why::verification),
    harmless("unverified_recipient_tempfail_action", Type::text, "$reject_tempfail_action",
             why::verification),
    harmless("unverified_sender_defer_code", Type::integer, "450", why::verification),
    harmless("unverified_sender_reject_code", Type::integer, "450", why::verification),
    harmless("unverified_sender_reject_reason", Type::text, "", why::verification),
    harmless("unverified_sender_tempfail_action", Type::text, "$reject_tempfail_action",
             why::verification),
};

}  // namespace

const std::span<const Parameter> access_parameters = rows;

}  // namespace mx::config
