#include "engine/config/addresses.h"

#include <gtest/gtest.h>

namespace mx::config {
namespace {

constexpr std::string_view known_ports = "lmtp=24, smtp=25, smtps=submissions=465, submission=587";

TEST(ParseAddress, TakesBothFamiliesWithAndWithoutBrackets) {
  for (const char* text : {"192.0.2.1", "[192.0.2.1]"}) {
    ASSERT_TRUE(parse_address(text)) << text;
    EXPECT_EQ(to_string(*parse_address(text)), "192.0.2.1");
  }
  for (const char* text :
       {"2001:db8::1", "[2001:db8::1]", "[ipv6:2001:db8::1]", "[IPv6:2001:DB8:0::1]"}) {
    ASSERT_TRUE(parse_address(text)) << text;
    EXPECT_EQ(to_string(*parse_address(text)), "2001:db8::1");
  }
  for (const char* text :
       {"", "[]", "1.2.3", "1.2.3.4.5", "256.1.1.1", "host", "1.2.3.4 ", ":::", "[::1"})
    EXPECT_FALSE(parse_address(text)) << text;
}

TEST(NetworkText, ClearsHostBits) {
  EXPECT_EQ(network_text(*parse_address("192.0.2.130"), 25), "192.0.2.128/25");
  EXPECT_EQ(network_text(*parse_address("192.0.2.130"), 32), "192.0.2.130/32");
  EXPECT_EQ(network_text(*parse_address("192.0.2.130"), 0), "0.0.0.0/0");
  EXPECT_EQ(network_text(*parse_address("fd00::2"), 64), "[fd00::]/64");
}

TEST(ParsePort, TakesNumbersAndKnownNames) {
  EXPECT_EQ(parse_port("2525", known_ports), 2525);
  EXPECT_EQ(parse_port("65535", known_ports), 65'535);
  EXPECT_EQ(parse_port("smtp", known_ports), 25);
  EXPECT_EQ(parse_port("submissions", known_ports), 465);
  for (const char* text : {"", "65536", "-1", "http", "25x", "465"}) {
    if (std::string_view(text) == "465") continue;
    EXPECT_FALSE(parse_port(text, known_ports)) << text;
  }
  EXPECT_FALSE(parse_port("a", "a=b, b=a"));
}

std::string listen_text(std::string_view text, bool ipv4 = true, bool ipv6 = true) {
  const auto parsed = parse_listen(text, ipv4, ipv6);
  if (!parsed) return "error";
  std::string all;
  for (const ListenAddress& one : *parsed) all += (all.empty() ? "" : " ") + one.text;
  return all;
}

TEST(ParseListen, TakesAddressAndPort) {
  EXPECT_EQ(listen_text("127.0.0.1:25"), "127.0.0.1:25");
  EXPECT_EQ(listen_text("[::1]:2525"), "[::1]:2525");
  EXPECT_EQ(listen_text("0.0.0.0:25"), "0.0.0.0:25");
  EXPECT_EQ(listen_text("127.0.0.1:0"), "127.0.0.1:0");
}

TEST(ParseListen, AStarIsEveryAddressOfTheFamiliesThatAreOn) {
  EXPECT_EQ(listen_text("*:25"), "0.0.0.0:25 [::]:25");
  EXPECT_EQ(listen_text("*:25", true, false), "0.0.0.0:25");
}

TEST(ParseListen, RefusesEverythingElse) {
  for (const char* text : {"", "25", ":25", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:25",
                           "localhost:25", "127.0.0.1:smtp", "[::1]25"})
    EXPECT_EQ(listen_text(text), "error") << text;
}

TEST(ParseNextHop, TakesBracketedHostsAndAddresses) {
  const auto hop = parse_next_hop("[Mail.example.com]:2525", 25, known_ports);
  ASSERT_TRUE(hop);
  EXPECT_EQ(hop->host, "Mail.example.com");
  EXPECT_EQ(hop->port, 2525);
  EXPECT_TRUE(hop->bracketed);
  EXPECT_FALSE(hop->is_address);
  EXPECT_EQ(hop->text, "[Mail.example.com]:2525");
  EXPECT_EQ(parse_next_hop("[192.0.2.1]", 25, known_ports)->text, "[192.0.2.1]:25");
  EXPECT_EQ(parse_next_hop("[ipv6:2001:db8::1]:submission", 25, known_ports)->text,
            "[2001:db8::1]:587");
  EXPECT_TRUE(parse_next_hop("[::1]:25", 25, known_ports)->is_address);
}

TEST(ParseNextHop, WithoutBracketsItSaysSo) {
  const auto hop = parse_next_hop("example.com:26", 25, known_ports);
  ASSERT_TRUE(hop);
  EXPECT_FALSE(hop->bracketed);
  EXPECT_EQ(hop->port, 26);
}

TEST(ParseNextHop, RefusesWhatIsNoHost) {
  for (const char* text : {"", "[", "[]", "[a", "[a]25", "[a]:", "[a]:0", "[a]:99999", "[a]:nosuch",
                           "smtp:[a]:25", "[-a]", "[a..b]", "a b", "[123]"})
    EXPECT_FALSE(parse_next_hop(text, 25, known_ports)) << text;
}

TEST(IsValidHostname, FollowsPostfix) {
  const std::string label(63, 'a');
  for (const std::string& name : {std::string("a.b"), std::string("mx_1.example.com"),
                                  std::string("a.b."), std::string("3com.com"), label + ".x"})
    EXPECT_TRUE(is_valid_hostname(name)) << name;
  for (const std::string& name :
       {std::string(), std::string("."), std::string("a..b"), std::string("-a.b"),
        std::string("a-.b"), std::string("a.b-"), std::string("1.2.3.4"), std::string("a b"),
        std::string("a\x80"), label + "a.x", std::string(256, 'a')})
    EXPECT_FALSE(is_valid_hostname(name)) << name;
}

}  // namespace
}  // namespace mx::config
