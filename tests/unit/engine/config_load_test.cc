#include "engine/config/load.h"

#include <gtest/gtest.h>

#include "tests/unit/engine/config_harness.h"

namespace mx::config {
namespace {

using test::load_text;
using test::messages;
using test::minimal;
using test::words;

Settings settings_of(std::string_view main_cf, test::Files files = {}) {
  const LoadResult result = load_text(main_cf, std::move(files));
  EXPECT_TRUE(result.settings) << messages(result);
  return result.settings ? *result.settings : Settings{};
}

testing::AssertionResult says(const LoadResult& result, std::string_view text) {
  const std::string all = messages(result);
  if (all.find(text) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << text << "\" is not in:\n" << all;
}

testing::AssertionResult refuses(std::string_view main_cf, std::string_view text) {
  const LoadResult result = load_text(main_cf);
  if (result.settings) return testing::AssertionFailure() << "was accepted";
  return says(result, text);
}

TEST(Load, TheMinimalFileGivesPostfixDefaults) {
  const Settings settings = settings_of(minimal);
  EXPECT_EQ(settings.hostname, "host.localdomain");
  EXPECT_EQ(settings.mydomain, "localdomain");
  EXPECT_EQ(settings.domains.myorigin, "host.localdomain");
  EXPECT_EQ(settings.server.banner, "host.localdomain ESMTP ringmx");
  EXPECT_EQ(settings.server.message_size_limit, 10'240'000U);
  EXPECT_EQ(settings.server.recipient_limit, 1000U);
  EXPECT_EQ(settings.server.hard_error_limit, 20U);
  EXPECT_EQ(settings.server.junk_command_limit, 100U);
  EXPECT_EQ(settings.smtpd_timeout, seconds(300));
  EXPECT_EQ(settings.relay.connect_timeout, seconds(30));
  EXPECT_EQ(settings.relay.relay_limits.recipients, 50U);
  EXPECT_EQ(settings.queue.minimal_backoff, seconds(300));
  EXPECT_EQ(settings.queue.maximal_backoff, seconds(4000));
  EXPECT_EQ(settings.log.syslog_name, "postfix");
  EXPECT_EQ(settings.resources.shards, 4U);
  EXPECT_EQ(settings.relay.client.helo_name, "host.localdomain");
}

TEST(Load, SaferDefaultsOfLaterPostfixAreOurs) {
  const Settings settings = settings_of(minimal);
  EXPECT_EQ(settings.server.bare_newline, smtp::BareNewline::normalize);
  EXPECT_TRUE(settings.server.forbid_unauth_pipelining);
}

TEST(Load, CompatibilityLevelDecidesDefaults) {
  const Settings level_0 = settings_of(minimal);
  EXPECT_TRUE(level_0.restrictions.relay.empty());
  EXPECT_TRUE(level_0.domains.append_dot_mydomain);
  EXPECT_FALSE(level_0.restrictions.relay_before_recipient);
  EXPECT_EQ(words(level_0.domains.mynetworks),
            "127.0.0.0/8 192.0.2.0/24 [::1]/128 [fd00::]/64 [fe80::]/64");
  const std::string own = "relayhost = [192.0.2.9]\nmydestination = a.example\n";
  EXPECT_EQ(words(settings_of(own).domains.relay_domains), "a.example");

  const Settings level_3_6 = settings_of(own + "compatibility_level = 3.6\n");
  EXPECT_EQ(words(level_3_6.restrictions.relay),
            "permit_mynetworks permit_sasl_authenticated defer_unauth_destination");
  EXPECT_FALSE(level_3_6.domains.append_dot_mydomain);
  EXPECT_TRUE(level_3_6.restrictions.relay_before_recipient);
  EXPECT_EQ(words(level_3_6.domains.mynetworks),
            "127.0.0.1/32 192.0.2.2/32 [::1]/128 [fd00::2]/128 [fe80::fc:ff:fe00:1]/128");
  EXPECT_TRUE(level_3_6.domains.relay_domains.empty());
  EXPECT_TRUE(refuses(minimal + "compatibility_level = 3.x\n", "compatibility_level"));
}

TEST(Load, NetworksFollowStyleInterfacesAndProtocols) {
  const auto networks = [](const std::string& text) {
    return words(settings_of(minimal + text).domains.mynetworks);
  };
  EXPECT_EQ(networks("mynetworks_style = class\n"),
            "127.0.0.0/8 192.0.2.0/24 [::1]/128 [fd00::]/64 [fe80::]/64");
  EXPECT_EQ(networks("mynetworks_style = host\ninet_interfaces = 127.0.0.1\n"), "127.0.0.1/32");
  EXPECT_EQ(networks("inet_protocols = ipv4\n"), "127.0.0.0/8 192.0.2.0/24");
  EXPECT_EQ(networks("mynetworks = 10.0.0.0/8\nmynetworks_style = host\n"), "10.0.0.0/8");
  EXPECT_TRUE(refuses(minimal + "mynetworks_style = planet\n", "mynetworks_style"));
}

TEST(Load, NamesOfTheHostFollowEachOther) {
  Settings settings = settings_of(minimal + "myhostname = mx.example.com\n");
  EXPECT_EQ(settings.mydomain, "example.com");
  EXPECT_EQ(settings.server.hostname, "mx.example.com");
  settings = settings_of(minimal + "mydomain = example.com\n");
  EXPECT_EQ(settings.hostname, "host.example.com");
  EXPECT_TRUE(refuses(minimal + "myhostname = 1.2.3.4\n", "main.cf:3: myhostname: bad hostname"));
  EXPECT_TRUE(refuses(minimal + "myhostname = a b\n", "myhostname: bad hostname"));
}

TEST(Load, ForwardReferencesWork) {
  const Settings settings =
      settings_of(minimal + "smtpd_banner = $greeting\ngreeting = hello $mydomain\n");
  EXPECT_EQ(settings.server.banner, "hello localdomain");
}

TEST(Load, ListensOnPort25OfInetInterfaces) {
  const auto listens = [](const std::string& text) {
    std::string all;
    for (const ListenAddress& one : settings_of(minimal + text).listen)
      all += (all.empty() ? "" : " ") + one.text;
    return all;
  };
  EXPECT_EQ(listens(""), "0.0.0.0:25 [::]:25");
  EXPECT_EQ(listens("inet_protocols = ipv6\nrelayhost = [fd00::9]\n"), "[::]:25");
  EXPECT_EQ(listens("inet_interfaces = loopback-only\n"), "127.0.0.1:25 [::1]:25");
  EXPECT_EQ(listens("inet_interfaces = 192.0.2.2, [fd00::2]\n"), "192.0.2.2:25 [fd00::2]:25");
  EXPECT_EQ(listens("ringmx_listen = 127.0.0.1:2525, [::1]:2525, 127.0.0.1:2525\n"),
            "127.0.0.1:2525 [::1]:2525");
  EXPECT_EQ(listens("ringmx_listen = 127.0.0.1:0\n"), "127.0.0.1:0");
  EXPECT_TRUE(
      refuses(minimal + "inet_interfaces = eth0\n", "main.cf:3: inet_interfaces: \"eth0\""));
  EXPECT_TRUE(refuses(minimal + "ringmx_listen = 25\n", "main.cf:3: ringmx_listen"));
  EXPECT_TRUE(refuses(minimal + "inet_protocols = ipv5\n", "unknown protocol"));
}

TEST(Load, TakesRelayhostInBrackets) {
  const Settings settings = settings_of(
      "mydestination =\nrelayhost = [a.example]:2525, [192.0.2.1]\n  [2001:db8::1]:submission\n");
  ASSERT_EQ(settings.relay.relayhost.size(), 3U);
  EXPECT_EQ(settings.relay.relayhost[0].text, "[a.example]:2525");
  EXPECT_EQ(settings.relay.relayhost[1].text, "[192.0.2.1]:25");
  EXPECT_EQ(settings.relay.relayhost[2].text, "[2001:db8::1]:587");
}

TEST(Load, ReadsATransportInFrontOfRelayhostAndSaysSo) {
  const LoadResult result = load_text("mydestination =\nrelayhost = smtp:[a.example]:2525\n");
  ASSERT_TRUE(result.settings) << messages(result);
  EXPECT_EQ(result.settings->relay.relayhost.at(0).text, "[a.example]:2525");
  EXPECT_TRUE(says(result, "main.cf:2: warning: relayhost: \"smtp:[a.example]:2525\" is read as"));
}

TEST(Load, HowNamesAreLookedUp) {
  const Settings settings = settings_of(
      "mydestination =\nrelayhost = a.example:26\ninet_protocols = ipv4\n"
      "ringmx_dns_servers = 192.0.2.53, [2001:db8::53]:5353 2001:db8::54\n"
      "smtp_host_lookup = dns, native\nsmtp_address_preference = ipv6\n"
      "smtp_randomize_addresses = no\nsmtp_defer_if_no_mx_address_found = yes\n"
      "ignore_mx_lookup_error = yes\n");
  EXPECT_EQ(settings.relay.relayhost.at(0).text, "a.example:26");
  const LookupSettings& lookup = settings.relay.lookup;
  EXPECT_EQ(lookup.servers, (std::vector<std::string>{"192.0.2.53:53", "[2001:db8::53]:5353",
                                                      "[2001:db8::54]:53"}));
  EXPECT_TRUE(lookup.mx && lookup.dns && lookup.native && lookup.ipv4 && !lookup.ipv6);
  EXPECT_TRUE(!lookup.randomize && lookup.defer_without_address && lookup.ignore_mx_error);
  EXPECT_EQ(lookup.preference, AddressPreference::ipv6);
  const LookupSettings off = settings_of(minimal + "disable_dns_lookups = yes\n").relay.lookup;
  EXPECT_TRUE(!off.mx && !off.dns && off.native);
  const LookupSettings on =
      settings_of(minimal + "disable_dns_lookups = yes\nsmtp_dns_support_level = enabled\n")
          .relay.lookup;
  EXPECT_TRUE(on.mx && on.dns && !on.native);
  EXPECT_TRUE(refuses(minimal + "ringmx_dns_servers = ns.example\n",
                      "main.cf:3: ringmx_dns_servers: \"ns.example\" is not addr or addr:port"));
  EXPECT_TRUE(refuses(minimal + "smtp_host_lookup = hosts\n", "main.cf:3: smtp_host_lookup"));
  EXPECT_TRUE(refuses(minimal + "smtp_dns_support_level = x\n", "main.cf:3: smtp_dns_support"));
}

TEST(Load, RefusesRoutesThatAreNotBuilt) {
  EXPECT_TRUE(refuses(minimal + "relay_transport = lmtp:unix:/x\n", "main.cf:3: relay_transport"));
  EXPECT_TRUE(refuses(minimal + "default_transport = error:x\n", "main.cf:3: default_transport"));
}

TEST(Load, WithoutARelayhostMailGoesByTheDomain) {
  Settings settings = settings_of("mydestination =\n");
  EXPECT_TRUE(settings.relay.relay_hosts.empty());
  EXPECT_TRUE(settings.relay.default_hosts.empty());
  settings = settings_of("mydestination =\nrelay_transport = relay:[192.0.2.1]\n");
  EXPECT_EQ(settings.relay.relay_hosts.size(), 1U);
  EXPECT_TRUE(settings.relay.default_hosts.empty());
}

TEST(Load, RecipientLimitsBelongToTheTransport) {
  const std::string limits =
      "relay_destination_recipient_limit = 1\nsmtp_destination_recipient_limit = 7\n"
      "default_destination_recipient_limit = 9\n";
  Settings settings = settings_of(minimal + limits);
  EXPECT_EQ(settings.relay.relay_limits.recipients, 1U);
  EXPECT_EQ(settings.relay.smtp_limits.recipients, 7U);
  settings = settings_of(minimal + "default_destination_recipient_limit = 9\n");
  EXPECT_EQ(settings.relay.relay_limits.recipients, 9U);
  EXPECT_EQ(settings.relay.smtp_limits.recipients, 9U);
}

TEST(Load, WhatANextHopMayGetBelongsToTheTransport) {
  const Settings settings = settings_of(
      minimal +
      "default_destination_concurrency_limit = 7\nsmtp_destination_concurrency_limit = 0\n"
      "relay_initial_destination_concurrency = 2\nsmtp_destination_rate_delay = 3\n"
      "default_destination_concurrency_positive_feedback = 0.25 / sqrt_concurrency\n"
      "relay_destination_concurrency_positive_feedback = 1/concurrency\n"
      "smtp_connection_cache_on_demand = no\nsmtp_connection_cache_time_limit = 4\n"
      "smtp_connection_reuse_time_limit = 5m\nsmtp_connection_reuse_count_limit = 6\n");
  const RelaySettings& relay = settings.relay;
  EXPECT_EQ(relay.relay_limits.concurrency, 7U);
  EXPECT_EQ(relay.smtp_limits.concurrency, 0U);
  EXPECT_EQ(relay.relay_limits.initial, 2U);
  EXPECT_EQ(relay.smtp_limits.initial, 5U);
  EXPECT_EQ(relay.smtp_limits.rate_delay, seconds(3));
  EXPECT_EQ(relay.relay_limits.growth, (Feedback{Feedback::By::concurrency, 1000}));
  EXPECT_EQ(relay.smtp_limits.growth, (Feedback{Feedback::By::sqrt_concurrency, 250}));
  EXPECT_FALSE(relay.reuse);
  EXPECT_EQ(relay.idle_time, seconds(4));
  EXPECT_EQ(relay.reuse_time, seconds(300));
  EXPECT_EQ(relay.reuse_count, 6U);
  for (const char* bad : {"2", "-1", "1 / x", "x", "", "0.5 concurrency", "nan"})
    EXPECT_TRUE(refuses(minimal + "smtp_destination_concurrency_positive_feedback = " + bad + "\n",
                        "main.cf:3: smtp_destination_concurrency_positive_feedback: bad feedback"))
        << bad;
}

// With one recipient a transaction Postfix's limits are for each mailbox.
TEST(Load, LimitsForMailboxesAreNotThoseOfAHost) {
  const std::string one = minimal + "relay_destination_recipient_limit = 1\n";
  EXPECT_TRUE(refuses(one + "relay_destination_rate_delay = 1s\n",
                      "main.cf:4: relay_destination_rate_delay: with relay_destination_recipient_"
                      "limit = 1 Postfix waits"));
  EXPECT_NE(messages(load_text(one + "relay_destination_concurrency_limit = 2\n"))
                .find("main.cf:4: warning: relay_destination_concurrency_limit: with"),
            std::string::npos);
}

TEST(Load, SeveralHostsShareTheMailUnlessToldOtherwise) {
  const std::string two = "mydestination =\nrelayhost = [192.0.2.1], [192.0.2.2]\n";
  const std::string said = "main.cf:2: warning: relayhost: its hosts share the mail";
  EXPECT_NE(messages(load_text(two)).find(said), std::string::npos);
  EXPECT_EQ(messages(load_text(two + "ringmx_backend_balance = spread\n")).find(said),
            std::string::npos);
  EXPECT_TRUE(settings_of(two + "ringmx_backend_balance = ordered\n").relay.ordered);
  EXPECT_TRUE(refuses(two + "ringmx_backend_balance = random\n",
                      "main.cf:3: ringmx_backend_balance: \"random\": spread or ordered"));
}

TEST(Load, FilesInMatchListsAreInlined) {
  const Settings settings = settings_of(
      minimal + "relay_domains = first.example\n  /etc/domains !/etc/not\n  last.example\n",
      {{"/etc/domains", "# list\na.example\n  b.example\n\n!c.example\n"},
       {"/etc/not", "d.example !e.example\n"}});
  EXPECT_EQ(words(settings.domains.relay_domains),
            "first.example a.example b.example !c.example !d.example e.example last.example");
  EXPECT_EQ(settings.domains.relay_domains.words[0].line, 3U);
  EXPECT_EQ(settings.domains.relay_domains.words[1].file, "/etc/domains");
  EXPECT_EQ(settings.domains.relay_domains.words[1].line, 2U);
  EXPECT_EQ(settings.domains.relay_domains.words.back().line, 5U);
}

TEST(Load, AMissingOrEndlessFileInAListIsAnError) {
  EXPECT_TRUE(refuses(minimal + "relay_domains = /etc/none\n",
                      "main.cf:3: relay_domains: /etc/none: No such file"));
  const LoadResult result =
      load_text(minimal + "relay_domains = /etc/self\n", {{"/etc/self", "/etc/self\n"}});
  EXPECT_FALSE(result.settings);
  EXPECT_TRUE(says(result, "/etc/self:1: relay_domains: files are nested too deep"));
}

TEST(Load, FilesThatMultiplyAreStopped) {
  const LoadResult result =
      load_text(minimal + "relay_domains = /f0\n", {{"/f0", "/f1 /f1 /f1 /f1\n"},
                                                    {"/f1", "/f2 /f2 /f2 /f2\n"},
                                                    {"/f2", "/f3 /f3 /f3 /f3\n"},
                                                    {"/f3", "/f4 /f4 /f4 /f4\n"},
                                                    {"/f4", "a.example\n"}});
  EXPECT_FALSE(result.settings);
  EXPECT_TRUE(says(result, "the files that lists name are too many or too large"));
}

TEST(Load, ALongListOfTablesIsReadInLinearTime) {
  std::string text = minimal + "relay_domains =";
  for (int i = 0; i < 50'000; ++i) text += " proxy:hash:/" + std::to_string(i);
  const LoadResult result = load_text(text + "\nproxy_read_maps = $relay_domains\n");
  ASSERT_TRUE(result.settings);
  EXPECT_EQ(result.settings->tables.size(), 50'000U);
}

TEST(Load, AHashInAMatchListEndsItWithAWarning) {
  const LoadResult result = load_text(minimal + "relay_domains = a.example # b.example\n");
  ASSERT_TRUE(result.settings) << messages(result);
  EXPECT_EQ(words(result.settings->domains.relay_domains), "a.example");
  EXPECT_TRUE(says(result, "main.cf:3: warning: relay_domains: #comment"));
}

TEST(Load, TablesAreCollectedOnce) {
  const Settings settings = settings_of(minimal +
                                        "relay_domains = hash:/d a.example !hash:/n\n"
                                        "relay_recipient_maps = proxy:hash:/r hash:/d\n");
  std::string names;
  for (const TableName& table : settings.tables) names += table.type + ":" + table.path + " ";
  EXPECT_EQ(names, "hash:/d hash:/n hash:/r ");
}

TEST(Load, AProxiedTableMustBeInProxyReadMaps) {
  const std::string maps = minimal + "relay_recipient_maps = proxy:hash:/r\n";
  EXPECT_TRUE(load_text(maps).settings);  // the default names it by $relay_recipient_maps
  EXPECT_TRUE(load_text(maps + "proxy_read_maps = proxy:hash:/r\n").settings);
  EXPECT_TRUE(refuses(maps + "proxy_read_maps = proxy:hash:/other\n",
                      "main.cf:3: relay_recipient_maps: proxy:hash:/r is not in proxy_read_maps"));
}

TEST(Load, ProxyReadMapsComparesNormalNames) {
  const std::string maps = minimal + "relay_recipient_maps = ";
  const std::string list = "\nproxy_read_maps = ";
  EXPECT_TRUE(load_text(maps + "proxy:unionmap:{hash:/a,hash:/b}" + list +
                        "proxy:unionmap:{ hash:/a  proxy:hash:/b }\n")
                  .settings);
  const std::string nested = maps + "unionmap:{hash:/a, unionmap:{proxy:hash:/b}}" + list;
  EXPECT_TRUE(load_text(nested + "proxy:hash:/b\n").settings);
  EXPECT_TRUE(load_text(nested + "unionmap:{proxy:hash:/b}\n").settings);
  EXPECT_TRUE(refuses(nested + "hash:/b proxy:hash:/a proxy:mysql:/x unionmap:{hash:/b}\n",
                      "proxy:hash:/b is not in proxy_read_maps"))
      << "only what is spelled proxy: counts";
}

TEST(Load, TableTypesThatDoNotWorkAreErrors) {
  EXPECT_TRUE(refuses(minimal + "relay_domains = ldap:/x\n", "main.cf:3: relay_domains:"));
  EXPECT_TRUE(refuses(minimal + "relay_recipient_maps = a.example\n", "relay_recipient_maps:"));
}

TEST(Load, LimitsOfTheDialogueAreChecked) {
  EXPECT_TRUE(load_text(minimal + "smtpd_recipient_limit = 65535\n").settings);
  EXPECT_TRUE(refuses(minimal + "smtpd_recipient_limit = 65536\n", "smtpd_recipient_limit: 65536"));
  EXPECT_TRUE(refuses(minimal + "smtpd_recipient_limit = 0\n", "smtpd_recipient_limit"));
  EXPECT_TRUE(refuses(minimal + "message_size_limit = 2x\n", "message_size_limit: bad numerical"));
  EXPECT_TRUE(refuses(minimal + "smtpd_helo_required = maybe\n", "bad boolean value"));
  EXPECT_TRUE(refuses(minimal + "smtpd_timeout = 5y\n", "smtpd_timeout: bad time value"));
  EXPECT_TRUE(refuses(minimal + "smtpd_timeout = 0\n", "smtpd_timeout"));
  EXPECT_TRUE(refuses(minimal + "reject_code = 250\n", "reject_code"));
  EXPECT_TRUE(refuses(minimal + "smtpd_banner = a\x07\n", "smtpd_banner"));
  const std::string banner = minimal + "smtpd_banner = ";
  EXPECT_TRUE(load_text(banner + std::string(506, 'b') + "\n").settings);
  EXPECT_TRUE(refuses(banner + std::string(507, 'b') + "\n", "smtpd_banner"));
}

TEST(Load, LineLengthIsCutToOursWithAWarning) {
  EXPECT_EQ(settings_of(minimal + "line_length_limit = 512\n").server.line_length_limit, 512U);
  const LoadResult result = load_text(minimal + "line_length_limit = 2049\n");
  ASSERT_TRUE(result.settings);
  EXPECT_EQ(result.settings->server.line_length_limit, 2048U);
  EXPECT_TRUE(says(result, "main.cf:3: warning: line_length_limit"));
}

TEST(Load, BareNewlineIsNeverLeftAsItIs) {
  const auto setting = [](const std::string& value) {
    return settings_of(minimal + "smtpd_forbid_bare_newline = " + value + "\n").server.bare_newline;
  };
  EXPECT_EQ(setting("yes"), smtp::BareNewline::normalize);
  EXPECT_EQ(setting("normalize"), smtp::BareNewline::normalize);
  EXPECT_EQ(setting("reject"), smtp::BareNewline::reject);
  EXPECT_EQ(setting("no"), smtp::BareNewline::normalize);
  EXPECT_TRUE(says(load_text(minimal + "smtpd_forbid_bare_newline = no\n"),
                   "main.cf:3: warning: smtpd_forbid_bare_newline"));
  EXPECT_TRUE(
      refuses(minimal + "smtpd_forbid_bare_newline = maybe\n", "smtpd_forbid_bare_newline"));
}

TEST(Load, EhloKeywordsMayBeDiscarded) {
  const auto loaded =
      load_text(minimal + "smtpd_discard_ehlo_keywords = CHUNKING, silent-discard\n");
  ASSERT_TRUE(loaded.settings);
  EXPECT_EQ(loaded.settings->server.discard_ehlo_keywords, smtp::ehlo_chunking | smtp::ehlo_silent);
  EXPECT_TRUE(refuses(minimal + "smtpd_discard_ehlo_keywords = chunking, pipelyning\n",
                      "\"pipelyning\" is no EHLO keyword"));
}

TEST(Load, VerbsThatAreNoCommands) {
  const auto loaded = load_text(minimal + "smtpd_noop_commands = FOO, bar\n");
  ASSERT_TRUE(loaded.settings);
  EXPECT_EQ(loaded.settings->server.noop_commands, (std::vector<std::string>{"FOO", "bar"}));
  EXPECT_TRUE(loaded.settings->server.forbid_non_letters);
  EXPECT_EQ(loaded.settings->server.forbidden_commands.size(), 3U);
  const auto without = load_text(minimal + "smtpd_forbidden_commands =\n");
  ASSERT_TRUE(without.settings);
  EXPECT_FALSE(without.settings->server.forbid_non_letters);
  EXPECT_TRUE(refuses(minimal + "smtpd_noop_commands = hash:/x\n", "only verbs are served"));
}

TEST(Load, QueueSizesAreChecked) {
  const std::string megabytes_4 = "ringmx_queue_size_limit = 4194304\nmessage_size_limit = 1000\n";
  const std::string one = minimal + megabytes_4 + "ringmx_shards = 1\n";
  EXPECT_TRUE(load_text(one + "ringmx_segment_size = 262144\n").settings);
  EXPECT_TRUE(refuses(one + "ringmx_segment_size = 524288\n",
                      "ringmx_queue_size_limit: holds 8 segments of ringmx_segment_size = 524288; "
                      "1 shards need at least 9"));
  EXPECT_TRUE(refuses(minimal + "ringmx_shards = 9\n", "holds 64 segments"));
  EXPECT_TRUE(load_text(minimal + "ringmx_shards = 8\n").settings);
  EXPECT_TRUE(load_text(minimal + "ringmx_segment_size = 131072\n").settings);
  EXPECT_TRUE(refuses(minimal + "ringmx_segment_size = 65536\n", "ringmx_segment_size"));
  EXPECT_TRUE(refuses(minimal + "ringmx_segment_size = 131072\n"
                                "ringmx_queue_size_limit = 2147483648\n",
                      "more than 8192 segments"));
  EXPECT_TRUE(refuses(minimal + "ringmx_segment_size = 1000000\n", "must be a power of two"));
  EXPECT_TRUE(refuses(minimal + "message_size_limit = 1073741825\n", "message_size_limit"));
  EXPECT_TRUE(refuses(minimal + "minimal_backoff_time = 5000\n", "minimal_backoff_time"));
  EXPECT_TRUE(refuses(minimal + "queue_directory = var\n", "queue_directory"));
}

TEST(Load, EveryErrorIsReportedInFileOrder) {
  const LoadResult result =
      load_text("smtpd_timeout = x\nfoo\nalways_bcc = a@example.com\nreject_code = 1\nbiff = no\n");
  ASSERT_FALSE(result.settings);
  std::string lines;
  for (const Diagnostic& one : result.settings.error())
    if (one.severity == Severity::error) lines += std::to_string(one.line) + " ";
  EXPECT_EQ(lines, "1 2 3 4 ");
}

TEST(Load, AnErrorInAValueIsReportedOnce) {
  const LoadResult result = load_text(minimal + "myhostname = ${x\n");
  ASSERT_FALSE(result.settings);
  size_t at_line_3 = 0;
  for (const Diagnostic& one : result.settings.error())
    at_line_3 += one.line == 3 && one.text.find("truncated") != std::string::npos ? 1U : 0U;
  EXPECT_EQ(at_line_3, 1U);
}

TEST(Load, AMisspeltNameNamesTheKnownOne) {
  EXPECT_TRUE(
      refuses(minimal + "smtpd_hard_error_limt = 5\n",
              "/etc/ringmx/main.cf:3: smtpd_hard_error_limt: unknown parameter; did you mean "
              "smtpd_hard_error_limit?"));
  EXPECT_TRUE(refuses(minimal + "ringmx_shard = 2\n", "did you mean ringmx_shards?"));
}

TEST(Load, AnUnknownNameIsAWarning) {
  const LoadResult result = load_text(minimal + "office_network = 10.0.0.0/8\n");
  ASSERT_TRUE(result.settings);
  EXPECT_TRUE(says(result, "main.cf:3: warning: unused parameter: office_network=10.0.0.0/8"));
}

TEST(Load, ANameThatOthersReferToIsNoWarning) {
  const LoadResult result = load_text(
      minimal +
      "mynetworks = $office_network\noffice_network = ${site_network}\n"
      "site_network = 10.0.0.0/8\nrelay_domain = a.example\nrelay_domains = $relay_domain\n");
  ASSERT_TRUE(result.settings) << messages(result);
  EXPECT_EQ(messages(result), "");
  EXPECT_EQ(words(result.settings->domains.mynetworks), "10.0.0.0/8");
}

TEST(Load, LegacyNamesInDefaultsAreKnown) {
  EXPECT_EQ(messages(load_text(minimal + "stress =\npostscreen_dnsbl_ttl = 2\n")), "");
}

TEST(Load, HostileFilesEndWithErrors) {
  EXPECT_TRUE(refuses(minimal + "smtpd_timeout = 2147483648\n", "smtpd_timeout"));
  EXPECT_TRUE(
      refuses(minimal + "message_size_limit = 99999999999999999999\n", "message_size_limit"));
  EXPECT_TRUE(refuses(minimal + "myorigin = $mydomain\nmydomain = $myorigin\n",
                      "unreasonable macro call nesting"));
  EXPECT_TRUE(refuses(minimal + std::string("mynetworks = 1\0", 15) + "\n", "NUL byte"));
  EXPECT_TRUE(refuses(minimal + "mynetworks = " + std::string(10'000'000, '1') + "\n",
                      "the file is larger than"));
}

TEST(Load, AMissingFileIsAnError) {
  const LoadResult result = load("/nowhere", test::reader_of({}), test::test_host());
  ASSERT_FALSE(result.settings);
  EXPECT_EQ(messages(result), "/nowhere/main.cf: No such file or directory\n");
}

TEST(Load, CarriageReturnsMakeNoDifference) {
  const Settings settings = settings_of(
      "relayhost = [192.0.2.9]\r\nmydestination =\r\nrelay_domains = a.example,\r\n  "
      "b.example\r\n");
  EXPECT_EQ(words(settings.domains.relay_domains), "a.example b.example");
}

TEST(Load, DiskReaderSaysWhatIsWrong) {
  const auto text = disk_reader()("/no/such/file");
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().find("No such file"), std::string::npos);
}

}  // namespace
}  // namespace mx::config
