// Expansion of aliases: who gets the message in the end.
#include "engine/policy/expand.h"

#include <gtest/gtest.h>

#include <string>

namespace mx::policy {
namespace {

class ExpandTest : public testing::Test {
 protected:
  ExpandTest() {
    inputs_.mydestination = {{"mx.example.org", "main.cf", 1}};
    inputs_.relay_domains = {{"relay.tld", "main.cf", 1}};
    inputs_.virtual_alias_domains = {{"virtual.tld", "main.cf", 1}};
    inputs_.myorigin = inputs_.mydomain = "example.org";
    inputs_.recipient_delimiter = "+";
    inputs_.recipient = {{"reject_unauth_destination", "main.cf", 1}};
    inputs_.alias_maps = {
        {"inline:{{postmaster=root}, {root=Admin <admin@relay.tld>, \"two words\"@relay.tld}, "
         "{loop=loop2@mx.example.org}, {loop2=loop@mx.example.org}, {self=self@mx.example.org}, "
         "{prog=\"|cat\"}, {file=/tmp/x}, {list=:include:/x}, {both=a@relay.tld,b@relay.tld,"
         "a@relay.tld}, {empty=,}}",
         "main.cf", 1}};
    inputs_.virtual_alias_maps = {
        {"inline:{{v@virtual.tld=a@relay.tld}, {ext@virtual.tld=b@relay.tld}, "
         "{@relay.tld=@other.tld}, {keep@relay.tld=keep@relay.tld}, {deep@virtual.tld="
         "v@virtual.tld}}",
         "main.cf", 1}};
  }

  std::string expand(std::string_view address) {
    TableStore tables;
    auto policy = compile(inputs_, tables);
    for (const ConfigError& error : policy ? std::vector<ConfigError>{} : policy.error())
      ADD_FAILURE() << error.text;
    Expansion expansion(*policy);
    if (!expansion.add(address)) return "! " + expansion.problem();
    std::string all;
    for (const std::string& one : expansion.recipients()) all += (all.empty() ? "" : " ") + one;
    return all;
  }

  PolicyInputs inputs_;
};

TEST_F(ExpandTest, virtual_aliases) {
  EXPECT_EQ(expand("keep@relay.tld"), "keep@relay.tld");
  EXPECT_EQ(expand("V@Virtual.tld"), "a@other.tld");  // and @relay.tld stands for @other.tld
  EXPECT_EQ(expand("deep@virtual.tld"), "a@other.tld");
  EXPECT_EQ(expand("ext+more@virtual.tld"), "b+more@other.tld");
  EXPECT_EQ(expand("x+y@relay.tld"), "x+y@other.tld");
  EXPECT_EQ(expand("no@virtual.tld"), "! <no@virtual.tld>: User unknown in virtual alias table");
  EXPECT_EQ(expand("Foreign@Elsewhere.tld"), "Foreign@Elsewhere.tld");
}

TEST_F(ExpandTest, aliases) {
  inputs_.virtual_alias_maps.clear();
  EXPECT_EQ(expand("both@mx.example.org"), "a@relay.tld b@relay.tld");
  EXPECT_EQ(expand("Both+x@mx.example.org"), "a@relay.tld b@relay.tld");
  // root is completed with myorigin, which is not local here.
  EXPECT_EQ(expand("postmaster@mx.example.org"), "root@example.org");
  inputs_.myorigin = "mx.example.org";
  EXPECT_EQ(expand("postmaster@mx.example.org"), "admin@relay.tld \"two words\"@relay.tld");
  EXPECT_EQ(expand("postmaster"), "admin@relay.tld \"two words\"@relay.tld");
}

TEST_F(ExpandTest, what_can_not_be_delivered_is_no_expansion) {
  inputs_.virtual_alias_maps.clear();
  EXPECT_EQ(expand("loop@mx.example.org").substr(0, 2), "! ");
  EXPECT_NE(expand("loop@mx.example.org").find("possible alias database loop"), std::string::npos);
  EXPECT_NE(expand("self@mx.example.org").find("names itself"), std::string::npos);
  for (const char* name : {"prog", "file", "list"})
    EXPECT_NE(expand(std::string(name) + "@mx.example.org").find("is not supported"),
              std::string::npos)
        << name;
  EXPECT_NE(expand("empty@mx.example.org").find("names nobody"), std::string::npos);
  inputs_.alias_maps = {{"fail:x", "main.cf", 1}};
  EXPECT_NE(expand("x@mx.example.org").find("Temporary lookup failure"), std::string::npos);
}

TEST(split_addresses, at_commas_that_separate) {
  const auto split = [](std::string_view value) {
    std::string all;
    for (const std::string_view one : split_addresses(value)) all += "[" + std::string(one) + "]";
    return all;
  };
  EXPECT_EQ(split("a, b ,c"), "[a][b][c]");
  EXPECT_EQ(split("\"x, y\"@d, <@r,s:u@d> , (one, two) z"),
            "[\"x, y\"@d][<@r,s:u@d>][(one, two) z]");
  EXPECT_EQ(split(" , ,"), "");
  EXPECT_EQ(split("\"open, end"), "[\"open, end]");
  EXPECT_EQ(split("a\\,b"), "[a\\,b]");
  EXPECT_EQ(split(""), "");
}

}  // namespace
}  // namespace mx::policy
