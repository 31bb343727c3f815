// Each parameter that ringmx would have to ignore at the price of being weaker than the file is
// refused, by name and line, with every value but the harmless ones.
#include <gtest/gtest.h>

#include "engine/config/parameters.h"
#include "tests/unit/engine/config_harness.h"

namespace mx::config {
namespace {

using test::load_text;
using test::messages;
using test::minimal;

// A value that the table does not call harmless.
std::string asking_value(const Parameter& row) {
  switch (row.type) {
    case Type::boolean:
      return row.fallback == "yes" ? "no" : "yes";
    case Type::integer:
      return "7";
    case Type::time:
      return "7s";
    case Type::text:
    case Type::raw:
      return "hash:/etc/something";
  }
  return {};
}

std::string line_for(std::string_view name, std::string_view value) {
  return minimal + std::string(name) + " = " + std::string(value) + "\n";
}

// Whether line 3 of `main_cf` is refused by name.
bool refused_at_line_3(const std::string& main_cf, std::string_view name) {
  const LoadResult result = load_text(main_cf);
  return !result.settings && messages(result).find("/etc/ringmx/main.cf:3: " + std::string(name) +
                                                   " = ") != std::string::npos;
}

TEST(RefusedParameters, EachRefusesAValueThatAsksForSomething) {
  size_t count = 0;
  for (const Parameter& row : all_parameters()) {
    if (row.kind != Class::refused) continue;
    ++count;
    EXPECT_TRUE(refused_at_line_3(line_for(row.name, asking_value(row)), row.name)) << row.name;
  }
  EXPECT_GE(count, 85U);
}

TEST(RefusedParameters, EachAcceptsItsDefaultWrittenOut) {
  for (const Parameter& row : all_parameters()) {
    if (row.kind != Class::refused) continue;
    EXPECT_FALSE(refused_at_line_3(line_for(row.name, row.fallback), row.name)) << row.name;
  }
}

TEST(RefusedParameters, EachAcceptsItsHarmlessValues) {
  for (const Parameter& row : all_parameters()) {
    if (row.kind != Class::refused || !row.has_harmless_value) continue;
    std::string_view rest = row.harmless_values;
    while (true) {
      const size_t bar = std::min(rest.find('|'), rest.size());
      EXPECT_FALSE(refused_at_line_3(line_for(row.name, rest.substr(0, bar)), row.name))
          << row.name << " = " << rest.substr(0, bar);
      if (bar == rest.size()) break;
      rest.remove_prefix(bar + 1);
    }
  }
}

// What an operator must never lose silently, as a list that does not come from the table.
TEST(RefusedParameters, TheNamesThatMatterMostAreAmongThem) {
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"always_bcc", "a@example.com"},
           {"body_checks", "pcre:/x"},
           {"canonical_maps", "hash:/x"},
           {"content_filter", "scan:[127.0.0.1]:10025"},
           {"defer_transports", "relay"},
           {"header_checks", "regexp:/x"},
           {"luser_relay", "a@example.com"},
           {"masquerade_domains", "example.com"},
           {"smtp_skip_5xx_greeting", "no"},
           {"receive_override_options", "no_address_mappings"},
           {"recipient_bcc_maps", "hash:/x"},
           {"recipient_canonical_maps", "hash:/x"},
           {"relocated_maps", "hash:/x"},
           {"sender_bcc_maps", "hash:/x"},
           {"sender_canonical_maps", "hash:/x"},
           {"sender_dependent_relayhost_maps", "hash:/x"},
           {"smtp_fallback_relay", "[b.example]"},
           {"smtp_generic_maps", "hash:/x"},
           {"smtp_sasl_auth_enable", "yes"},
           {"smtp_tls_policy_maps", "hash:/x"},
           {"smtp_tls_security_level", "encrypt"},
           {"smtp_tls_security_level", "dane"},
           {"smtpd_milters", "inet:127.0.0.1:11332"},
           {"smtpd_proxy_filter", "127.0.0.1:10025"},
           {"smtpd_sasl_auth_enable", "yes"},
           {"smtpd_tls_security_level", "may"},
           {"smtpd_tls_security_level", "encrypt"},
           {"smtpd_use_tls", "yes"},
           {"virtual_mailbox_domains", "example.com"},
           {"postscreen_dnsbl_action", "enforce"},
           {"smtp_transport_rate_delay", "1s"}})
    EXPECT_TRUE(refused_at_line_3(line_for(name, value), name)) << name;
}

TEST(RefusedParameters, ValuesAreComparedByMeaning) {
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"smtp_sasl_auth_enable", "NO"},
           {"smtp_transport_rate_delay", "0m"},
           {"smtpd_client_connection_count_limit", "050"},
           {"smtpd_tls_security_level", "none"},
           {"smtpd_tls_security_level", ""},
           {"local_transport", "local:$myhostname"},
           {"local_transport", "local:host.localdomain"},
           {"relocated_maps", "$no_such_name"}})
    EXPECT_FALSE(refused_at_line_3(line_for(name, value), name)) << name << " = " << value;
}

TEST(RefusedParameters, AValueThatCannotBeReadIsRefused) {
  EXPECT_TRUE(
      refused_at_line_3(line_for("smtp_sasl_auth_enable", "maybe"), "smtp_sasl_auth_enable"));
  EXPECT_TRUE(refused_at_line_3(line_for("default_transport_rate_delay", "0x"),
                                "default_transport_rate_delay"));
}

TEST(RefusedParameters, AnEmptyDetourByAnotherNameIsSeen) {
  EXPECT_TRUE(refused_at_line_3(minimal + "relocated_maps = $detour\ndetour = hash:/x\n",
                                "relocated_maps"));
}

TEST(RefusedParameters, ADefaultThatReadsAnOldNameIsSeen) {
  EXPECT_FALSE(load_text(minimal + "fallback_relay = [b.example]\n").settings);
}

TEST(RefusedParameters, ACauseIsReportedOnce) {
  const LoadResult result = load_text(minimal + "header_checks = pcre:/x\n");
  ASSERT_FALSE(result.settings);
  EXPECT_EQ(messages(result),
            "/etc/ringmx/main.cf:3: header_checks = pcre:/x: header and body checks are not built "
            "yet; remove the line or leave the value empty\n");
}

TEST(RefusedParameters, ForeignTransportsAreHarmless) {
  EXPECT_EQ(
      messages(load_text(minimal + "maildrop_destination_recipient_limit = 1\n"
                                   "lmtp_destination_rate_delay = 1s\n"
                                   "policyd-spf_time_limit = 3600\npolicy_time_limit = 3600\n")),
      "");
}

}  // namespace
}  // namespace mx::config
