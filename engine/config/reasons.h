// engine/config/reasons.h - why a parameter may be ignored (why::) and what is missing where it may
// not (not_built::). One sentence each, for `mxconf` and for start-up errors.
#pragma once

#include <string_view>

namespace mx::config {

namespace why {
inline constexpr std::string_view always_ehlo =
    "EHLO is always tried first, and HELO when it is refused";
inline constexpr std::string_view backend_addresses =
    "all addresses that a look-up finds share the mail by preference, each with a state of its "
    "own: one that does not answer is left out until it does";
inline constexpr std::string_view backend_deadline =
    "each reply of a backend has a time limit of its own";
inline constexpr std::string_view backend_quit =
    "the reply to QUIT is not waited for (smtp_skip_quit_response = yes)";
inline constexpr std::string_view bare_newline_exclusions =
    "bare newlines are made harmless whoever sends them; the message itself is not refused";
inline constexpr std::string_view bounces = "notices have Postfix's built-in text and one sender";
inline constexpr std::string_view config_directory = "the directory is given by -c";
inline constexpr std::string_view connection_cache =
    "connections to every backend are kept for further messages, unless "
    "smtp_connection_cache_on_demand = no";
inline constexpr std::string_view connection_pool =
    "connections to a backend are pooled inside ringmx, for many messages each";
inline constexpr std::string_view content =
    "messages are stored and sent as they came: no header or MIME part is parsed, and no line is "
    "broken or converted";
inline constexpr std::string_view duplicates =
    "recipients are delivered to as the client gave them";
inline constexpr std::string_view expansion_only = "it only gives $name in other values";
inline constexpr std::string_view failure_feedback =
    "a backend that takes no further connection keeps those that it has; one that takes none is "
    "left alone until a probe finds it well again, after 1 to 60 s, while its mail waits "
    "undeferred";
inline constexpr std::string_view free_space =
    "space is reserved in the queue's own segments before a message is accepted "
    "(ringmx_queue_size_limit)";
inline constexpr std::string_view idna =
    "a domain in UTF-8 is compared and passed on as it stands, never converted";
inline constexpr std::string_view installation = "Postfix's programs and documents are not used";
inline constexpr std::string_view instances = "it belongs to Postfix's multi-instance manager";
inline constexpr std::string_view lmtp =
    "it belongs to Postfix's LMTP client; mail leaves by SMTP only";
inline constexpr std::string_view local_delivery =
    "it belongs to local delivery: there is none yet, local recipients are refused";
inline constexpr std::string_view local_submission =
    "it belongs to mail submitted by local programs; ringmx takes mail by SMTP only";
inline constexpr std::string_view log_shape = "it changes only what is logged";
inline constexpr std::string_view mailbox_size =
    "there are no mailboxes here; with Postfix, a value below message_size_limit stops local "
    "delivery";
inline constexpr std::string_view master_services = "it names one of Postfix's internal services";
inline constexpr std::string_view milters =
    "used only with milters, which are refused when they are set";
inline constexpr std::string_view newaliases = "it is used by newaliases only";
inline constexpr std::string_view notices = "a delay is warned of once, and its end is not told";
inline constexpr std::string_view other_transport =
    "it belongs to a transport of master.cf that ringmx does not have";
inline constexpr std::string_view peername =
    "client names are not looked up yet; a restriction that needs one is refused";
inline constexpr std::string_view pix =
    "the workaround for old PIX firewalls is not needed by today's";
inline constexpr std::string_view policy_service =
    "used only by check_policy_service, which is refused as a restriction";
inline constexpr std::string_view postscreen =
    "it belongs to postscreen; what would switch one of its tests on is refused when it is set";
inline constexpr std::string_view processes =
    "it belongs to Postfix's processes; ringmx is one process";
inline constexpr std::string_view proxy_filter =
    "used only with smtpd_proxy_filter, which is refused when it is set";
inline constexpr std::string_view qmqp = "there is no QMQP server";
inline constexpr std::string_view queue_file = "the queue has no file for each message";
inline constexpr std::string_view restriction =
    "used only by restrictions that are refused as long as they are not built";
inline constexpr std::string_view sasl =
    "used only with SASL, which is refused when it is switched on";
inline constexpr std::string_view scheduling =
    "it tunes Postfix's queue manager; the schedule of ringmx waits by destination, not by message";
inline constexpr std::string_view search_list =
    "names are looked up as they stand, never with a search list";
inline constexpr std::string_view stray_cr_lf =
    "a stray CR or LF is never passed on, whatever this says";
inline constexpr std::string_view tables =
    "tables are compiled by mapc, and all of them are opened at start";
inline constexpr std::string_view tls =
    "used only with TLS, which is refused when it is switched on";
inline constexpr std::string_view transcripts =
    "the postmaster gets one transcript of a session, of its last lines, at its end";
inline constexpr std::string_view unset_feature =
    "used only with parameters that are refused when they are set";
inline constexpr std::string_view verification =
    "used only by address verification, whose restrictions are refused";
inline constexpr std::string_view verp = "XVERP is not offered";
inline constexpr std::string_view virtual_domains =
    "used only with virtual domains, which are refused when they are set";
}  // namespace why

namespace not_built {
inline constexpr std::string_view bare_newline_code = "the reply to a bare newline is 550";
inline constexpr std::string_view bcc = "automatic copies are not built yet";
inline constexpr std::string_view client_dialogue =
    "this change of the dialogue with backends is not built yet";
inline constexpr std::string_view commands = "changing the set of commands is not built yet";
inline constexpr std::string_view content_checks = "header and body checks are not built yet";
inline constexpr std::string_view content_filter = "content filters are not built yet";
inline constexpr std::string_view deadline = "a deadline over a whole request is not built yet";
inline constexpr std::string_view defer_transports = "holding a transport's mail is not built yet";
inline constexpr std::string_view header_edits = "adding and removing headers is not built yet";
inline constexpr std::string_view local_delivery = "local delivery is not built yet";
inline constexpr std::string_view milters = "milters are not built yet";
inline constexpr std::string_view mime = "checks of 8-bit and MIME rules are not built yet";
inline constexpr std::string_view postscreen = "postscreen's tests are not built yet";
inline constexpr std::string_view proxy_filter = "before-queue filters are not built yet";
inline constexpr std::string_view rate_delay =
    "a delay over all destinations of a transport is not built yet";
inline constexpr std::string_view reject_footer = "reply footers are not built yet";
inline constexpr std::string_view relocated = "relocated recipients are not built yet";
inline constexpr std::string_view reply_filters =
    "filters of replies and delivery status are not built yet";
inline constexpr std::string_view resolve = "this way of resolving addresses is not built";
inline constexpr std::string_view rewriting = "address rewriting is not built yet";
inline constexpr std::string_view routing = "this way of routing is not built yet";
inline constexpr std::string_view sasl_client = "SASL authentication to backends is not built";
inline constexpr std::string_view sasl_server = "there is no SASL authentication: this is an MX";
inline constexpr std::string_view saved_queue = "keeping delivered messages is not built";
inline constexpr std::string_view service_disable =
    "there are no master.cf services to disable; see ringmx_listen";
inline constexpr std::string_view tls = "TLS is not built yet";
inline constexpr std::string_view virtual_domains = "virtual domains are not built yet";
}  // namespace not_built

}  // namespace mx::config
