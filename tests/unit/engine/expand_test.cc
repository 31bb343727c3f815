// Expansion of aliases: who gets the message in the end, and from whom.
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
    inputs_.myorigin = inputs_.mydomain = "mx.example.org";
    inputs_.recipient_delimiter = "+";
    inputs_.recipient = {{"reject_unauth_destination", "main.cf", 1}};
    aliases(
        "{postmaster=root}, {root=Admin <admin@relay.tld>, \"two words\"@relay.tld}, "
        "{loop=loop2}, {loop2=loop}, {self=self, a@relay.tld}, {prog=\"|cat\"}, {file=/tmp/x}, "
        "{include=:include:/x}, {both=a@relay.tld,b@relay.tld,A@relay.tld}, {empty=,}, "
        "{list=a@relay.tld, both}, {owner-list=Boss}, {inner=list, c@relay.tld}, "
        "{away=v@virtual.tld}, {ctl=\"a\x01"
        "b\"@relay.tld}");
    virtuals(
        "{v@virtual.tld=a@old.tld}, {ext@virtual.tld=b@relay.tld}, {@old.tld=@relay.tld}, "
        "{keep@relay.tld=keep@relay.tld, copy@relay.tld}, {deep@virtual.tld=v@virtual.tld}, "
        "{x@virtual.tld=y@virtual.tld}, {y@virtual.tld=x@virtual.tld}, {bare@virtual.tld=both}");
  }

  void aliases(const std::string& text) {
    inputs_.alias_maps = {{"inline:{" + text + "}", "main.cf", 1}};
  }
  void virtuals(const std::string& text) {
    inputs_.virtual_alias_maps = {{"inline:{" + text + "}", "main.cf", 1}};
  }

  std::string expand(std::initializer_list<std::string_view> addresses, Rewrites rewrites = {}) {
    TableStore tables;
    auto policy = compile(inputs_, tables);
    for (const ConfigError& error : policy ? std::vector<ConfigError>{} : policy.error())
      ADD_FAILURE() << error.text;
    if (!policy) return "";
    smtp::Transaction transaction;
    transaction.start("sender@elsewhere.tld", {});
    for (const std::string_view address : addresses) add(transaction, address);
    using enum Expansion::Result;
    const Expansion::Result result = expansion_.expand(*policy, transaction, rewrites);
    if (result != ok) return result == limit ? "limit" : "tempfail";
    std::string all;
    for (uint32_t i = 0; i < expansion_.size(); ++i) {
      all += (all.empty() ? "" : " ") + std::string(expansion_.address(i));
      if (expansion_.has_own_sender(i)) all += "<" + std::string(expansion_.own_sender(i));
    }
    return all;
  }
  std::string expand(std::string_view address) { return expand({address}); }

  static void add(smtp::Transaction& transaction, std::string_view address) {
    transaction.add_recipient(address);
  }

  PolicyInputs inputs_;
  Expansion expansion_;
};

TEST_F(ExpandTest, virtual_aliases) {
  EXPECT_EQ(expand("keep@relay.tld"), "keep@relay.tld copy@relay.tld");
  EXPECT_EQ(expand("V@Virtual.tld"), "a@relay.tld");  // @old.tld stands for @relay.tld
  EXPECT_EQ(expand("deep@virtual.tld"), "a@relay.tld");
  EXPECT_EQ(expand("ext+more@virtual.tld"), "b+more@relay.tld");
  EXPECT_EQ(expand("x+y@old.tld"), "x+y@relay.tld");
  EXPECT_EQ(expand("bare@virtual.tld"), "a@relay.tld b@relay.tld");
  EXPECT_EQ(expand("no@virtual.tld"), "no@virtual.tld");
  EXPECT_EQ(expand("Foreign@Elsewhere.tld"), "Foreign@Elsewhere.tld");
  inputs_.propagate_virtual_extensions = false;
  EXPECT_EQ(expand("ext+more@virtual.tld"), "b@relay.tld");
}

TEST_F(ExpandTest, virtual_aliases_are_bounded) {
  EXPECT_EQ(expand("x@virtual.tld"), "limit");  // a loop
  inputs_.virtual_alias_recursion_limit = 1;
  EXPECT_EQ(expand("deep@virtual.tld"), "limit");
  inputs_.virtual_alias_recursion_limit = 1000;
  inputs_.virtual_alias_expansion_limit = 1;
  EXPECT_EQ(expand("keep@relay.tld"), "limit");
  inputs_.virtual_alias_expansion_limit = 1000;
  inputs_.virtual_alias_address_length_limit = 10;
  EXPECT_EQ(expand("v@virtual.tld"), "limit");
  inputs_.virtual_alias_maps = {{"fail:x", "main.cf", 1}};
  EXPECT_EQ(expand("v@virtual.tld"), "tempfail");
}

TEST_F(ExpandTest, aliases) {
  EXPECT_EQ(expand("both@mx.example.org"), "a@relay.tld b@relay.tld");
  EXPECT_EQ(expand("Both+x@mx.example.org"), "a@relay.tld b@relay.tld");
  EXPECT_EQ(expand("postmaster"), "admin@relay.tld \"two words\"@relay.tld");
  EXPECT_EQ(expand("away@mx.example.org"), "a@relay.tld");  // through virtual_alias_maps again
  EXPECT_TRUE(expansion_.deliverable());
  inputs_.alias_maps = {{"fail:x", "main.cf", 1}};
  EXPECT_EQ(expand("x@mx.example.org"), "tempfail");
}

TEST_F(ExpandTest, an_owner_is_the_envelope_sender) {
  EXPECT_EQ(expand("list@mx.example.org"),
            "a@relay.tld<owner-list@mx.example.org b@relay.tld<owner-list@mx.example.org");
  EXPECT_EQ(expand("inner@mx.example.org"),
            "a@relay.tld<owner-list@mx.example.org b@relay.tld<owner-list@mx.example.org "
            "c@relay.tld");
  inputs_.expand_owner_alias = true;
  EXPECT_EQ(expand("list@mx.example.org").substr(0, 31), "a@relay.tld<Boss@mx.example.org");
  inputs_.expand_owner_alias = false;
  inputs_.reset_owner_alias = true;
  EXPECT_EQ(expand("list@mx.example.org"),
            "a@relay.tld<owner-list@mx.example.org "
            "a@relay.tld b@relay.tld");
}

TEST_F(ExpandTest, what_can_not_be_delivered_stays_a_recipient_and_is_told) {
  for (const char* name : {"loop", "self", "prog", "file", "include", "empty", "nobody"}) {
    const std::string address = std::string(name) + "@mx.example.org";
    EXPECT_NE(expand(address).find(address), std::string::npos) << name;
    EXPECT_FALSE(expansion_.deliverable()) << name;
    EXPECT_FALSE(expansion_.warnings().empty()) << name;
  }
  EXPECT_EQ(expand("ctl@mx.example.org"), "limit");
  EXPECT_EQ(expand("MAILER-DAEMON@mx.example.org"), "");  // thrown away
  EXPECT_FALSE(expansion_.warnings().empty());
}

TEST_F(ExpandTest, duplicates_of_one_recipient_are_dropped) {
  EXPECT_EQ(expand({"p@relay.tld", "P@relay.tld", "q@relay.tld"}), "p@relay.tld q@relay.tld");
  EXPECT_EQ(expand({"v@virtual.tld", "a@relay.tld"}), "a@relay.tld a@relay.tld");
}

TEST_F(ExpandTest, redirect_replaces_and_bcc_adds) {
  const std::string bcc[] = {"both@mx.example.org", "z@elsewhere.tld"};
  EXPECT_EQ(expand({"p@relay.tld", "q@relay.tld"}, {"both@mx.example.org", bcc}),
            "a@relay.tld b@relay.tld");
  EXPECT_EQ(expand({"p@relay.tld"}, {"", bcc}),
            "p@relay.tld a@relay.tld b@relay.tld z@elsewhere.tld");
}

TEST_F(ExpandTest, what_transport_maps_sends_away_is_no_alias) {
  inputs_.transport_maps = {{"inline:{both@mx.example.org=relay:[192.0.2.1]}", "main.cf", 1}};
  EXPECT_EQ(expand("both@mx.example.org"), "both@mx.example.org");
}

// What a sender who wants to hear of success is told: Postfix's cleanup and local(8) agree that one
// member is an expansion, too, and that a list with an owner was delivered to.
TEST_F(ExpandTest, KnowsWhatWasAnAlias) {
  using Change = Expansion::Change;
  expand({"plain@relay.tld", "both@mx.example.org", "list@mx.example.org", "ext@virtual.tld",
          "bare@virtual.tld", "root", "inner@mx.example.org"});
  const Change wanted[] = {Change::none,  Change::alias, Change::list, Change::alias,
                           Change::alias, Change::alias, Change::alias};
  for (uint32_t i = 0; i < std::size(wanted); ++i) EXPECT_EQ(expansion_.change(i), wanted[i]) << i;
  virtuals("{same@relay.tld=same@relay.tld}");
  expand({"same@relay.tld", "plain@relay.tld"});
  EXPECT_EQ(expansion_.change(0), Change::none);
  EXPECT_EQ(expansion_.change(1), Change::none);
}

}  // namespace
}  // namespace mx::policy
