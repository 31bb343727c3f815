// engine/config/parameters_queue.cc - Postfix's parameters of the queue, its schedule and bounces,
// in alphabetical order. What a row says, and what the classes promise, is in parameters.h.
#include "engine/config/parameters.h"
#include "engine/config/reasons.h"

namespace mx::config {

namespace {

constexpr Parameter rows[] = {
    acts("2bounce_notice_recipient", Type::text, "postmaster"),
    harmless("backwards_bounce_logfile_compatibility", Type::boolean, "yes", why::bounces),
    acts("bounce_notice_recipient", Type::text, "postmaster"),
    acts("bounce_queue_lifetime", Type::time, "5d"),
    harmless("bounce_service_name", Type::text, "bounce", why::master_services),
    acts("bounce_size_limit", Type::integer, "50000"),
    harmless("bounce_template_file", Type::text, "", why::bounces),
    harmless("confirm_delay_cleared", Type::boolean, "no", why::notices),
    harmless("default_database_type", Type::text, "hash", why::tables),
    harmless("default_delivery_slot_cost", Type::integer, "5", why::scheduling),
    harmless("default_delivery_slot_discount", Type::integer, "50", why::scheduling),
    harmless("default_delivery_slot_loan", Type::integer, "3", why::scheduling),
    refused("default_delivery_status_filter", Type::text, "", not_built::reply_filters),
    harmless("default_destination_concurrency_failed_cohort_limit", Type::integer, "1",
             why::failure_feedback),
    acts("default_destination_concurrency_limit", Type::integer, "20"),
    harmless("default_destination_concurrency_negative_feedback", Type::text, "1",
             why::failure_feedback),
    acts("default_destination_concurrency_positive_feedback", Type::text, "1"),
    acts("default_destination_rate_delay", Type::time, "0s"),
    acts("default_destination_recipient_limit", Type::integer, "50"),
    harmless("default_extra_recipient_limit", Type::integer, "1000", why::scheduling),
    harmless("default_minimum_delivery_slots", Type::integer, "3", why::scheduling),
    harmless("default_recipient_limit", Type::integer, "20000", why::scheduling),
    harmless("default_recipient_refill_delay", Type::time, "5s", why::scheduling),
    harmless("default_recipient_refill_limit", Type::integer, "100", why::scheduling),
    harmless("default_verp_delimiters", Type::text, "+=", why::bounces),
    harmless("defer_service_name", Type::text, "defer", why::master_services),
    refused("defer_transports", Type::text, "", not_built::defer_transports),
    harmless("delay_logging_resolution_limit", Type::integer, "2", why::log_shape),
    acts("delay_notice_recipient", Type::text, "postmaster"),
    acts("delay_warning_time", Type::time, "0h"),
    harmless("disable_verp_bounces", Type::boolean, "no", why::bounces),
    harmless("empty_address_recipient", Type::text, "MAILER-DAEMON", why::bounces),
    harmless("enable_threaded_bounces", Type::boolean, "no", why::bounces),
    acts("error_notice_recipient", Type::text, "postmaster"),
    acts("fast_flush_domains", Type::text, "$relay_domains"),
    harmless("fast_flush_purge_time", Type::time, "7d", why::scheduling),
    harmless("fast_flush_refresh_time", Type::time, "12h", why::scheduling),
    harmless("hash_queue_depth", Type::integer, "1", why::scheduling),
    harmless("hash_queue_names", Type::text, "deferred, defer", why::scheduling),
    harmless("header_from_format", Type::text, "standard", why::bounces),
    acts("initial_destination_concurrency", Type::integer, "5"),
    acts("maximal_backoff_time", Type::time, "4000s"),
    acts("maximal_queue_lifetime", Type::time, "5d"),
    acts("minimal_backoff_time", Type::time, "300s"),
    acts("notify_classes", Type::text, "resource, software"),
    harmless("qmgr_clog_warn_time", Type::time, "300s", why::scheduling),
    harmless("qmgr_daemon_timeout", Type::time, "1000s", why::scheduling),
    harmless("qmgr_fudge_factor", Type::integer, "100", why::scheduling),
    harmless("qmgr_ipc_timeout", Type::time, "60s", why::scheduling),
    harmless("qmgr_message_active_limit", Type::integer, "20000", why::scheduling),
    harmless("qmgr_message_recipient_limit", Type::integer, "20000", why::scheduling),
    harmless("qmgr_message_recipient_minimum", Type::integer, "10", why::scheduling),
    acts("queue_directory", Type::text, "/var/spool/ringmx"),
    harmless("queue_file_attribute_count_limit", Type::integer, "100", why::scheduling),
    harmless("queue_minfree", Type::integer, "0", why::free_space),
    harmless("queue_run_delay", Type::time, "300s", why::scheduling),
    harmless("queue_service_name", Type::text, "qmgr", why::master_services),
    acts("transport_maps", Type::text, ""),
    harmless("transport_retry_time", Type::time, "60s", why::scheduling),
    harmless("verp_delimiter_filter", Type::text, "-=+", why::bounces),
};

}  // namespace

const std::span<const Parameter> queue_parameters = rows;

}  // namespace mx::config
