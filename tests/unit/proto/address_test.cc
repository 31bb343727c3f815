#include "proto/mail/address.h"

#include <gtest/gtest.h>

#include <string>

namespace mx::mail {
namespace {

// The canonical address, "-" when refused.
std::string parsed(std::string_view argument, PathRules rules = PathRules::lenient) {
  const auto path = parse_path(argument, rules);
  return path ? std::string(path->address.text()) : "-";
}

std::string times(size_t n, std::string_view text) {
  std::string out;
  while (n-- > 0) out += text;
  return out;
}

TEST(Address, TakesPathsAsPostfixDoes) {
  EXPECT_EQ(parsed("<>"), "");
  EXPECT_EQ(parsed("<a@b>"), "a@b");
  EXPECT_EQ(parsed("  <a@b>  "), "a@b");
  EXPECT_EQ(parsed("a@b"), "a@b");
  EXPECT_EQ(parsed("a@b>"), "-");
  EXPECT_EQ(parsed("<<a@b>>"), "a@b");
  EXPECT_EQ(parsed("< a@b >"), "a@b");
  EXPECT_EQ(parsed("<a>"), "a");
  EXPECT_EQ(parsed("<A@B.Example>"), "A@B.Example");
  EXPECT_EQ(parsed("<a@b_c>"), "a@b_c");
  EXPECT_EQ(parsed("<|x@y>"), "|x@y");
  EXPECT_EQ(parsed("<\xE4@b>"), "\xE4@b");
}

TEST(Address, RefusesWhatIsNoPath) {
  for (const char* bad : {"",
                          " ",
                          "<",
                          ">",
                          "<a@b",
                          "<a b@c>",
                          "<a@b c>",
                          "<a @ b>",
                          "<a@>",
                          "<@b>",
                          "<@>",
                          "<\"a>",
                          "<a\"@b>",
                          "<a\"b\"c@d>",
                          "<a,b@c>",
                          "<a;b@c>",
                          "<a:b@c>",
                          "<a[b]@c>",
                          "<a(c)@b>",
                          "<a@b[c]>",
                          "<a@\"b\">",
                          "<a@.b>",
                          "<a@b..c>",
                          "<a@-b>",
                          "<a@b->",
                          "<a@\xE4>",
                          "<a\\>",
                          "<a\\",
                          "<a@1.2.3.4>",
                          "<a@[x]>",
                          "<a@[999.2.3.4]>",
                          "<-a@b>",
                          "<\"-a\"@b>",
                          "<\"\">",
                          "<a@b>SIZE=1",
                          "<a\x01@b>",
                          "<\"a\tb\"@c>",
                          "<;sleep 66;>",
                          "<a@b\x7F>"})
    EXPECT_EQ(parsed(bad), "-") << bad;
  EXPECT_EQ(parsed(std::string_view("<a\0b@c>", 7)), "-");
}

TEST(Address, QuotesTheLocalPartOnlyWhereItHasToBe) {
  EXPECT_EQ(parsed("<\"bob\"@x>"), "bob@x");
  EXPECT_EQ(parsed("<\"a\".\"b\"@x>"), "a.b@x");
  EXPECT_EQ(parsed("<\"a b\"@x>"), "\"a b\"@x");
  EXPECT_EQ(parsed("<\"a\\\"b\"@x>"), "\"a\\\"b\"@x");
  EXPECT_EQ(parsed("<\"a\\\\b\"@x>"), "\"a\\\\b\"@x");
  EXPECT_EQ(parsed("<\"a\\b\"@x>"), "ab@x");
  EXPECT_EQ(parsed("<.a@x>"), "\".a\"@x");
  EXPECT_EQ(parsed("<a.@x>"), "\"a.\"@x");
  EXPECT_EQ(parsed("<a..b@x>"), "\"a..b\"@x");
  EXPECT_EQ(parsed("<\"\"@x>"), "\"\"@x");
  EXPECT_EQ(parsed("\"a b\"@x"), "\"a b\"@x");
  EXPECT_EQ(parsed("<\"a>b\"@x>"), "\"a>b\"@x");
}

TEST(Address, RoutesByTheLastUnquotedAt) {
  EXPECT_EQ(parsed("<u@us@evil>"), "\"u@us\"@evil");
  EXPECT_EQ(parsed("<\"u@us\"@evil>"), "\"u@us\"@evil");
  EXPECT_EQ(parsed("<\"a@evil\"@us>"), "\"a@evil\"@us");
  EXPECT_EQ(parsed("<a\\@b@c>"), "\"a@b\"@c");
  EXPECT_EQ(parsed("<\"a@b\">"), "\"a@b\"");
  EXPECT_EQ(split("\"a@b\"").has_domain, false);
  EXPECT_EQ(split("\"u@us\"@evil").domain, "evil");
  EXPECT_EQ(split("\"u@us\"@evil").local, "\"u@us\"");
  EXPECT_EQ(split("").has_domain, false);
}

TEST(Address, StripsTheSourceRoute) {
  EXPECT_EQ(parsed("<@a,@b:c@d>"), "c@d");
  EXPECT_EQ(parsed("<@[IPv6:::1]:c@d>"), "c@d");
  EXPECT_EQ(parsed("<@us:u@evil>"), "u@evil");
  EXPECT_EQ(parsed("<@x:>"), "-");
}

TEST(Address, DropsOneTrailingDotOfTheDomain) {
  EXPECT_EQ(parsed("<a@b.>"), "a@b");
  EXPECT_EQ(parsed("<a@b..>"), "-");
  EXPECT_EQ(parsed("<a@.>"), "-");
}

TEST(Address, StrictRulesWantAnglesAndNoBlanks) {
  EXPECT_EQ(parsed("<a@b>", PathRules::strict), "a@b");
  EXPECT_EQ(parsed("<>", PathRules::strict), "");
  for (const char* bad : {"a@b", " <a@b>", "< a@b >", "<<a@b>>"})
    EXPECT_EQ(parsed(bad, PathRules::strict), "-") << bad;
}

TEST(Address, LeavesTheParameters) {
  EXPECT_EQ(parse_path("<a@b> SIZE=1  X ", PathRules::lenient)->rest, "SIZE=1  X");
  EXPECT_EQ(parse_path("a@b\tSIZE=1", PathRules::lenient)->rest, "SIZE=1");
  EXPECT_EQ(parse_path("<a@b> <c@d>", PathRules::lenient)->rest, "<c@d>");
}

TEST(Address, RefusesWhatIsOverALimit) {
  // Over the 64 that RFC 5321 names at least: forwarders' SRS addresses are real senders.
  for (const size_t n : {63U, 64U, 65U, 254U, 255U})
    EXPECT_NE(parsed("<" + times(n, "a") + "@b>"), "-") << n;
  EXPECT_EQ(parsed("<" + times(256, "a") + "@b>"), "-");
  EXPECT_EQ(parsed("<" + times(1000, "a") + "@b>"), "-");
  // The quotes count: they go on the wire.
  EXPECT_NE(parsed("<\"" + times(252, "a") + " \"@b>"), "-");
  EXPECT_EQ(parsed("<\"" + times(253, "a") + " \"@b>"), "-");
  EXPECT_NE(parsed("<a@" + times(63, "b") + ">"), "-");
  EXPECT_EQ(parsed("<a@" + times(64, "b") + ">"), "-");
  // A domain of 255 bytes, and one more.
  const std::string domain = times(4, times(50, "d") + ".");
  EXPECT_NE(parsed("<a@" + domain + times(51, "e") + ">"), "-");
  EXPECT_EQ(parsed("<a@" + domain + times(52, "e") + ">"), "-");
}

TEST(Address, EveryPrefixOfAPathIsParsedOrRefused) {
  const std::string whole = "<@r,@s:\"a \\\" b\".c@[IPv6:2001:db8::1]> SIZE=1";
  for (size_t n = 0; n <= whole.size(); ++n) {
    const std::string copy = whole.substr(0, n);
    EXPECT_EQ(parse_path(copy, PathRules::lenient).has_value(), n >= whole.find('>') + 1) << copy;
  }
}

TEST(Address, UnquotesALocalPart) {
  EXPECT_EQ(unquoted("bob")->view(), "bob");
  EXPECT_EQ(unquoted("\"a \\\" b\"")->view(), "a \" b");
  EXPECT_EQ(unquoted("\"\"")->view(), "");
  EXPECT_FALSE(unquoted(times(256, "a")).has_value());
}

TEST(Hostname, IsPostfixsIdeaOfOne) {
  for (const char* good : {"a", "a.b", "a-b.c", "a_b", "1.a", "1a", "1-2", "x1--y.z", "_dmarc.x"})
    EXPECT_TRUE(is_valid_hostname(good)) << good;
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a-.b", "1", "1.2.3.4",
                          "a b", "a/b", "\xE4", "[1.2.3.4]", "???"})
    EXPECT_FALSE(is_valid_hostname(bad)) << bad;
  const std::string longest = times(127, "a.") + "b";
  ASSERT_EQ(longest.size(), 255U);
  EXPECT_TRUE(is_valid_hostname(longest));
  EXPECT_FALSE(is_valid_hostname("a" + longest));
}

TEST(AddressLiteral, IsAnIpAddressInBrackets) {
  for (const char* good : {"[1.2.3.4]", "[255.255.255.255]", "[0.0.0.0]", "[IPv6:::]", "[IPv6:::1]",
                           "[ipv6:1:2:3:4:5:6:7:8]", "[IPv6:2001:db8::1]", "[IPv6:1::]",
                           "[IPv6:::ffff:1.2.3.4]", "[IPv6:1:2:3:4:5:6:1.2.3.4]"})
    EXPECT_TRUE(is_address_literal(good)) << good;
  for (const char* bad : {"",
                          "[",
                          "[]",
                          "1.2.3.4",
                          "[1.2.3]",
                          "[1.2.3.4.5]",
                          "[1.2.3.256]",
                          "[01.2.3.4]",
                          "[1..3.4]",
                          "[1.2.3.4",
                          "[::1]",
                          "[IPv6:]",
                          "[IPv6:1]",
                          "[IPv6:1:2:3:4:5:6:7:8:9]",
                          "[IPv6:1::2::3]",
                          "[IPv6::::]",
                          "[IPv6:1:]",
                          "[IPv6::1]",
                          "[IPv6:12345::]",
                          "[IPv6:g::]",
                          "[IPv6:1:2:3:4:5:6:7:8::]",
                          "[IPv6:1:2:3:4:5:6:7:1.2.3.4]",
                          "[IPv6:1.2.3.4]"})
    EXPECT_FALSE(is_address_literal(bad)) << bad;
}

TEST(Address, IsFullyQualifiedWithADotOrALiteral) {
  for (const char* good : {"a@b.c", "a@[1.2.3.4]", "\"a b\"@x.y"})
    EXPECT_TRUE(is_fully_qualified(good)) << good;
  for (const char* bad : {"a", "a@b", "\"a@b.c\"", "a@b..c", ""})
    EXPECT_FALSE(is_fully_qualified(bad)) << bad;
  EXPECT_TRUE(is_fully_qualified_domain("mail.example."));
  EXPECT_FALSE(is_fully_qualified_domain("localhost"));
  EXPECT_FALSE(is_fully_qualified_domain("localhost."));
  EXPECT_FALSE(is_fully_qualified_domain("1.2.3.4"));
}

TEST(Address, SeesSenderSpecifiedRouting) {
  for (const char* routed : {"u%h@us", "h!u@us", "\"a@evil\"@us", "\"u@us\"@evil"})
    EXPECT_TRUE(has_sender_routing(routed)) << routed;
  EXPECT_FALSE(has_sender_routing("u+x@us"));
  EXPECT_FALSE(has_sender_routing("u"));
}

}  // namespace
}  // namespace mx::mail
