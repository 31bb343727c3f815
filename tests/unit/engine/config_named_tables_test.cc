#include "engine/config/named_tables.h"

#include <gtest/gtest.h>

#include "tests/unit/engine/config_harness.h"

namespace mx::config::test {
namespace {

NamedTables find_in(std::string_view main_cf, Files files = {}) {
  files["/etc/ringmx/main.cf"] = main_cf;
  return find_tables("/etc/ringmx", reader_of(std::move(files)), test_host());
}

// "hash:/a hash:/b(aliases)".
std::string names(const NamedTables& found) {
  std::string text;
  for (const NamedTable& table : found.tables)
    text += (text.empty() ? "" : " ") + table.spec.text() + (table.is_aliases ? "(aliases)" : "");
  return text;
}

std::string names_in(std::string_view main_cf, Files files = {}) {
  const NamedTables found = find_in(main_cf, std::move(files));
  EXPECT_EQ(all_text(found.diagnostics), "") << main_cf;
  return names(found);
}

bool has_error(const NamedTables& found) {
  for (const Diagnostic& one : found.diagnostics)
    if (one.severity == Severity::error) return true;
  return false;
}

TEST(NamedTables, of_every_kind_of_list) {
  EXPECT_EQ(names_in("relay_domains = a.example, hash:/d !btree:/n\n"
                     "relay_recipient_maps = proxy:lmdb:/r\n"
                     "transport_maps = hash:/t\n"
                     "relay_clientcerts = hash:/certs\n"),
            "hash:/d btree:/n lmdb:/r hash:/t hash:/certs");
}

TEST(NamedTables, in_restriction_lists_and_classes) {
  EXPECT_EQ(names_in("smtpd_client_restrictions = permit_mynetworks, check_client_access hash:/c\n"
                     "  check_sender_access proxy:hash:/s, reject_rbl_client a.example\n"
                     "smtpd_restriction_classes = strict, lax\n"
                     "strict = check_recipient_access hash:/r, check_policy_service unix:p/q\n"
                     "other = $strict check_helo_access hash:/h\n"),
            "hash:/c hash:/s hash:/r hash:/h");
}

TEST(NamedTables, inside_unions) {
  EXPECT_EQ(names_in("virtual_alias_maps = unionmap:{hash:/a, unionmap:{cidr:/b,static:x}}, "
                     "proxy:unionmap:{proxy:hash:/c}\n"),
            "hash:/a cidr:/b static:x hash:/c");
}

TEST(NamedTables, behind_names_of_the_operator) {
  EXPECT_EQ(names_in("indexed = hash:${config_directory}/\n"
                     "relay_domains = ${indexed}domains\n"),
            "hash:/etc/ringmx/domains");
  // A name that only a cache uses is none of ours; one that nothing uses may be master.cf's.
  EXPECT_EQ(names_in("cache = btree:/var/cache\naddress_verify_map = $cache\n"
                     "mua_restrictions = check_sasl_access hash:/mua\n"),
            "hash:/mua");
}

TEST(NamedTables, not_what_postfix_writes_itself) {
  EXPECT_EQ(names_in("smtp_tls_session_cache_database = btree:${data_directory}/scache\n"
                     "postscreen_cache_map = btree:/p\naddress_verify_map = proxy:btree:/v\n"
                     "smtp_sasl_auth_cache_name = proxy:btree:/a\n"
                     "proxy_write_maps = proxy:btree:/v\n"),
            "");
}

TEST(NamedTables, not_what_proxy_read_maps_alone_names) {
  EXPECT_EQ(names_in("proxy_read_maps = proxy:hash:/only, proxy:hash:/d\n"
                     "relay_domains = proxy:hash:/d\n"),
            "hash:/d");
}

TEST(NamedTables, aliases_by_the_parameters_that_name_them) {
  EXPECT_EQ(names_in("alias_maps = hash:/etc/aliases\nvirtual_alias_maps = hash:/v\n"
                     "alias_database = proxy:hash:/more\n"),
            "hash:/etc/aliases(aliases) hash:/v hash:/more(aliases)");
  EXPECT_EQ(names_in("local_recipient_maps = $alias_maps hash:/users\n"), "hash:/users");
}

TEST(NamedTables, of_files_in_match_lists) {
  EXPECT_EQ(names_in("mydestination = /etc/d\n",
                     {{"/etc/d", "a.example\n!hash:/x\n/etc/e\n"}, {"/etc/e", "hash:/y"}}),
            "hash:/x hash:/y");
  const NamedTables found = find_in("mydestination = /missing hash:/x\n");
  EXPECT_EQ(names(found), "hash:/x");
  EXPECT_EQ(all_text(found.diagnostics),
            "/etc/ringmx/main.cf:1: warning: mydestination: /missing: No such file or directory\n");
}

TEST(NamedTables, each_once_at_its_first_place) {
  const NamedTables found = find_in(
      "\nrelay_domains = a.example\n  hash:/d\n"
      "transport_maps = proxy:hash:/d\n");
  ASSERT_EQ(names(found), "hash:/d");
  EXPECT_EQ(found.tables[0].parameter, "relay_domains");
  EXPECT_EQ(found.tables[0].file, "/etc/ringmx/main.cf");
  EXPECT_EQ(found.tables[0].line, 3U);
}

TEST(NamedTables, what_is_no_table_is_passed_over) {
  EXPECT_EQ(names_in("relayhost = [mx.example]:25\nsmtpd_milters = inet:localhost:8891\n"
                     "smtpd_banner = x ESMTP: {\nmynetworks = [::1]/128 127.0.0.0/8\n"
                     "mailbox_size_limit = 0\n"),
            "");
}

TEST(NamedTables, of_a_configuration_that_is_refused) {
  EXPECT_EQ(names_in("inet_interfaces = no.such.host\nrelay_domain = x\nsmtpd_timeout = never\n"
                     "relay_domains = proxy:hash:/d\nproxy_read_maps =\n"),
            "hash:/d");
}

TEST(NamedTables, types_that_can_not_be_compiled_are_said) {
  const NamedTables found = find_in(
      "virtual_alias_maps = ldap:/l.cf, hash:/v\n"
      "relay_domains = hash:relative\n");
  EXPECT_EQ(names(found), "hash:/v");
  const std::string text = all_text(found.diagnostics);
  EXPECT_NE(text.find("main.cf:1: warning: virtual_alias_maps: table \"ldap:/l.cf\""), text.npos);
  EXPECT_NE(text.find("main.cf:2: warning: relay_domains: hash:relative has no absolute path"),
            text.npos)
      << text;
  EXPECT_FALSE(has_error(found));
}

TEST(NamedTables, what_may_hide_tables_is_an_error) {
  EXPECT_TRUE(has_error(find_tables("/nowhere", reader_of({}), test_host())));
  EXPECT_TRUE(has_error(find_in("no equals sign\n")));
  EXPECT_TRUE(has_error(find_in("virtual_alias_maps = unionmap:{hash:/a\n")));
  EXPECT_TRUE(has_error(find_in("smtpd_data_restrictions = check_x_access inline:{a=b\n")));
  EXPECT_TRUE(has_error(find_in("a = $b\nb = $a\nvirtual_alias_maps = $a\n")));
}

TEST(NamedTables, many_in_linear_time) {
  std::string text = "relay_recipient_maps =";
  for (int i = 0; i < 50'000; ++i) text += " hash:/" + std::to_string(i);
  EXPECT_EQ(find_in(text + "\n").tables.size(), 50'000U);
}

}  // namespace
}  // namespace mx::config::test
