// engine/config/sections_smtp.cc - who we are, where we listen, how the SMTP server and client
// behave.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "engine/config/addresses.h"
#include "engine/config/sections.h"
#include "engine/config/values.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr uint32_t int_max = INT32_MAX;  // Postfix's own bound where it has no other
constexpr Duration time_max = seconds(INT32_MAX);
constexpr size_t shown_bytes_max = 60;
constexpr uint16_t smtp_port = 25;
// "220 " and CRLF go around the banner.
constexpr size_t banner_bytes_max = limits::reply_line_bytes_max - 6;

std::string hostname(Evaluator& values, std::string_view name) {
  const std::string& text = values.text(name);
  if (!is_valid_hostname(text))
    values.error(name, fmt::format("bad hostname \"{}\"", printable(text, shown_bytes_max)));
  return text;
}

smtp::BareNewline bare_newline(Evaluator& values) {
  constexpr std::string_view name = "smtpd_forbid_bare_newline";
  const std::string value = lower(values.text(name));
  if (value == "reject") return smtp::BareNewline::reject;
  if (value == "no" || value == "note")
    values.warning(
        name, fmt::format("{}: bare newlines are made harmless all the same (normalize)", value));
  else if (value != "normalize" && value != "yes")
    values.error(name, fmt::format("\"{}\" is not one of yes, no, note, normalize, reject",
                                   printable(value, shown_bytes_max)));
  return smtp::BareNewline::normalize;
}

smtp::EhloKeywords discarded_keywords(Evaluator& values) {
  constexpr std::string_view name = "smtpd_discard_ehlo_keywords";
  std::string_view unknown;
  const smtp::EhloKeywords keywords = smtp::parse_ehlo_keywords(values.text(name), unknown);
  if (!unknown.empty())
    values.error(name,
                 fmt::format("\"{}\" is no EHLO keyword", printable(unknown, shown_bytes_max)));
  return keywords;
}

// Verbs. Of tables only Postfix's default is known: "whatever begins with no letter".
std::vector<std::string> verbs(Evaluator& values, std::string_view name, bool* non_letters) {
  std::vector<std::string> out;
  for (const Word& word : values.list(name).words) {
    const bool letters_rule =
        word.text.starts_with("regexp:{{/^[^A-Z]/") && word.text.ends_with("}}");
    if (non_letters != nullptr && letters_rule)
      *non_letters = true;
    else if (word.text.find_first_of(":/!{") != std::string::npos)
      values.report(word, Severity::error,
                    fmt::format("{}: only verbs are served, not \"{}\"", name,
                                printable(word.text, shown_bytes_max)));
    else
      out.push_back(word.text);
  }
  return out;
}

// Not Postfix's syntax for relayhost, though its meaning is plain: Postfix takes the whole for a
// host name and never delivers.
std::string_view without_transport(Evaluator& values, const Word& word) {
  std::string_view text = word.text;
  for (const std::string_view prefix : {"smtp:[", "relay:["}) {
    if (!text.starts_with(prefix)) continue;
    text.remove_prefix(prefix.size() - 1);
    values.report(
        word, Severity::warning,
        fmt::format("relayhost: \"{}\" is read as {}; Postfix would defer all mail",
                    printable(word.text, shown_bytes_max), printable(text, shown_bytes_max)));
  }
  return text;
}

void read_relayhost(Evaluator& values, RelaySettings& relay) {
  relay.known_ports = values.text("known_tcp_ports");
  const auto default_port = parse_port(values.text("smtp_tcp_port"), relay.known_ports);
  if (!default_port || *default_port == 0) values.error("smtp_tcp_port", "bad port");
  relay.default_port = default_port.value_or(smtp_port);
  for (const Word& word : values.list("relayhost").words) {
    const auto hops =
        parse_next_hops(without_transport(values, word), relay.default_port, relay.known_ports);
    if (hops)
      relay.relayhost.insert(relay.relayhost.end(), hops->begin(), hops->end());
    else
      values.report(word, Severity::error, fmt::format("relayhost: {}", hops.error()));
  }
}

// `transport`, `transport:` or `transport:next hop` of an address class. The transports are those
// of Postfix's master.cf that speak SMTP. True: it is relay, not smtp.
bool read_transport(Evaluator& values, std::string_view name, const RelaySettings& relay,
                    std::vector<NextHop>& hosts) {
  const std::string_view text = values.text(name);
  const std::string_view transport = text.substr(0, text.find(':'));
  const std::string_view next_hop =
      transport.size() == text.size() ? "" : text.substr(transport.size() + 1);
  if (transport != "relay" && transport != "smtp")
    values.error(name, fmt::format("\"{}\": only relay and smtp are built",
                                   printable(text, shown_bytes_max)));
  if (auto hops = parse_next_hops(next_hop, relay.default_port, relay.known_ports))
    hosts = hops->empty() ? relay.relayhost : std::move(*hops);
  else
    values.error(name, hops.error());
  return transport == "relay";
}

void read_routes(Evaluator& values, RelaySettings& relay) {
  read_relayhost(values, relay);
  relay.relay_class_by_smtp = !read_transport(values, "relay_transport", relay, relay.relay_hosts);
  relay.default_class_by_relay =
      read_transport(values, "default_transport", relay, relay.default_hosts);
}

std::optional<IpAddress> bind_address(Evaluator& values, std::string_view name, bool v6) {
  const std::string& text = values.text(name);
  if (text.empty()) return std::nullopt;
  const auto address = parse_address(text);
  if (!address || address->v6 != v6) {
    values.error(name, fmt::format("bad IPv{} address \"{}\"", v6 ? 6 : 4,
                                   printable(text, shown_bytes_max)));
    return std::nullopt;
  }
  return address;
}

// A next hop that no protocol is left for would never be reached.
void check_protocols(Evaluator& values, const RelaySettings& relay) {
  for (const auto* hosts : {&relay.relay_hosts, &relay.default_hosts})
    for (const NextHop& hop : *hosts)
      if (hop.is_address && !(hop.address.v6 ? relay.ipv6 : relay.ipv4))
        return values.error("inet_protocols",
                            fmt::format("leaves no way to the next hop {}", hop.text));
}

}  // namespace

void read_identity(Evaluator& values, Settings& settings) {
  settings.hostname = hostname(values, "myhostname");
  settings.mydomain = hostname(values, "mydomain");
  settings.mail_name = values.text("mail_name");
  settings.mail_owner = values.text("mail_owner");
  settings.compatibility_level = values.text("compatibility_level");
  if (!parse_compatibility_level(settings.compatibility_level))
    values.error("compatibility_level",
                 fmt::format("malformed level \"{}\"", printable(settings.compatibility_level)));
  const Protocols protocols = values.protocols();
  settings.ipv4 = protocols.ipv4;
  settings.ipv6 = protocols.ipv6;
  settings.log.syslog_name = values.text("syslog_name");
  settings.log.maillog_file = values.text("maillog_file");
  for (const std::string_view side : {"smtpd", "smtp"})
    for (const std::string_view kind : {"cert_file", "key_file", "dcert_file", "dkey_file",
                                        "eccert_file", "eckey_file", "chain_files"})
      for (const Word& word : values.list(fmt::format("{}_tls_{}", side, kind)).words)
        if (word.text.starts_with('/')) settings.key_files.push_back(word.text);
  if (settings.mail_name.empty()) values.error("mail_name", "is empty");
  if (settings.mail_owner.empty()) values.error("mail_owner", "is empty");
  if (settings.log.syslog_name.empty()) values.error("syslog_name", "is empty");
}

void read_listen(Evaluator& values, Settings& settings) {
  const auto add = [&](const ListenAddress& one) {
    if (one.port == 0 || std::ranges::find(settings.listen, one) == settings.listen.end())
      settings.listen.push_back(one);
  };
  for (const Word& word : values.list("ringmx_listen").words) {
    const auto addresses = parse_listen(word.text, settings.ipv4, settings.ipv6);
    if (!addresses)
      values.report(word, Severity::error, fmt::format("ringmx_listen: {}", addresses.error()));
    else
      std::ranges::for_each(*addresses, add);
  }
  if (!values.text("ringmx_listen").empty()) return;
  const Evaluator::Interfaces interfaces = values.interfaces();
  if (interfaces.all) {
    if (settings.ipv4) add(listen_address({}, smtp_port));
    if (settings.ipv6) add(listen_address({.v6 = true, .bytes = {}}, smtp_port));
    return;
  }
  for (const IpAddress& address : interfaces.addresses) add(listen_address(address, smtp_port));
  if (settings.listen.empty()) values.error("inet_interfaces", "names no address to listen on");
}

void read_server(Evaluator& values, Settings& settings) {
  smtp::ServerSettings& server = settings.server;
  server.hostname = settings.hostname;
  server.banner = values.text("smtpd_banner");
  if (server.banner.size() > banner_bytes_max || printable(server.banner) != server.banner)
    values.error("smtpd_banner",
                 fmt::format("must be one line of at most {} printable bytes", banner_bytes_max));
  server.message_size_limit = values.integer("message_size_limit", 0, INT64_MAX);
  server.line_length_limit = values.small_integer("line_length_limit", 512, int_max);
  if (server.line_length_limit > limits::command_line_bytes_max) {
    values.warning("line_length_limit", fmt::format("command lines are limited to {} bytes",
                                                    limits::command_line_bytes_max));
    server.line_length_limit = limits::command_line_bytes_max;
  }
  server.recipient_limit = values.small_integer("smtpd_recipient_limit", 1, limits::recipients_max);
  server.recipient_overshoot_limit =
      values.small_integer("smtpd_recipient_overshoot_limit", 1, int_max);
  server.soft_error_limit = values.small_integer("smtpd_soft_error_limit", 1, int_max);
  server.hard_error_limit = values.small_integer("smtpd_hard_error_limit", 1, int_max);
  server.junk_command_limit = values.small_integer("smtpd_junk_command_limit", 1, int_max);
  server.error_sleep = values.time("smtpd_error_sleep_time", {}, seconds(3600));
  server.helo_required = values.boolean("smtpd_helo_required");
  server.disable_vrfy = values.boolean("disable_vrfy_command");
  server.forbid_unauth_pipelining = values.boolean("smtpd_forbid_unauth_pipelining");
  server.soft_bounce = values.boolean("soft_bounce");
  server.strict_envelopes = values.boolean("strict_rfc821_envelopes");
  server.bare_newline = bare_newline(values);
  settings.smtpd_timeout = values.time("smtpd_timeout", seconds(1), time_max);
  settings.hopcount_limit = values.small_integer("hopcount_limit", 1, int_max);
  server.discard_ehlo_keywords = discarded_keywords(values);
  server.smtputf8 = values.boolean("smtputf8_enable");
  server.strict_smtputf8 = values.boolean("strict_smtputf8");
  server.noop_commands = verbs(values, "smtpd_noop_commands", nullptr);
  server.forbid_non_letters = false;
  server.forbidden_commands = verbs(values, "smtpd_forbidden_commands", &server.forbid_non_letters);
}

void read_relay(Evaluator& values, Settings& settings) {
  RelaySettings& relay = settings.relay;
  read_routes(values, relay);
  relay.ipv4 = settings.ipv4;
  relay.ipv6 = settings.ipv6;
  check_protocols(values, relay);
  relay.bind_address = bind_address(values, "smtp_bind_address", false);
  relay.bind_address6 = bind_address(values, "smtp_bind_address6", true);
  relay.bind_address_enforce = values.boolean("smtp_bind_address_enforce");
  relay.connect_timeout = values.time("smtp_connect_timeout", {}, time_max);

  smtp::ClientSettings& client = relay.client;
  client.helo_name = values.text("smtp_helo_name");
  if (!is_valid_hostname(client.helo_name) && !parse_address(client.helo_name))
    values.error("smtp_helo_name", "bad hostname");
  client.own_hostname = settings.hostname;
  const auto time = [&](std::string_view name) { return values.time(name, seconds(1), time_max); };
  client.greeting_timeout = client.helo_timeout = time("smtp_helo_timeout");
  client.mail_timeout = time("smtp_mail_timeout");
  client.rcpt_timeout = time("smtp_rcpt_timeout");
  client.data_init_timeout = time("smtp_data_init_timeout");
  client.data_xfer_timeout = time("smtp_data_xfer_timeout");
  client.data_done_timeout = time("smtp_data_done_timeout");
  client.rset_timeout = time("smtp_rset_timeout");
}

}  // namespace mx::config
