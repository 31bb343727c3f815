#include "engine/config/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "engine/config/evaluator.h"
#include "engine/config/values.h"
#include "tests/unit/engine/config_harness.h"

namespace mx::config {
namespace {

using Table = std::map<std::string, std::string>;

Table parse_postconf(const std::string& text) {
  Table table;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find(" =");
    if (equals == std::string::npos) continue;
    table[line.substr(0, equals)] = line.substr(std::min(equals + 3, line.size()));
  }
  return table;
}

// Of later versions of Postfix.
bool is_newer(std::string_view name) {
  return name == "smtpd_client_ipv4_prefix_length" || name == "smtpd_client_ipv6_prefix_length";
}

std::set<std::string> our_names() {
  std::set<std::string> names;
  for (const Parameter& row : all_parameters())
    if (!row.name.starts_with("ringmx_") && !is_newer(row.name)) names.emplace(row.name);
  return names;
}

std::set<std::string> names_of(const Table& table) {
  std::set<std::string> names;
  for (const auto& [name, value] : table) names.insert(name);
  return names;
}

// What the installed postconf prints for an empty configuration; empty when there is none.
std::string run_postconf() {
  const char* program = "/usr/sbin/postconf";
  if (!std::filesystem::exists(program)) return {};
  std::string directory = (std::filesystem::temp_directory_path() / "config-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return {};
  for (const char* file : {"/main.cf", "/master.cf"}) std::ofstream(directory + file).flush();
  std::string text;
  const std::string command = std::string(program) + " -c " + directory + " -d 2>/dev/null";
  if (FILE* pipe = popen(command.c_str(), "r")) {
    std::array<char, 4096> buffer{};
    for (size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
      text.append(buffer.data(), n);
    pclose(pipe);
  }
  std::filesystem::remove_all(directory);
  return text;
}

TEST(Parameters, NamesAreThoseOfPostconf) {
  const Table postfix = parse_postconf(test::fixture("postfix-3.7.11/postconf-d.txt"));
  ASSERT_EQ(postfix.size(), 831U);
  EXPECT_EQ(our_names(), names_of(postfix));
}

TEST(Parameters, NamesAreThoseOfTheInstalledPostconf) {
  const std::string text = run_postconf();
  if (text.empty())
    GTEST_SKIP() << "SKIPPED: no /usr/sbin/postconf here; the table is compared "
                    "with the checked-in list only";
  if (text.find("\nmail_version = 3.7.11\n") == std::string::npos)
    GTEST_SKIP() << "SKIPPED: the installed Postfix is not 3.7.11";
  EXPECT_EQ(our_names(), names_of(parse_postconf(text)));
}

TEST(Parameters, DefaultsAreThoseOfPostconfButForTheListedOnes) {
  const std::set<std::string> ours{"alias_maps",
                                   "config_directory",
                                   "local_recipient_maps",
                                   "mail_name",
                                   "mail_release_date",
                                   "mail_version",
                                   "process_id",
                                   "process_name",
                                   "queue_directory",
                                   "smtpd_forbid_bare_newline",
                                   "smtpd_forbid_unauth_pipelining"};
  Diagnostics diagnostics;
  const MainCf nothing;
  const HostFacts host = test::test_host();
  const Evaluator values(nothing, host, diagnostics);
  for (const auto& [name, value] : parse_postconf(test::fixture("postfix-3.7.11/postconf-d.txt"))) {
    if (ours.contains(name)) continue;
    EXPECT_EQ(values.raw(name).value_or("(unknown)"), value) << name;
  }
  EXPECT_EQ(test::all_text(diagnostics), "");
}

TEST(Parameters, EachNameHasOneRowAndEveryRowItsReason) {
  std::set<std::string_view> names;
  for (const Parameter& row : all_parameters()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(row.reason.empty(), row.kind == Class::acts) << row.name;
    EXPECT_EQ(find_parameter(row.name)->name, row.name);
  }
  EXPECT_EQ(find_parameter("no_such_parameter"), nullptr);
  EXPECT_EQ(find_parameter(""), nullptr);
}

TEST(Parameters, DefaultsFitTheirType) {
  Diagnostics diagnostics;
  const MainCf nothing;
  const HostFacts host = test::test_host();
  Evaluator values(nothing, host, diagnostics);
  for (const Parameter& row : all_parameters()) {
    const std::string& text = values.text(row.name);
    if (row.type == Type::boolean) {
      EXPECT_TRUE(parse_boolean(text)) << row.name;
    } else if (row.type == Type::integer) {
      EXPECT_TRUE(parse_integer(text, 0, UINT64_MAX)) << row.name;
    } else if (row.type == Type::time) {
      EXPECT_TRUE(parse_time(text, 's', {}, seconds(INT32_MAX))) << row.name;
    }
  }
}

TEST(TransportParameters, AreKnownByTheirEnding) {
  EXPECT_EQ(find_transport_parameter("relay_destination_recipient_limit")->kind, Class::acts);
  EXPECT_EQ(find_transport_parameter("smtp_destination_recipient_limit")->fallback,
            "$default_destination_recipient_limit");
  EXPECT_EQ(find_transport_parameter("relay_transport_rate_delay")->kind, Class::refused);
  EXPECT_EQ(find_transport_parameter("relay_destination_concurrency_limit")->kind, Class::acts);
  EXPECT_EQ(find_transport_parameter("relay_destination_concurrency_negative_feedback")->reason,
            find_parameter("default_destination_concurrency_negative_feedback")->reason);
  EXPECT_EQ(find_transport_parameter("maildrop_destination_recipient_limit")->kind,
            Class::harmless);
  EXPECT_FALSE(find_transport_parameter("_recipient_limit"));
  EXPECT_FALSE(find_transport_parameter("relay_destination_recipient_limits"));
  EXPECT_FALSE(find_transport_parameter(""));
}

TEST(NearestParameter, IsAtMostTwoEditsAway) {
  EXPECT_EQ(nearest_parameter("smtpd_recipient_restriction"), "smtpd_recipient_restrictions");
  EXPECT_EQ(nearest_parameter("relay_hosts"), "relayhost");
  EXPECT_EQ(nearest_parameter("my_own_variable"), "");
}

}  // namespace
}  // namespace mx::config
