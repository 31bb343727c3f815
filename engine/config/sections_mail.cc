// engine/config/sections_mail.cc - whom we take mail for, under which restrictions, and what the
// queue and the process may use.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string>

#include "engine/config/addresses.h"
#include "engine/config/sections.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"
#include "queue/segment_pool.h"

namespace mx::config {

namespace {

constexpr Duration time_max = seconds(INT32_MAX);
constexpr uint64_t bounce_size_max = 10U << 20;  // a notice is made in memory
// In a smaller one a chunk of a body (limits::body_block_bytes) has no room.
constexpr uint64_t segment_bytes_min = 128ULL << 10, segment_bytes_max = 1ULL << 30;
constexpr uint64_t queue_bytes_max = 1ULL << 50;
constexpr uint64_t body_cache_min = 1ULL << 20;  // a few dozen bodies under way at once
constexpr uint32_t shards_max = 1024;
constexpr uint32_t sessions_max = 1'000'000;

uint16_t reply_code(Evaluator& values, std::string_view name) {
  return static_cast<uint16_t>(values.small_integer(name, 400, 599));
}

std::vector<IpAddress> own_addresses(Evaluator& values) {
  std::vector<IpAddress> result = values.interfaces().addresses;
  for (const Word& word : values.list("proxy_interfaces").words) {
    if (const auto address = parse_address(word.text))
      result.push_back(*address);
    else
      values.report(
          word, Severity::error,
          fmt::format("proxy_interfaces: \"{}\" is not an address", printable(word.text)));
  }
  return result;
}

bool has_word(Evaluator& values, std::string_view name, std::string_view word) {
  for (const Word& one : values.list(name).words)
    if (equals_ignoring_case(one.text, word)) return true;
  return false;
}

void read_expansion(Evaluator& values, Domains& domains) {
  domains.virtual_alias_expansion_limit =
      values.small_integer("virtual_alias_expansion_limit", 1, INT32_MAX);
  domains.virtual_alias_recursion_limit =
      values.small_integer("virtual_alias_recursion_limit", 1, INT32_MAX);
  domains.virtual_alias_address_length_limit =
      values.small_integer("virtual_alias_address_length_limit", 1, INT32_MAX);
  domains.propagate_virtual_extensions =
      has_word(values, "propagate_unmatched_extensions", "virtual");
  domains.propagate_alias_extensions = has_word(values, "propagate_unmatched_extensions", "alias");
  domains.expand_owner_alias = values.boolean("expand_owner_alias");
  domains.reset_owner_alias = values.boolean("reset_owner_alias");
}

void read_client_limits(Evaluator& values, ListReader& lists, Clients& clients) {
  ClientLimits& limits = clients.limits;
  const auto limit = [&](std::string_view name) {
    return values.small_integer(name, 0, INT32_MAX);
  };
  limits.connections = limit("smtpd_client_connection_count_limit");
  limits.connection_rate = limit("smtpd_client_connection_rate_limit");
  limits.message_rate = limit("smtpd_client_message_rate_limit");
  limits.recipient_rate = limit("smtpd_client_recipient_rate_limit");
  limits.window = values.time("anvil_rate_time_unit", seconds(1), time_max);
  limits.ipv4_prefix =
      static_cast<uint8_t>(values.small_integer("smtpd_client_ipv4_prefix_length", 0, 32));
  limits.ipv6_prefix =
      static_cast<uint8_t>(values.small_integer("smtpd_client_ipv6_prefix_length", 0, 128));
  clients.limit_exceptions = lists.match_list("smtpd_client_event_limit_exceptions");
  if (values.small_integer("debug_peer_level", 0, INT32_MAX) > 0)
    clients.debug_peers = lists.match_list("debug_peer_list");
}

// Who may say who the client is has to be told: else every client could name its own address.
void read_upstream_proxy(Evaluator& values, ListReader& lists, Clients& clients) {
  constexpr std::string_view name = "smtpd_upstream_proxy_protocol";
  const std::string& protocol = values.text(name);
  clients.proxy_protocol = protocol == "haproxy";
  clients.proxy_timeout = values.time("smtpd_upstream_proxy_timeout", seconds(1), time_max);
  clients.proxy_trusted = lists.match_list("ringmx_proxy_trusted");
  if (!protocol.empty() && !clients.proxy_protocol)
    values.error(name, fmt::format("\"{}\": only haproxy is known", printable(protocol)));
  if (clients.proxy_protocol && clients.proxy_trusted.empty())
    values.error(name, "needs the addresses of the proxies in ringmx_proxy_trusted");
}

// Of sessions. bounce: for the recipients that were refused as unknown, and messages as too large.
smtp::ErrorClasses error_class(std::string_view name) {
  if (name == "bounce") return smtp::error_bounce;
  if (name == "data") return smtp::error_data;
  if (name == "policy") return smtp::error_policy;
  if (name == "protocol") return smtp::error_protocol;
  if (name == "resource") return smtp::error_resource;
  return name == "software" ? smtp::error_software : smtp::ErrorClasses{0};
}

// A list that can't be read counts as one that relays for nobody: what is wrong is said already.
List guarding_list(Evaluator& values, ListReader& lists, std::string_view name) {
  List list = lists.restriction_list(name);
  if (values.has_error(name)) list.words = {{"reject", values.main_cf().file(), list.line}};
  return list;
}

}  // namespace

void read_domains(Evaluator& values, ListReader& lists, Settings& settings) {
  Domains& domains = settings.domains;
  domains.myorigin = values.text("myorigin");
  if (domains.myorigin.starts_with('/'))
    values.error("myorigin", "reading the name from a file is not built yet");
  else if (!is_valid_hostname(domains.myorigin))
    values.error("myorigin", fmt::format("bad domain \"{}\"", printable(domains.myorigin)));
  domains.mydestination = lists.match_list("mydestination");
  domains.mynetworks = lists.match_list("mynetworks");
  domains.relay_domains = lists.match_list("relay_domains");
  domains.relay_recipient_maps = lists.table_list("relay_recipient_maps");
  if (!domains.mydestination.empty())
    domains.local_recipient_maps = lists.table_list("local_recipient_maps");
  domains.alias_maps = lists.table_list("alias_maps");
  domains.virtual_alias_domains = lists.match_list("virtual_alias_domains");
  domains.virtual_alias_maps = lists.table_list("virtual_alias_maps");
  domains.transport_maps = lists.table_list("transport_maps");
  domains.fast_flush_domains = lists.match_list("fast_flush_domains");
  domains.relay_clientcerts = lists.table_list("relay_clientcerts");
  domains.parent_domain_matches_subdomains = values.list("parent_domain_matches_subdomains");
  domains.own_addresses = own_addresses(values);
  domains.recipient_delimiter = values.text("recipient_delimiter");
  domains.owner_request_special = values.boolean("owner_request_special");
  domains.double_bounce_sender = values.text("double_bounce_sender");
  domains.allow_untrusted_routing = values.boolean("allow_untrusted_routing");
  domains.allow_percent_hack = values.boolean("allow_percent_hack");
  domains.swap_bangpath = values.boolean("swap_bangpath");
  domains.append_at_myorigin = values.boolean("append_at_myorigin");
  domains.append_dot_mydomain = values.boolean("append_dot_mydomain");
  if (!domains.mydestination.empty() && domains.alias_maps.empty() &&
      domains.virtual_alias_maps.empty())
    values.warning("mydestination",
                   "there are no mailboxes, and no alias_maps says where mail for these domains "
                   "goes: their recipients are refused");
  read_expansion(values, domains);
}

void read_restrictions(Evaluator& values, ListReader& lists, Settings& settings) {
  Restrictions& restrictions = settings.restrictions;
  restrictions.client = lists.restriction_list("smtpd_client_restrictions");
  restrictions.helo = lists.restriction_list("smtpd_helo_restrictions");
  restrictions.sender = lists.restriction_list("smtpd_sender_restrictions");
  restrictions.relay = guarding_list(values, lists, "smtpd_relay_restrictions");
  restrictions.recipient = guarding_list(values, lists, "smtpd_recipient_restrictions");
  restrictions.data = lists.restriction_list("smtpd_data_restrictions");
  restrictions.end_of_data = lists.restriction_list("smtpd_end_of_data_restrictions");
  restrictions.etrn = lists.restriction_list("smtpd_etrn_restrictions");
  settings.clients.xclient_hosts = lists.match_list("smtpd_authorized_xclient_hosts");
  settings.clients.xforward_hosts = lists.match_list("smtpd_authorized_xforward_hosts");
  settings.clients.ehlo_keyword_maps = lists.table_list("smtpd_discard_ehlo_keyword_address_maps");
  read_upstream_proxy(values, lists, settings.clients);
  read_client_limits(values, lists, settings.clients);
  for (const Word& name : values.list("smtpd_restriction_classes").words) {
    if (values.main_cf().find(name.text) == nullptr)
      values.report(name, Severity::error,
                    fmt::format("smtpd_restriction_classes: {} is not set", printable(name.text)));
    restrictions.classes.push_back({name, lists.restriction_list(name.text)});
  }
  restrictions.relay_before_recipient = values.boolean("smtpd_relay_before_recipient_restrictions");
  restrictions.delay_reject = values.boolean("smtpd_delay_reject");
  restrictions.reject_unlisted_recipient = values.boolean("smtpd_reject_unlisted_recipient");
  restrictions.reject_unlisted_sender = values.boolean("smtpd_reject_unlisted_sender");
  restrictions.show_user_unknown_table_name = values.boolean("show_user_unknown_table_name");
  restrictions.null_access_lookup_key = values.text("smtpd_null_access_lookup_key");
  for (const std::string_view name :
       {"reject_tempfail_action", "unknown_address_tempfail_action"}) {
    const std::string& action = values.text(name);
    if (!equals_ignoring_case(action, "defer") && !equals_ignoring_case(action, "defer_if_permit"))
      values.error(name, fmt::format("\"{}\": defer or defer_if_permit", printable(action)));
  }
  restrictions.unknown_address_tempfail_defers =
      equals_ignoring_case(values.text("unknown_address_tempfail_action"), "defer");
}

void read_codes(Evaluator& values, RejectCodes& codes) {
  codes.reject = reply_code(values, "reject_code");
  codes.defer = reply_code(values, "defer_code");
  codes.relay_domains = reply_code(values, "relay_domains_reject_code");
  codes.non_fqdn = reply_code(values, "non_fqdn_reject_code");
  codes.invalid_hostname = reply_code(values, "invalid_hostname_reject_code");
  codes.access_map_reject = reply_code(values, "access_map_reject_code");
  codes.access_map_defer = reply_code(values, "access_map_defer_code");
  codes.multi_recipient_bounce = reply_code(values, "multi_recipient_bounce_reject_code");
  codes.plaintext = reply_code(values, "plaintext_reject_code");
  codes.unknown_address = reply_code(values, "unknown_address_reject_code");
  codes.unknown_client = reply_code(values, "unknown_client_reject_code");
  codes.unknown_local_recipient = reply_code(values, "unknown_local_recipient_reject_code");
  codes.unknown_relay_recipient = reply_code(values, "unknown_relay_recipient_reject_code");
  codes.unknown_virtual_alias = reply_code(values, "unknown_virtual_alias_reject_code");
}

void read_queue(Evaluator& values, Settings& settings) {
  QueueSettings& queue = settings.queue;
  queue.directory = values.text("queue_directory");
  if (!queue.directory.starts_with('/')) values.error("queue_directory", "must begin with /");
  queue.segment_size = values.integer("ringmx_segment_size", segment_bytes_min, segment_bytes_max);
  if (!std::has_single_bit(queue.segment_size))
    values.error("ringmx_segment_size", "must be a power of two");
  queue.size_limit = values.integer("ringmx_queue_size_limit", 0, queue_bytes_max);
  if (queue.size_limit / queue.segment_size > limits::queue_segments_max)
    values.error("ringmx_segment_size",
                 fmt::format("is too small: the queue would have more than {} segments",
                             limits::queue_segments_max));
  if (settings.server.message_size_limit > queue.size_limit)
    values.error("message_size_limit", "is larger than ringmx_queue_size_limit");
  const std::string& sync = values.text("ringmx_queue_sync");
  if (sync == "fdatasync")
    queue.sync = QueueSync::fdatasync;
  else if (sync == "dsync")
    queue.sync = QueueSync::dsync;
  else if (sync != "auto")
    values.error("ringmx_queue_sync",
                 fmt::format("\"{}\": auto, fdatasync or dsync", printable(sync)));
  const std::string& flush = values.text("ringmx_queue_flush");
  if (flush == "each")
    queue.flush = QueueFlush::each;
  else if (flush == "together")
    queue.flush = QueueFlush::together;
  else if (flush != "auto")
    values.error("ringmx_queue_flush",
                 fmt::format("\"{}\": auto, each or together", printable(flush)));
  if (queue.flush == QueueFlush::together && queue.sync == QueueSync::dsync)
    values.error("ringmx_queue_flush", "together needs ringmx_queue_sync = fdatasync");
  queue.minimal_backoff = values.time("minimal_backoff_time", seconds(1), time_max);
  queue.maximal_backoff = values.time("maximal_backoff_time", seconds(1), time_max);
  if (queue.minimal_backoff > queue.maximal_backoff)
    values.error("minimal_backoff_time", "is longer than maximal_backoff_time");
}

void read_bounces(Evaluator& values, BounceSettings& bounces) {
  bounces.queue_lifetime = values.time("maximal_queue_lifetime", {}, time_max);
  bounces.bounce_lifetime = values.time("bounce_queue_lifetime", {}, time_max);
  bounces.delay_warning = values.time("delay_warning_time", {}, time_max);
  bounces.size_limit = values.integer("bounce_size_limit", 1, bounce_size_max);
  bounces.soft_bounce = values.boolean("soft_bounce");
  bounces.bounce_recipient = values.text("bounce_notice_recipient");
  bounces.double_bounce_recipient = values.text("2bounce_notice_recipient");
  bounces.delay_recipient = values.text("delay_notice_recipient");
  bounces.error_recipient = values.text("error_notice_recipient");
  bounces.notify_errors = 0;
  for (const Word& word : values.list("notify_classes").words) {
    const std::string& name = word.text;
    const smtp::ErrorClasses errors = error_class(name);
    bounces.notify_errors |= errors;
    bounces.notify_bounce |= name == "bounce";
    bounces.notify_2bounce |= name == "bounce" || name == "2bounce";
    bounces.notify_delay |= name == "delay";
    if (errors == 0 && name != "2bounce" && name != "delay")
      values.report(word, Severity::error,
                    fmt::format("notify_classes: \"{}\" is no class", printable(name)));
  }
  const std::string& instead = values.text("ringmx_bounce");
  bounces.quarantine = instead == "quarantine";
  bounces.quarantine_digest = values.time("ringmx_quarantine_digest", {}, time_max);
  if (!bounces.quarantine && instead != "dsn")
    values.error("ringmx_bounce", fmt::format("\"{}\": dsn or quarantine", printable(instead)));
}

// One a core, as far as the queue has segments for their journals.
void read_shards(Evaluator& values, const QueueSettings& queue, uint32_t& shards) {
  using queue::SegmentPool;
  constexpr std::string_view limit = "ringmx_queue_size_limit";
  const uint64_t segments = queue.size_limit / queue.segment_size;
  const uint32_t wanted = shards == 0 ? std::min(values.host().cores, shards_max) : shards;
  uint32_t most = wanted;
  while (most > 0 && SegmentPool::segments_min(most) > segments) --most;
  if (most == 0 || (most < wanted && shards != 0))
    values.error(limit, fmt::format("holds {} segments of ringmx_segment_size = {}; {} shards need "
                                    "at least {}",
                                    segments, queue.segment_size, std::max(1U, shards),
                                    SegmentPool::segments_min(std::max(1U, shards))));
  else if (most < wanted)
    values.warning(limit, fmt::format("has room for {} of {} shards (one a core) only; {} of "
                                      "them need {} bytes",
                                      most, wanted, wanted,
                                      SegmentPool::segments_min(wanted) * queue.segment_size));
  shards = std::max(1U, most);
}

void read_resources(Evaluator& values, Settings& settings) {
  ResourceSettings& resources = settings.resources;
  resources.shards = values.small_integer("ringmx_shards", 0, shards_max);
  read_shards(values, settings.queue, resources.shards);
  resources.body_cache_bytes = values.integer("ringmx_body_cache", body_cache_min, 1ULL << 40);
  resources.sessions_max = values.small_integer("ringmx_max_sessions", 1, sessions_max);
  resources.sandbox = values.boolean("ringmx_sandbox");
  resources.shutdown_timeout = values.time("ringmx_shutdown_timeout", {}, seconds(3600));
  const std::string& eight_bit = values.text("ringmx_8bit");
  settings.relay.eight_bit_bounce = eight_bit == "bounce";
  if (eight_bit != "bounce" && eight_bit != "send")
    values.error("ringmx_8bit", fmt::format("\"{}\": send or bounce", printable(eight_bit)));
}

}  // namespace mx::config
