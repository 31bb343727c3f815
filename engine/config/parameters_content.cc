// engine/config/parameters_content.cc - Postfix's parameters of headers, bodies and filters, in
// alphabetical order. What a row says, and what the classes promise, is in parameters.h.
#include "engine/config/parameters.h"
#include "engine/config/reasons.h"

namespace mx::config {

namespace {

constexpr Parameter rows[] = {
    refused("always_add_missing_headers", Type::boolean, "no", not_built::header_edits),
    refused("body_checks", Type::text, "", not_built::content_checks),
    harmless("body_checks_size_limit", Type::integer, "51200", why::content),
    refused("content_filter", Type::text, "", not_built::content_filter),
    harmless("detect_8bit_encoding_header", Type::boolean, "yes", why::content),
    harmless("disable_mime_input_processing", Type::boolean, "no", why::content),
    harmless("disable_mime_output_conversion", Type::boolean, "no", why::content),
    harmless("header_address_token_limit", Type::integer, "10240", why::content),
    refused("header_checks", Type::text, "", not_built::content_checks),
    harmless("header_size_limit", Type::integer, "102400", why::content),
    harmless("internal_mail_filter_classes", Type::text, "", why::milters),
    refused("message_drop_headers", Type::text, "bcc, content-length, resent-bcc, return-path",
            not_built::header_edits, ""),
    refused("message_reject_characters", Type::text, "", not_built::content_checks),
    refused("message_strip_characters", Type::text, "", not_built::content_checks),
    harmless("milter_command_timeout", Type::time, "30s", why::milters),
    harmless("milter_connect_macros", Type::text, "j {daemon_name} {daemon_addr} v _",
             why::milters),
    harmless("milter_connect_timeout", Type::time, "30s", why::milters),
    harmless("milter_content_timeout", Type::time, "300s", why::milters),
    harmless("milter_data_macros", Type::text, "i", why::milters),
    harmless("milter_default_action", Type::text, "tempfail", why::milters),
    harmless("milter_end_of_data_macros", Type::text, "i", why::milters),
    harmless("milter_end_of_header_macros", Type::text, "i", why::milters),
    harmless("milter_header_checks", Type::text, "", why::milters),
    harmless("milter_helo_macros", Type::text,
             "{tls_version} {cipher} {cipher_bits} "
             "{cert_subject} {cert_issuer}",
             why::milters),
    harmless("milter_macro_daemon_name", Type::text, "$myhostname", why::milters),
    harmless("milter_macro_defaults", Type::text, "", why::milters),
    harmless("milter_macro_v", Type::text, "$mail_name $mail_version", why::milters),
    harmless("milter_mail_macros", Type::text,
             "i {auth_type} {auth_authen} {auth_author} "
             "{mail_addr} {mail_host} {mail_mailer}",
             why::milters),
    harmless("milter_protocol", Type::text, "6", why::milters),
    harmless("milter_rcpt_macros", Type::text, "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
             why::milters),
    harmless("milter_unknown_command_macros", Type::text, "", why::milters),
    harmless("mime_boundary_length_limit", Type::integer, "2048", why::content),
    refused("mime_header_checks", Type::text, "$header_checks", not_built::content_checks, ""),
    harmless("mime_nesting_limit", Type::integer, "100", why::content),
    refused("nested_header_checks", Type::text, "$header_checks", not_built::content_checks, ""),
    harmless("non_smtpd_milters", Type::text, "", why::milters),
    refused("receive_override_options", Type::text, "", not_built::content_filter),
    refused("strict_7bit_headers", Type::boolean, "no", not_built::mime),
    refused("strict_8bitmime", Type::boolean, "no", not_built::mime),
    refused("strict_8bitmime_body", Type::boolean, "no", not_built::mime),
    refused("strict_mime_encoding_domain", Type::boolean, "no", not_built::mime),
    refused("undisclosed_recipients_header", Type::text, "", not_built::header_edits),
};

}  // namespace

const std::span<const Parameter> content_parameters = rows;

}  // namespace mx::config
