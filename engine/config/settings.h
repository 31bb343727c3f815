// engine/config/settings.h - what a configuration says, as typed values: the result of load()
// (load.h).
//
// Every value is checked and in range, so nobody after this point parses a number, a time or an
// address of main.cf again. Lists keep the line of each word, so that whoever gives a word its
// meaning (policy, maps) can still name `file:line:`. Nothing here refers to main.cf's bytes: a
// Settings is a plain value, built once by a start or a reload, then read-only and shared by all
// shards.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/ip_address.h"
#include "proto/base/time.h"
#include "proto/smtp/client.h"
#include "proto/smtp/server.h"

namespace mx::config {

// One element of a list, after expansion of $name, and where it stands: main.cf or the /file it
// came from; line 0 for a default.
struct Word {
  std::string text;
  std::string file;
  uint32_t line = 0;
};

// A match list or restriction list; /file elements of match lists are already replaced by their
// contents.
struct List {
  std::string parameter;
  uint32_t line = 0;  // of `parameter = …` in main.cf, 0 for the default
  std::vector<Word> words;
  bool empty() const { return words.empty(); }
};

// type:path as a list names it, without `proxy:`. The compiled form of `path` is `path.phm`.
struct TableName {
  std::string type, path;
  std::string parameter;  // first that names it
  uint32_t line = 0;
};

struct ListenAddress {
  IpAddress address;  // all zero: every address of the family
  uint16_t port = 25;
  std::string text;  // "127.0.0.1:25", "[::1]:25": for logs
  bool operator==(const ListenAddress&) const = default;
};

struct NextHop {
  std::string host;  // a name, or the text of an address; no brackets
  uint16_t port = 25;
  bool bracketed = false;  // [host]: its addresses; else its MX
  bool is_address = false;
  IpAddress address;
  std::string text;  // "[host]:port": for logs and as the key of a destination
};

// Reply codes that main.cf can change.
struct RejectCodes {
  uint16_t reject = 554, defer = 450, relay_domains = 554, non_fqdn = 504, invalid_hostname = 501;
  uint16_t access_map_reject = 554, access_map_defer = 450, multi_recipient_bounce = 550,
           plaintext = 450, unknown_address = 450, unknown_client = 450;
  uint16_t unknown_local_recipient = 550, unknown_relay_recipient = 550,
           unknown_virtual_alias = 550;
};

struct Restrictions {
  List client, helo, sender, relay, recipient, data, end_of_data, etrn;
  bool relay_before_recipient = false;
  bool delay_reject = true;  // smtpd_delay_reject
  bool reject_unlisted_recipient = true, reject_unlisted_sender = false;
  struct Class {
    Word name;
    List words;
  };
  std::vector<Class> classes;  // smtpd_restriction_classes
  std::string null_access_lookup_key = "<>";
  bool unknown_address_tempfail_defers = false;
  bool show_user_unknown_table_name = true;
};

// Who we are and whom we take mail for.
struct Domains {
  std::string myorigin;
  List mydestination, mynetworks, relay_domains, relay_recipient_maps;
  List local_recipient_maps, alias_maps, virtual_alias_domains, virtual_alias_maps;
  List transport_maps;
  List fast_flush_domains;
  List relay_clientcerts;
  std::vector<IpAddress> own_addresses;  // inet_interfaces and proxy_interfaces
  List parent_domain_matches_subdomains;
  std::string recipient_delimiter;  // a set of characters
  bool owner_request_special = true;
  std::string double_bounce_sender = "double-bounce";
  bool allow_untrusted_routing = false;
  bool allow_percent_hack = true, swap_bangpath = true;
  bool append_at_myorigin = true, append_dot_mydomain = false;
  uint32_t virtual_alias_expansion_limit = 1000, virtual_alias_recursion_limit = 1000;
  uint32_t virtual_alias_address_length_limit = 1000;
  bool propagate_virtual_extensions = true, propagate_alias_extensions = false;
  bool expand_owner_alias = false, reset_owner_alias = false;
};

// smtpd_client_*_limit and anvil_rate_time_unit; 0: no limit.
struct ClientLimits {
  uint32_t connections = 50;                                           // at once
  uint32_t connection_rate = 0, message_rate = 0, recipient_rate = 0;  // in a window
  Duration window = seconds(60);
  uint8_t ipv4_prefix = 32, ipv6_prefix = 84;  // bits that make one client
  bool any() const {
    return connections > 0 || connection_rate > 0 || message_rate > 0 || recipient_rate > 0;
  }
};

// What a client may do, or is told, by its address.
struct Clients {
  ClientLimits limits;
  List limit_exceptions;               // smtpd_client_event_limit_exceptions
  List debug_peers;                    // debug_peer_list; empty with debug_peer_level = 0
  List xclient_hosts, xforward_hosts;  // smtpd_authorized_…
  List ehlo_keyword_maps;              // smtpd_discard_ehlo_keyword_address_maps
  bool proxy_protocol = false;         // smtpd_upstream_proxy_protocol = haproxy
  Duration proxy_timeout = seconds(5);
  List proxy_trusted;  // ringmx_proxy_trusted: whose PROXY header is believed
};

// How a batch of the journal is made durable (engine/spool/sync_probe.h).
enum class QueueSync : uint8_t { automatic, fdatasync, dsync };
// Whether the shards' journals flush together (engine/spool/flush_group.h).
enum class QueueFlush : uint8_t { automatic, each, together };

struct QueueSettings {
  std::string directory;                     // queue_directory
  uint64_t segment_size = 16ULL << 20;       // ringmx_segment_size
  uint64_t size_limit = 1ULL << 30;          // ringmx_queue_size_limit
  QueueSync sync = QueueSync::automatic;     // ringmx_queue_sync
  QueueFlush flush = QueueFlush::automatic;  // ringmx_queue_flush
  Duration minimal_backoff = seconds(300), maximal_backoff = seconds(4000);
};

// What senders and the postmaster are told of mail that could not be delivered.
struct BounceSettings {
  Duration queue_lifetime = seconds(432'000);   // maximal_queue_lifetime; 0: one attempt
  Duration bounce_lifetime = seconds(432'000);  // bounce_queue_lifetime: mail with a null sender
  Duration delay_warning;                       // delay_warning_time; 0: none
  uint64_t size_limit = 50'000;                 // bounce_size_limit: larger mail: its header only
  bool soft_bounce = false;                     // nothing is refused for good
  bool quarantine = false;  // ringmx_bounce: what would be bounced is held instead
  Duration quarantine_digest = seconds(86'400);  // ringmx_quarantine_digest; 0: none
  // notify_classes, and who is told
  bool notify_bounce = false, notify_2bounce = false, notify_delay = false;
  smtp::ErrorClasses notify_errors = smtp::error_resource | smtp::error_software;  // of sessions
  std::string bounce_recipient = "postmaster", double_bounce_recipient = "postmaster",
              delay_recipient = "postmaster", error_recipient = "postmaster";
};

// How much of one more connection a success is worth (…_concurrency_positive_feedback).
struct Feedback {
  enum class By : uint8_t { number, concurrency, sqrt_concurrency };
  By by = By::number;
  uint16_t thousandths = 1000;
  bool operator==(const Feedback&) const = default;
};

// The parameters TRANSPORT_destination_… of the transports relay and smtp.
struct TransportLimits {
  uint32_t recipients = 50;   // of a transaction; 0: no limit
  uint32_t concurrency = 20;  // connections to a next hop; 0: no limit
  uint32_t initial = 5;       // initial_destination_concurrency
  Feedback growth;            // …_concurrency_positive_feedback
  Duration rate_delay;        // between deliveries; > 0: one connection
  bool operator==(const TransportLimits&) const = default;
};

enum class AddressPreference : uint8_t { any, ipv4, ipv6 };

// How the names of next hops become addresses.
struct LookupSettings {
  std::vector<std::string> servers;  // ringmx_dns_servers, "addr:port"; empty: resolv.conf
  bool mx = true;                    // false: smtp_dns_support_level = disabled
  bool dns = true, native = false;   // smtp_host_lookup: for addresses
  bool ipv4 = true, ipv6 = true;     // inet_protocols
  bool randomize = true;             // smtp_randomize_addresses
  AddressPreference preference = AddressPreference::any;  // smtp_address_preference
  bool ignore_mx_error = false;                           // ignore_mx_lookup_error
  bool defer_without_address = false;                     // smtp_defer_if_no_mx_address_found
};

struct RelaySettings {
  std::vector<NextHop> relayhost;  // tried in order
  // Where the classes go: what relay_transport and default_transport name, else relayhost. Empty:
  // by the domain of each recipient.
  std::vector<NextHop> relay_hosts, default_hosts;
  std::string known_ports;     // known_tcp_ports
  uint16_t default_port = 25;  // smtp_tcp_port
  bool ipv4 = true, ipv6 = true;
  LookupSettings lookup;
  std::optional<IpAddress> bind_address, bind_address6;  // smtp_bind_address, …6
  bool bind_address_enforce = false;
  uint32_t backend_connections = 100;     // ringmx_backend_connections: to one, over all shards
  bool ordered = false;                   // ringmx_backend_balance: as listed; else spread
  Duration check_interval = seconds(60);  // ringmx_backend_check_interval; 0: none
  TransportLimits relay_limits, smtp_limits;
  const TransportLimits& limits(bool by_relay) const {
    return by_relay ? relay_limits : smtp_limits;
  }
  bool relay_class_by_smtp = false;        // relay_transport = smtp
  bool default_class_by_relay = false;     // default_transport = relay
  bool eight_bit_bounce = false;           // ringmx_8bit = bounce; else sent all the same
  Duration connect_timeout = seconds(30);  // smtp_connect_timeout; 0: the kernel's
  bool reuse = true;                       // smtp_connection_cache_on_demand
  Duration idle_time = seconds(2);         // smtp_connection_cache_time_limit
  Duration reuse_time = seconds(300);      // smtp_connection_reuse_time_limit
  uint32_t reuse_count = 0;                // smtp_connection_reuse_count_limit; 0: no limit
  smtp::ClientSettings client;
};

struct ResourceSettings {
  uint32_t shards = 1;                      // ringmx_shards, 0 already replaced by the core count
  uint64_t body_cache_bytes = 64ULL << 20;  // ringmx_body_cache, a shard
  uint32_t sessions_max = 20'000;           // ringmx_max_sessions, over all shards
  Duration shutdown_timeout = seconds(10);  // ringmx_shutdown_timeout
  bool sandbox = true;                      // ringmx_sandbox
};

struct LogSettings {
  std::string syslog_name = "postfix";
  std::string maillog_file;  // empty: stdout
};

struct Settings {
  std::string config_directory;  // as given to load()
  std::string hostname;          // myhostname
  std::string mydomain;
  std::string mail_name = "ringmx";
  std::string mail_owner;
  std::string compatibility_level = "0";
  bool ipv4 = true, ipv6 = true;  // inet_protocols
  std::vector<ListenAddress> listen;

  smtp::ServerSettings server;  // hostname, banner, limits of the dialogue
  Duration smtpd_timeout = seconds(300);
  // The same with `stress = yes`: for sessions that begin when nearly all slots are in use.
  smtp::ServerSettings stressed_server;
  Duration stressed_timeout = seconds(10);
  uint32_t hopcount_limit = 50;

  Domains domains;
  Clients clients;
  Restrictions restrictions;
  RejectCodes codes;
  RelaySettings relay;
  QueueSettings queue;
  BounceSettings bounces;
  ResourceSettings resources;
  LogSettings log;
  std::vector<std::string> key_files;  // private keys, and certificates that go with them
  std::vector<TableName> tables;       // every table that the settings above name, each once
  std::map<std::string, uint32_t, std::less<>> lines;  // of what main.cf sets, for later messages
};

}  // namespace mx::config
