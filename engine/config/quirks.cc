#include "engine/config/quirks.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "proto/base/ip_address.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr size_t shown_bytes_max = 60;

void check_banner(Evaluator& values, const Settings& settings) {
  if (!starts_with_ignoring_case(settings.server.banner, settings.hostname))
    values.warning("smtpd_banner",
                   "does not begin with $myhostname, as clients may expect; sent as it is");
}

// A table may have the name: that is not known here.
bool may_have_localhost(const List& list) {
  return std::ranges::any_of(list.words, [](const Word& word) {
    return equals_ignoring_case(word.text, "localhost") || word.text.find(':') != std::string::npos;
  });
}

void check_localhost(Evaluator& values, const Settings& settings) {
  const List& destinations = settings.domains.mydestination;
  if (destinations.line != 0 && !destinations.empty() && !may_have_localhost(destinations))
    values.warning("mydestination",
                   "does not name localhost: mail for user@localhost is not local");
  const List& networks = settings.domains.mynetworks;
  if (networks.line == 0 || !settings.ipv6) return;
  const auto names = [&](std::string_view text) {
    const auto address = IpNetwork::parse(text)->address;
    return std::ranges::any_of(networks.words, [&](const Word& word) {
      const auto network = IpNetwork::parse(word.text);
      return network && network->address.v6 == address.v6 && network->contains(address);
    });
  };
  if (names("127.0.0.1") && !names("::1"))
    values.warning("mynetworks",
                   "names 127.0.0.1 and not [::1]: clients of this machine that connect over IPv6 "
                   "are strangers");
}

// Postfix's local(8) does not start when a message could be larger than a mailbox.
void check_mailbox_size(Evaluator& values, const Settings& settings) {
  const uint64_t mailbox = values.integer("mailbox_size_limit", 0, INT64_MAX);
  const uint64_t message = settings.server.message_size_limit;
  if (settings.domains.mydestination.empty() || mailbox == 0) return;
  if (values.has_error("message_size_limit")) return;
  if (message == 0 || message > mailbox)
    values.warning(
        values.line_of("message_size_limit") == 0 ? "mailbox_size_limit" : "message_size_limit",
        fmt::format("{} is more than mailbox_size_limit = {}: Postfix would not deliver "
                    "to aliases; ringmx does, and has no mailboxes",
                    message, mailbox));
}

void check_obsolete(Evaluator& values) {
  for (const std::string_view side : {"smtpd", "smtp"}) {
    const std::string level = fmt::format("{}_tls_security_level", side);
    for (const std::string_view what : {"use", "enforce"}) {
      const std::string name = fmt::format("{}_{}_tls", side, what);
      if (values.line_of(name) == 0) continue;
      const bool overridden = !values.text(level).empty();
      values.warning(name, overridden ? fmt::format("obsolete, and overridden by {}", level)
                                      : fmt::format("obsolete: use {}", level));
    }
  }
}

void check_files(Evaluator& values, const FileReader& reader) {
  for (const std::string_view side : {"smtpd", "smtp"})
    for (const std::string_view kind : {"cert_file", "key_file"}) {
      const std::string name = fmt::format("{}_tls_{}", side, kind);
      const std::string path = values.text(name);
      if (values.line_of(name) == 0 || path.empty() || path == "none") continue;
      if (const auto text = reader(path); !text) values.warning(name, printable(text.error()));
    }
}

void check_caches(Evaluator& values) {
  const std::string queue = values.text("queue_directory") + "/";
  for (const std::string_view name :
       {"smtpd_tls_session_cache_database", "smtp_tls_session_cache_database"}) {
    const std::string text = values.text(name);
    const size_t colon = text.find(':');
    if (colon == std::string::npos || !text.substr(colon + 1).starts_with(queue)) continue;
    values.warning(name, fmt::format("{} is in queue_directory: Postfix would put it into "
                                     "data_directory; ringmx makes no such file",
                                     printable(text, shown_bytes_max)));
  }
}

void check_fingerprints(Evaluator& values, const Settings& settings) {
  constexpr std::string_view digest = "smtpd_tls_fingerprint_digest";
  if (settings.domains.relay_clientcerts.empty() || values.line_of(digest) != 0) return;
  values.warning("relay_clientcerts",
                 fmt::format("fingerprints are compared by {}, the default of {} at "
                             "compatibility_level {}: set it to what the table was made with",
                             values.text(digest), digest, settings.compatibility_level));
}

}  // namespace

void report_quirks(Evaluator& values, const FileReader& reader, const Settings& settings) {
  check_banner(values, settings);
  check_localhost(values, settings);
  check_mailbox_size(values, settings);
  check_obsolete(values);
  check_files(values, reader);
  check_caches(values);
  check_fingerprints(values, settings);
}

}  // namespace mx::config
