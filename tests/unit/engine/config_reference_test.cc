// The reference configuration, whole: what is read from it, and what it is still refused for.
#include <gtest/gtest.h>

#include "engine/config/evaluator.h"
#include "engine/config/values.h"
#include "tests/unit/engine/config_harness.h"

namespace mx::config {
namespace {

using test::fixture;
using test::load_text;
using test::messages;
using test::words;

class ReferenceConfiguration : public testing::Test {
 protected:
  ReferenceConfiguration()
      : main_cf(MainCf::parse(fixture("reference-mx/main.cf"), "main.cf", diagnostics)),
        host(test::test_host()),
        values(main_cf, host, diagnostics) {}

  Diagnostics diagnostics;
  MainCf main_cf;
  HostFacts host;
  Evaluator values;
};

// Without the lines that are refused as long as they are not built.
std::string without_refused_lines() {
  std::string text = fixture("reference-mx/main.cf");
  for (const char* line : {"\nsmtpd_use_tls = yes", "\nsmtpd_tls_security_level = may",
                           "\nsmtp_use_tls = yes", "\nsmtp_tls_security_level = may"}) {
    const size_t at = text.find(line);
    EXPECT_NE(at, std::string::npos) << line;
    if (at != std::string::npos) text.insert(at + 1, "#");
  }
  return text;
}

TEST_F(ReferenceConfiguration, ReadsWithoutAnyComplaint) {
  EXPECT_EQ(test::all_text(diagnostics), "");
  EXPECT_EQ(main_cf.entries().size(), 49U);
}

TEST_F(ReferenceConfiguration, TheSenderRestrictionsComeOutWhole) {
  const List list = values.list("smtpd_sender_restrictions");
  EXPECT_EQ(words(list),
            "permit_mynetworks permit_tls_clientcerts "
            "check_client_access proxy:hash:/etc/postfix/hash/whitelist-ips "
            "reject_non_fqdn_sender reject_non_fqdn_recipient reject_invalid_helo_hostname "
            "reject_non_fqdn_helo_hostname reject_unknown_sender_domain "
            "reject_unknown_recipient_domain reject_unauth_pipelining reject_unlisted_recipient "
            "reject_unknown_reverse_client_hostname "
            "check_client_access proxy:hash:/etc/postfix/hash/whitelist-domains "
            "check_policy_service inet:127.0.0.1:15000");
  // 14 restrictions, three of them with an argument.
  EXPECT_EQ(list.words.size(), 17U);
  EXPECT_EQ(list.line, 197U);
  EXPECT_EQ(list.words.front().line, 203U);
  EXPECT_EQ(list.words.back().line, 251U);
}

TEST_F(ReferenceConfiguration, EmptyListsStayEmptyAcrossComments) {
  EXPECT_TRUE(values.list("smtpd_client_restrictions").empty());
  EXPECT_TRUE(values.list("smtpd_helo_restrictions").empty());
  EXPECT_EQ(words(values.list("smtpd_recipient_restrictions")), "reject_unauth_destination permit");
}

TEST_F(ReferenceConfiguration, TheLastCommentOfAListIsDropped) {
  EXPECT_EQ(values.list("proxy_read_maps").words.size(), 7U);
}

TEST_F(ReferenceConfiguration, LazyExpansionGivesTheHostNameEverywhere) {
  for (const char* name : {"mydomain", "myorigin", "mydestination", "myhostname"})
    EXPECT_EQ(values.text(name), "my-reverse-dns.domain.tld") << name;
  EXPECT_EQ(values.text("smtp_tls_session_cache_database"), "btree:/var/spool/ringmx/smtp_scache");
}

TEST_F(ReferenceConfiguration, IsRefusedByNamesForWhatIsNotBuilt) {
  const LoadResult result = load_text(fixture("reference-mx/main.cf"));
  ASSERT_FALSE(result.settings);
  std::string refused;
  for (const Diagnostic& one : result.settings.error())
    if (one.severity == Severity::error)
      refused += std::to_string(one.line) + " " + one.text.substr(0, one.text.find(' ')) + "\n";
  EXPECT_EQ(refused,
            "82 smtpd_use_tls\n83 smtpd_tls_security_level\n90 smtp_use_tls\n"
            "91 smtp_tls_security_level\n");
}

TEST_F(ReferenceConfiguration, WithoutThoseLinesItLoads) {
  const LoadResult result = load_text(without_refused_lines());
  ASSERT_TRUE(result.settings) << messages(result);
  const Settings& settings = *result.settings;
  EXPECT_EQ(settings.relay.relayhost.at(0).text, "[hostname.of.your.mailserver]:2525");
  EXPECT_EQ(settings.relay.relay_limits.recipients, 1U);
  EXPECT_EQ(settings.relay.smtp_limits.recipients, 50U);
  EXPECT_EQ(settings.relay.connect_timeout, seconds(60));
  EXPECT_EQ(settings.server.banner, "Hello and welcome to our mailserver");
  EXPECT_EQ(settings.server.message_size_limit, 52'428'800U);
  EXPECT_EQ(settings.server.recipient_limit, 100U);
  EXPECT_EQ(settings.server.error_sleep, seconds(5));
  EXPECT_EQ(settings.server.soft_error_limit, 5U);
  EXPECT_EQ(settings.server.hard_error_limit, 15U);
  EXPECT_TRUE(settings.server.helo_required);
  EXPECT_TRUE(settings.server.disable_vrfy);
  EXPECT_EQ(words(settings.domains.mynetworks), "127.0.0.0/8");
  EXPECT_EQ(words(settings.domains.parent_domain_matches_subdomains), "debug_peer_list");
  EXPECT_EQ(settings.domains.recipient_delimiter, "+");
  EXPECT_FALSE(settings.domains.append_dot_mydomain);
  EXPECT_EQ(settings.tables.size(), 6U);
  EXPECT_NE(messages(result).find("is read as [hostname.of.your.mailserver]:2525"),
            std::string::npos);
}

}  // namespace
}  // namespace mx::config
