// engine/config/parameters_local.cc - Postfix's parameters of local and virtual delivery, in
// alphabetical order. What a row says, and what the classes promise, is in parameters.h.
#include "engine/config/parameters.h"
#include "engine/config/reasons.h"

namespace mx::config {

namespace {

constexpr Parameter rows[] = {
    harmless("alias_database", Type::text, "hash:/etc/aliases", why::newaliases),
    acts("alias_maps", Type::text, ""),
    harmless("allow_mail_to_commands", Type::text, "alias, forward", why::local_delivery),
    harmless("allow_mail_to_files", Type::text, "alias, forward", why::local_delivery),
    harmless("allow_min_user", Type::boolean, "no", why::local_delivery),
    harmless("authorized_flush_users", Type::text, "static:anyone", why::local_submission),
    harmless("authorized_mailq_users", Type::text, "static:anyone", why::local_submission),
    harmless("authorized_submit_users", Type::text, "static:anyone", why::local_submission),
    harmless("biff", Type::boolean, "yes", why::local_delivery),
    harmless("command_execution_directory", Type::raw, "", why::local_delivery),
    harmless("command_expansion_filter", Type::raw,
             "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvw"
             "xyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
             why::local_delivery),
    harmless("command_time_limit", Type::time, "1000s", why::local_delivery),
    harmless("default_privs", Type::text, "nobody", why::local_delivery),
    harmless("deliver_lock_attempts", Type::integer, "20", why::local_delivery),
    harmless("deliver_lock_delay", Type::time, "1s", why::local_delivery),
    harmless("empty_address_local_login_sender_maps_lookup_key", Type::text, "<>",
             why::local_submission),
    harmless("enable_original_recipient", Type::boolean, "yes", why::local_delivery),
    harmless("execution_directory_expansion_filter", Type::raw,
             "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvw"
             "xyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
             why::local_delivery),
    acts("expand_owner_alias", Type::boolean, "no"),
    harmless("export_environment", Type::text, "TZ MAIL_CONFIG LANG", why::local_delivery),
    refused("fallback_transport", Type::text, "", not_built::local_delivery),
    refused("fallback_transport_maps", Type::text, "", not_built::local_delivery),
    harmless("forward_expansion_filter", Type::raw,
             "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvw"
             "xyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
             why::local_delivery),
    harmless("forward_path", Type::raw,
             "$home/.forward${recipient_delimiter}${extens"
             "ion}, $home/.forward",
             why::local_delivery),
    harmless("frozen_delivered_to", Type::boolean, "yes", why::local_delivery),
    harmless("home_mailbox", Type::raw, "", why::local_delivery),
    harmless("import_environment", Type::text,
             "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ "
             "XAUTHORITY DISPLAY LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME",
             why::local_submission),
    harmless("local_command_shell", Type::text, "", why::local_delivery),
    harmless("local_delivery_status_filter", Type::text, "$default_delivery_status_filter",
             why::local_delivery),
    harmless("local_destination_concurrency_limit", Type::integer, "2", why::local_delivery),
    harmless("local_destination_recipient_limit", Type::integer, "1", why::local_delivery),
    refused("local_header_rewrite_clients", Type::text, "permit_inet_interfaces",
            not_built::rewriting, ""),
    harmless("local_login_sender_maps", Type::text, "static:*", why::local_submission),
    acts("local_recipient_maps", Type::text, "$alias_maps"),
    refused("local_transport", Type::text, "local:$myhostname", not_built::local_delivery),
    refused("luser_relay", Type::raw, "", not_built::local_delivery),
    harmless("mail_spool_directory", Type::text, "/var/mail", why::local_delivery),
    harmless("mailbox_command", Type::raw, "", why::local_delivery),
    harmless("mailbox_command_maps", Type::text, "", why::local_delivery),
    harmless("mailbox_delivery_lock", Type::text, "fcntl, dotlock", why::local_delivery),
    harmless("mailbox_size_limit", Type::integer, "51200000", why::mailbox_size),
    refused("mailbox_transport", Type::text, "", not_built::local_delivery),
    refused("mailbox_transport_maps", Type::text, "", not_built::local_delivery),
    harmless("mailq_path", Type::text, "/usr/bin/mailq", why::local_submission),
    harmless("newaliases_path", Type::text, "/usr/bin/newaliases", why::newaliases),
    harmless("pipe_delivery_status_filter", Type::text, "$default_delivery_status_filter",
             why::local_delivery),
    harmless("prepend_delivered_header", Type::text, "command, file, forward", why::local_delivery),
    harmless("require_home_directory", Type::boolean, "no", why::local_delivery),
    acts("reset_owner_alias", Type::boolean, "no"),
    harmless("sendmail_fix_line_endings", Type::text, "always", why::local_submission),
    harmless("sendmail_path", Type::text, "/usr/sbin/sendmail", why::local_submission),
    harmless("setgid_group", Type::text, "postdrop", why::local_submission),
    harmless("stale_lock_time", Type::time, "500s", why::local_delivery),
    harmless("strict_mailbox_ownership", Type::boolean, "yes", why::local_delivery),
    harmless("sun_mailtool_compatibility", Type::boolean, "no", why::local_delivery),
    harmless("trigger_timeout", Type::time, "10s", why::local_submission),
    acts("unknown_virtual_alias_reject_code", Type::integer, "550"),
    harmless("unknown_virtual_mailbox_reject_code", Type::integer, "550", why::virtual_domains),
    acts("virtual_alias_address_length_limit", Type::integer, "1000"),
    acts("virtual_alias_domains", Type::text, "$virtual_alias_maps"),
    acts("virtual_alias_expansion_limit", Type::integer, "1000"),
    acts("virtual_alias_maps", Type::text, "$virtual_maps"),
    acts("virtual_alias_recursion_limit", Type::integer, "1000"),
    harmless("virtual_delivery_status_filter", Type::text, "$default_delivery_status_filter",
             why::local_delivery),
    harmless("virtual_gid_maps", Type::text, "", why::virtual_domains),
    harmless("virtual_mailbox_base", Type::raw, "", why::virtual_domains),
    refused("virtual_mailbox_domains", Type::text, "$virtual_mailbox_maps",
            not_built::virtual_domains, ""),
    harmless("virtual_mailbox_limit", Type::integer, "51200000", why::virtual_domains),
    harmless("virtual_mailbox_lock", Type::text, "fcntl, dotlock", why::virtual_domains),
    refused("virtual_mailbox_maps", Type::text, "", not_built::virtual_domains),
    harmless("virtual_minimum_uid", Type::integer, "100", why::virtual_domains),
    harmless("virtual_transport", Type::text, "virtual", why::virtual_domains),
    harmless("virtual_uid_maps", Type::text, "", why::virtual_domains),
};

}  // namespace

const std::span<const Parameter> local_parameters = rows;

}  // namespace mx::config
