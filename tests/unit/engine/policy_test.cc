// The restriction engine against the texts and orders of Postfix.
#include "engine/policy/policy.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "engine/policy/decide.h"
#include "engine/policy/hostname.h"
#include "engine/policy/match_list.h"
#include "engine/policy/reply.h"
#include "engine/policy/resolve.h"
#include "maps/builder.h"

namespace mx::policy {
namespace {

using smtp::Stage;

Tokens words(std::string_view text) {
  Tokens tokens;
  uint32_t line = 1;
  while (!text.empty()) {
    const size_t size = std::min(text.find(' '), text.size());
    if (size != 0) tokens.push_back({std::string(text.substr(0, size)), "main.cf", line++});
    text.remove_prefix(std::min(size + 1, text.size()));
  }
  return tokens;
}

IpAddress ip(const char* text) {
  return parse_ip_address(text).value();
}

class PolicyTest : public testing::Test {
 protected:
  PolicyTest() {
    std::string pattern = testing::TempDir() + "policyXXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    inputs_.mydestination = words("mx.example.org localhost");
    inputs_.relay_domains = words("relay.tld !not.dot.tld .dot.tld");
    inputs_.mynetworks = words("127.0.0.0/8 [::1]/128 trusted.example");
    inputs_.myorigin = inputs_.mydomain = "example.org";
    inputs_.own_addresses = {ip("192.0.2.1"), ip("2001:db8::1")};
    inputs_.recipient_delimiter = "+";
    inputs_.recipient = words("reject_unauth_destination");
  }
  ~PolicyTest() override { std::filesystem::remove_all(directory_); }

  std::string compile_table(const std::string& name, const std::vector<std::string>& keys) {
    maps::TableBuilder builder;
    for (const std::string& key : keys) builder.add(key, "x");
    const auto built = std::move(builder).build(1, {});
    EXPECT_TRUE(io::write_file_atomically(directory_ + "/" + name + ".phm", built->bytes, 0644)
                    .has_value());
    return "hash:" + directory_ + "/" + name;
  }

  void compile_policy() {
    TableStore tables;
    auto compiled = compile(inputs_, tables);
    for (const ConfigError& error : compiled ? std::vector<ConfigError>{} : compiled.error())
      ADD_FAILURE() << error.text;
    policy_ = std::move(*compiled);
  }
  std::string errors() {
    TableStore tables;
    const auto compiled = compile(inputs_, tables);
    std::string out;
    if (!compiled)
      for (const ConfigError& error : compiled.error())
        out += error.file + ":" + std::to_string(error.line) + ": " + error.text + "\n";
    return out;
  }

  // The reply to a question, "250" when it is permitted.
  std::string ask(Stage stage, std::string_view argument) {
    if (!policy_) compile_policy();
    smtp::Transaction transaction;
    if (started_) transaction.start(sender_, {});
    for (const std::string& recipient : accepted_) transaction.add_recipient(recipient);
    SessionFacts facts;
    facts.client = client_;
    facts.helo = helo_;
    const Decision decision = decide(*policy_, facts, {stage, argument}, transaction, WallTime{});
    EXPECT_EQ(decision.kind, Decision::Kind::verdict);
    const smtp::Verdict& v = decision.verdict;
    if (v.permitted()) return "250";
    return std::to_string(v.code) + " " + std::to_string(v.enhanced.status) + "." +
           std::to_string(v.enhanced.subject) + "." + std::to_string(v.enhanced.detail) + " " +
           std::string(v.text.view());
  }
  std::string rcpt(std::string_view recipient) { return ask(Stage::rcpt, recipient); }

  std::string directory_;
  PolicyInputs inputs_;
  std::optional<Policy> policy_;
  Client client_{.address_text = "198.51.100.7", .address = ip("198.51.100.7")};
  std::string helo_ = "client.example";
  std::string sender_ = "sender@client.example";
  bool started_ = true;
  std::vector<std::string> accepted_;
};

TEST_F(PolicyTest, relays_to_our_domains_only) {
  EXPECT_EQ(rcpt("user@relay.tld"), "250");
  EXPECT_EQ(rcpt("user@RELAY.tld"), "250");
  EXPECT_EQ(rcpt("user@a.dot.tld"), "250");
  EXPECT_EQ(rcpt("user@relay.tld."), "250");
  EXPECT_EQ(rcpt("user@foreign.tld"), "554 5.7.1 <user@foreign.tld>: Relay access denied");
  EXPECT_EQ(rcpt("user@dot.tld"), "554 5.7.1 <user@dot.tld>: Relay access denied");
  EXPECT_EQ(rcpt("user@not.dot.tld"), "554 5.7.1 <user@not.dot.tld>: Relay access denied");
  EXPECT_EQ(rcpt("user@sub.relay.tld"), "554 5.7.1 <user@sub.relay.tld>: Relay access denied");
}

TEST_F(PolicyTest, defers_with_454_on_request) {
  inputs_.recipient = words("defer_unauth_destination");
  EXPECT_EQ(rcpt("user@foreign.tld"), "454 4.7.1 <user@foreign.tld>: Relay access denied");
  EXPECT_EQ(rcpt("user@relay.tld"), "250");
}

TEST_F(PolicyTest, matches_subdomains_where_the_parameter_is_listed) {
  inputs_.parent_domain_matches_subdomains = words("relay_domains");
  EXPECT_EQ(rcpt("user@sub.relay.tld"), "250");
  EXPECT_EQ(rcpt("user@xrelay.tld"), "554 5.7.1 <user@xrelay.tld>: Relay access denied");
}

TEST_F(PolicyTest, never_routes_through_itself) {
  for (const char* address :
       {"user%foreign.tld@relay.tld", "foreign.tld!user@relay.tld",
        "user%foreign.tld@mx.example.org", "user@foreign.tld@mx.example.org", "foreign.tld!user",
        "user%foreign.tld", "a@b@relay.tld", "user%foreign.tld%mx.example.org@mx.example.org"})
    EXPECT_EQ(rcpt(address), "554 5.7.1 <" + std::string(address) + ">: Relay access denied");
  EXPECT_EQ(rcpt("\"user@foreign.tld\"@relay.tld"),
            "554 5.7.1 <user@foreign.tld@relay.tld>: Relay access denied");
  EXPECT_EQ(rcpt("\"user%foreign.tld\"@relay.tld"),
            "554 5.7.1 <user%foreign.tld@relay.tld>: Relay access denied");
  EXPECT_EQ(rcpt("user%relay.tld@mx.example.org"), "250");
  std::string deep = "user";
  for (int i = 0; i < 30; ++i) deep += "%localhost";
  EXPECT_EQ(rcpt(deep + "@localhost"), "554 5.7.1 <" + deep + "@localhost>: Relay access denied");
}

TEST_F(PolicyTest, refuses_routing_operators_that_only_others_follow) {
  inputs_.swap_bangpath = inputs_.allow_percent_hack = false;
  for (const char* address : {"user%foreign.tld@relay.tld", "a!b@relay.tld", "a%b@localhost",
                              "user%relay.tld@mx.example.org", "a@b@relay.tld"})
    EXPECT_EQ(rcpt(address), "554 5.7.1 <" + std::string(address) + ">: Relay access denied");
  policy_->allow_untrusted_routing = true;
  EXPECT_EQ(rcpt("a!b@relay.tld"), "250");
  EXPECT_EQ(rcpt("\"a@b\"@relay.tld"), "250");
}

TEST_F(PolicyTest, completes_addresses_before_it_classifies_them) {
  inputs_.mydestination = words("example.org");
  inputs_.relay_domains = words("host.example.org");
  inputs_.append_dot_mydomain = true;
  const std::string unknown = " Recipient address rejected: User unknown in local recipient table";
  EXPECT_EQ(rcpt("user"), "550 5.1.1 <user>:" + unknown);
  EXPECT_EQ(rcpt("user@[192.0.2.1]"), "550 5.1.1 <user@[192.0.2.1]>:" + unknown);
  EXPECT_EQ(rcpt("user@[IPv6:2001:db8::1]"), "550 5.1.1 <user@[IPv6:2001:db8::1]>:" + unknown);
  EXPECT_EQ(rcpt("user@[192.0.2.2]"), "554 5.7.1 <user@[192.0.2.2]>: Relay access denied");
  EXPECT_EQ(rcpt("user@host"), "250");
  policy_->append_dot_mydomain = false;
  EXPECT_EQ(rcpt("user@host"), "554 5.7.1 <user@host>: Relay access denied");
}

TEST_F(PolicyTest, knows_the_recipients_of_relay_domains) {
  inputs_.relay_recipient_maps =
      words(compile_table("addresses", {"user@relay.tld", "\"a b\"@relay.tld", "plain x@relay.tld",
                                        "full+ext@relay.tld", "@a.dot.tld", "other@mx.example.org",
                                        "bare", "list-x@relay.tld"}));
  EXPECT_EQ(rcpt("user@relay.tld"), "250");
  EXPECT_EQ(rcpt("User+Ext@Relay.TLD"), "250");
  EXPECT_EQ(rcpt("user+@relay.tld"), "250");
  EXPECT_EQ(rcpt("full+ext@relay.tld"), "250");
  EXPECT_EQ(rcpt("anyone@a.dot.tld"), "250");
  EXPECT_EQ(rcpt("\"a b\"@relay.tld"), "250");
  EXPECT_EQ(rcpt("\"plain x\"@relay.tld"), "250");
  EXPECT_EQ(rcpt("\"user\"@relay.tld"), "250");
  const auto unknown = [](const std::string& address) {
    return "550 5.1.1 <" + address +
           ">: Recipient address rejected: User unknown in relay recipient table";
  };
  for (const char* address : {"nobody@relay.tld", "full@relay.tld", "user@b.dot.tld",
                              "bare@relay.tld", "list@relay.tld", "+user@relay.tld"})
    EXPECT_EQ(rcpt(address), unknown(address));
  policy_->show_user_unknown_table_name = false;
  EXPECT_EQ(rcpt("nobody@relay.tld"),
            "550 5.1.1 <nobody@relay.tld>: Recipient address rejected: User unknown");
  policy_->codes.unknown_relay_recipient = 450;
  EXPECT_EQ(rcpt("nobody@relay.tld"),
            "450 4.1.1 <nobody@relay.tld>: Recipient address rejected: User unknown");
  policy_->codes.unknown_relay_recipient = 250;
  EXPECT_EQ(rcpt("nobody@relay.tld"), "450 4.7.1 Service unavailable");
}

// Postfix's smtpd works with addresses without quotes, and shows them so.
TEST_F(PolicyTest, shows_addresses_without_quotes) {
  inputs_.relay_recipient_maps = words(compile_table("addresses", {"user@relay.tld"}));
  EXPECT_EQ(rcpt("\"no body\"@relay.tld"),
            "550 5.1.1 <no body@relay.tld>: Recipient address rejected: User unknown in relay "
            "recipient table");
  EXPECT_EQ(rcpt("\"user@relay.tld\""), "250");
}

TEST_F(PolicyTest, checks_recipients_only_where_told_so) {
  inputs_.relay_recipient_maps = words(compile_table("addresses", {"user@relay.tld"}));
  inputs_.reject_unlisted_recipient = false;
  EXPECT_EQ(rcpt("nobody@relay.tld"), "250");
  inputs_.recipient = words("reject_unlisted_recipient reject_unauth_destination");
  policy_.reset();
  EXPECT_EQ(rcpt("nobody@relay.tld"),
            "550 5.1.1 <nobody@relay.tld>: Recipient address rejected: User unknown in relay "
            "recipient table");
  EXPECT_EQ(rcpt("nobody@foreign.tld"), "554 5.7.1 <nobody@foreign.tld>: Relay access denied");
}

TEST_F(PolicyTest, has_no_local_recipients) {
  EXPECT_EQ(rcpt("root@mx.example.org"),
            "550 5.1.1 <root@mx.example.org>: Recipient address rejected: User unknown in local "
            "recipient table");
}

TEST_F(PolicyTest, reads_domains_from_tables) {
  const std::string table = compile_table("domains", {"one.tld", ".dotted.tld", "parent.tld"});
  inputs_.relay_domains = words("!proxy:" + compile_table("not", {"x.dotted.tld"}) + " " + table);
  EXPECT_EQ(rcpt("a@one.tld"), "250");
  EXPECT_EQ(rcpt("a@b.c.dotted.tld"), "250");
  for (const char* domain : {"dotted.tld", "x.dotted.tld", "sub.parent.tld"})
    EXPECT_EQ(rcpt("a@" + std::string(domain)),
              "554 5.7.1 <a@" + std::string(domain) + ">: Relay access denied");
  inputs_.parent_domain_matches_subdomains = words("relay_domains");
  policy_.reset();
  EXPECT_EQ(rcpt("a@sub.parent.tld"), "250");
  inputs_.relay_domains.clear();
  inputs_.mydestination = words(table);
  policy_.reset();
  EXPECT_EQ(rcpt("a@sub.parent.tld"), "554 5.7.1 <a@sub.parent.tld>: Relay access denied")
      << "mydestination has no parents";
}

// A table whose checksums agree and whose slots point outside: look-ups in it fail temporarily.
TEST_F(PolicyTest, defers_when_a_lookup_fails) {
  const std::string name = "fail:on-purpose";
  const PolicyInputs sound = inputs_;
  inputs_.relay_domains = words(name);
  EXPECT_EQ(rcpt("user@relay.tld"), "451 4.3.0 <user@relay.tld>: Temporary lookup failure");
  inputs_ = sound;
  inputs_.mydestination = words(name);
  policy_.reset();
  EXPECT_EQ(rcpt("user@relay.tld"), "451 4.3.0 <user@relay.tld>: Temporary lookup failure");
  inputs_ = sound;
  inputs_.relay_recipient_maps = words(name);
  policy_.reset();
  EXPECT_EQ(rcpt("user@relay.tld"), "451 4.3.0 <user@relay.tld>: Temporary lookup failure");
  inputs_ = sound;
  inputs_.mynetworks = words(name);
  inputs_.client = words("permit_mynetworks");
  policy_.reset();
  client_ = {"unknown", "192.0.2.9", ip("192.0.2.9")};
  EXPECT_EQ(rcpt("user@relay.tld"), "451 4.3.0 <unknown[192.0.2.9]>: Temporary lookup failure");
}

// Postfix asks all tables for one key before the next key, and the first answer counts.
TEST_F(PolicyTest, asks_all_recipient_tables_for_one_key_before_the_next) {
  const std::string name = compile_table("recipients", {"user@relay.tld", "@relay.tld"});
  inputs_.relay_recipient_maps = words("inline:{other@relay.tld=x} " + name);
  EXPECT_EQ(rcpt("user@relay.tld"), "250");
  policy_.reset();
  inputs_.relay_recipient_maps = words(name + " fail:x");
  EXPECT_EQ(rcpt("user@relay.tld"), "250");
  EXPECT_EQ(rcpt("any@relay.tld"), "451 4.3.0 <any@relay.tld>: Temporary lookup failure");
  policy_.reset();
  inputs_.relay_recipient_maps = words("fail:x " + name);
  EXPECT_EQ(rcpt("user@relay.tld"), "451 4.3.0 <user@relay.tld>: Temporary lookup failure");
}

TEST_F(PolicyTest, an_ok_ends_its_own_list_only) {
  inputs_.client = words("permit");
  inputs_.sender = words("permit_mynetworks reject");
  client_ = {"localhost", "127.0.0.1", ip("127.0.0.1")};
  EXPECT_EQ(rcpt("user@foreign.tld"), "554 5.7.1 <user@foreign.tld>: Relay access denied");
  EXPECT_EQ(rcpt("user@relay.tld"), "250");
  client_ = {"unknown", "198.51.100.7", ip("198.51.100.7")};
  EXPECT_EQ(rcpt("user@relay.tld"),
            "554 5.7.1 <sender@client.example>: Sender address rejected: Access denied");
}

TEST_F(PolicyTest, permit_mynetworks_lets_our_clients_relay) {
  inputs_.relay = words("permit_mynetworks permit_sasl_authenticated defer_unauth_destination");
  inputs_.recipient.clear();
  client_ = {"unknown", "127.1.2.3", ip("127.1.2.3")};
  EXPECT_EQ(rcpt("user@foreign.tld"), "250");
  client_ = {"unknown", "::1", ip("::1")};
  EXPECT_EQ(rcpt("user@foreign.tld"), "250");
  client_ = {"Trusted.Example", "198.51.100.7", ip("198.51.100.7")};
  EXPECT_EQ(rcpt("user@foreign.tld"), "250");
  client_ = {"unknown", "::2", ip("::2")};
  EXPECT_EQ(rcpt("user@foreign.tld"), "454 4.7.1 <user@foreign.tld>: Relay access denied");
}

TEST_F(PolicyTest, says_the_class_of_the_list_that_rejects) {
  const auto only = [&](Tokens PolicyInputs::* list) {
    const PolicyInputs before = inputs_;
    inputs_.*list = words("reject");
    compile_policy();
    inputs_ = before;
    return rcpt("user@relay.tld");
  };
  EXPECT_EQ(only(&PolicyInputs::client),
            "554 5.7.1 <unknown[198.51.100.7]>: Client host rejected: Access denied");
  EXPECT_EQ(only(&PolicyInputs::helo),
            "554 5.7.1 <client.example>: Helo command rejected: Access denied");
  EXPECT_EQ(only(&PolicyInputs::sender),
            "554 5.7.1 <sender@client.example>: Sender address rejected: Access denied");
  EXPECT_EQ(only(&PolicyInputs::relay),
            "554 5.7.1 <user@relay.tld>: Recipient address rejected: Access denied");
  EXPECT_EQ(only(&PolicyInputs::recipient),
            "554 5.7.1 <user@relay.tld>: Recipient address rejected: Access denied");
  EXPECT_EQ(only(&PolicyInputs::data), "250");
  EXPECT_EQ(ask(Stage::data, ""), "554 5.7.1 <DATA>: Data command rejected: Access denied");
  only(&PolicyInputs::end_of_data);
  EXPECT_EQ(ask(Stage::data, ""), "250");
  EXPECT_EQ(ask(Stage::end_of_data, ""),
            "554 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: Access denied");
}

TEST_F(PolicyTest, evaluates_everything_at_rcpt_when_rejects_are_delayed) {
  inputs_.client = inputs_.helo = inputs_.sender = words("reject");
  EXPECT_EQ(ask(Stage::connect, ""), "250");
  EXPECT_EQ(ask(Stage::helo, "x"), "250");
  EXPECT_EQ(ask(Stage::mail, "a@b"), "250");
  EXPECT_EQ(rcpt("user@relay.tld"),
            "554 5.7.1 <unknown[198.51.100.7]>: Client host rejected: Access denied");
}

TEST_F(PolicyTest, evaluates_each_list_at_its_stage_when_they_are_not) {
  inputs_.client = inputs_.helo = inputs_.sender = words("reject");
  inputs_.delay_reject = false;
  started_ = false;
  EXPECT_EQ(ask(Stage::connect, ""),
            "554 5.7.1 <unknown[198.51.100.7]>: Client host rejected: Access denied");
  EXPECT_EQ(ask(Stage::helo, "new.example"),
            "554 5.7.1 <new.example>: Helo command rejected: Access denied");
  EXPECT_EQ(ask(Stage::mail, ""), "554 5.7.1 <>: Sender address rejected: Access denied");
  started_ = true;
  EXPECT_EQ(rcpt("user@relay.tld"), "250");
}

TEST_F(PolicyTest, skips_the_helo_list_without_helo_and_the_sender_list_without_sender) {
  inputs_.helo = inputs_.sender = words("reject");
  helo_.clear();
  started_ = false;
  EXPECT_EQ(ask(Stage::vrfy, "user@relay.tld"), "250");
  EXPECT_EQ(ask(Stage::vrfy, "user@foreign.tld"),
            "554 5.7.1 <user@foreign.tld>: Relay access denied");
  started_ = true;
  EXPECT_EQ(rcpt("user@relay.tld"),
            "554 5.7.1 <sender@client.example>: Sender address rejected: Access denied");
}

TEST_F(PolicyTest, evaluates_relay_and_recipient_lists_in_the_order_told) {
  inputs_.relay = words("reject_unauth_destination");
  inputs_.recipient = words("reject_non_fqdn_recipient");
  EXPECT_EQ(rcpt("user@host"), "554 5.7.1 <user@host>: Relay access denied");
  policy_->relay_before_recipient = false;
  EXPECT_EQ(rcpt("user@host"),
            "504 5.5.2 <user@host>: Recipient address rejected: need fully-qualified address");
}

TEST_F(PolicyTest, wants_fully_qualified_addresses) {
  inputs_.sender = words("reject_non_fqdn_sender reject_non_fqdn_recipient");
  for (const char* sender :
       {"", "a@b.c", "a@b.c.", "a@[192.0.2.1]", "\"a@x\"@b.c", "\"foo@b.c\""}) {
    sender_ = sender;
    EXPECT_EQ(rcpt("user@relay.tld"), "250") << sender;
  }
  for (const char* sender :
       {"foo", "foo@bar", "foo@b..c", "foo@-b.c", "foo@1.2", "foo@b.c..", "foo@"}) {
    sender_ = sender;
    EXPECT_EQ(rcpt("user@relay.tld"), "504 5.5.2 <" + sender_ +
                                          ">: Sender address rejected: need fully-qualified "
                                          "address");
  }
  sender_ = "a@b.c";
  EXPECT_EQ(rcpt("bar@host"),
            "504 5.5.2 <bar@host>: Recipient address rejected: need fully-qualified address");
}

TEST_F(PolicyTest, tells_data_restrictions_of_a_single_recipient_only) {
  inputs_.data = words("reject_non_fqdn_recipient");
  accepted_ = {"user@host"};
  EXPECT_EQ(ask(Stage::data, ""),
            "504 5.5.2 <user@host>: Recipient address rejected: need fully-qualified address");
  accepted_ = {"user@host", "user@host"};
  EXPECT_EQ(ask(Stage::data, ""), "250");
}

TEST_F(PolicyTest, makes_hostile_text_harmless_in_replies) {
  EXPECT_EQ(rcpt("a\r\nb\x7F\xC3\xA4@foreign.tld"),
            "554 5.7.1 <a  b   @foreign.tld>: Relay access denied");
  const std::string reply = rcpt(std::string(3000, 'x') + "@foreign.tld");
  EXPECT_EQ(reply.size(), 480 + std::string("554 5.7.1 ").size());
}

TEST_F(PolicyTest, refuses_restrictions_it_does_not_serve) {
  inputs_.sender = words(
      "reject_unknown_sender_domain check_sender_mx_access hash:/x reject_unkwown_sender_domain "
      "bogus # check_policy_service inet:127.0.0.1:1 check_helo_access word sleep x "
      "check_sender_access");
  inputs_.data = words("hash:/y");
  EXPECT_EQ(errors(),
            "main.cf:1: restriction \"reject_unknown_sender_domain\" is not supported yet\n"
            "main.cf:2: restriction \"check_sender_mx_access\" is not supported yet\n"
            "main.cf:4: unknown restriction \"reject_unkwown_sender_domain\"; did you mean "
            "reject_unknown_sender_domain?\n"
            "main.cf:5: unknown restriction \"bogus\"\n"
            "main.cf:6: #comment after other text is not allowed: \"#\"\n"
            "main.cf:7: restriction \"check_policy_service\" is not supported yet\n"
            "main.cf:10: restriction \"check_helo_access\" needs a table (type:name), not "
            "\"word\"\n"
            "main.cf:12: sleep needs a number of seconds of at most 3600, not \"x\"\n"
            "main.cf:13: restriction \"check_sender_access\" needs an argument\n"
            "main.cf:1: say what is to be looked up in \"hash:/y\": check_client_access, "
            "check_helo_access, check_sender_access or check_recipient_access before it\n");
}

TEST_F(PolicyTest, takes_old_names_and_any_case) {
  inputs_.recipient = words("Check_Recipient_Maps REJECT_UNAUTH_DESTINATION");
  compile_policy();
  ASSERT_EQ(policy_->recipient.size(), 2U);
  EXPECT_EQ(policy_->recipient[0].check, Check::unlisted_recipient);
  EXPECT_EQ(policy_->recipient[1].check, Check::unauth_destination);
}

TEST_F(PolicyTest, refuses_to_be_an_open_relay) {
  const std::string required =
      "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one "
      "working instance of: reject_unauth_destination, defer_unauth_destination, reject, defer, "
      "defer_if_permit\n";
  inputs_.recipient.clear();
  EXPECT_EQ(errors(), "main.cf:0: " + required);
  inputs_.recipient = words("permit_mynetworks permit reject_unauth_destination");
  EXPECT_EQ(errors(), "main.cf:1: " + required);
  inputs_.relay = words("defer_unauth_destination");
  EXPECT_EQ(errors(), "");
  inputs_.relay = words("permit_mynetworks reject");
  EXPECT_EQ(errors(), "");
}

TEST_F(PolicyTest, warns_of_restrictions_that_are_never_reached) {
  inputs_.recipient = words("reject_unauth_destination permit reject");
  compile_policy();
  ASSERT_EQ(policy_->warnings.size(), 1U);
  EXPECT_EQ(policy_->warnings[0].text, "restriction \"reject\" after \"permit\" is ignored");
  EXPECT_EQ(policy_->warnings[0].line, 3U);
}

TEST_F(PolicyTest, refuses_bad_list_elements) {
  inputs_.mynetworks = words("127.0.0.1/8 1.2.3 [::1 10.0.0.0/33 ::1 #x /file ! [2001:db8::1]/32");
  EXPECT_EQ(errors(),
            "main.cf:1: non-null host address bits in \"127.0.0.1/8\", perhaps you should use "
            "\"127.0.0.0/8\" instead\n"
            "main.cf:2: bad address pattern \"1.2.3\"\n"
            "main.cf:3: missing ']' in \"[::1\"\n"
            "main.cf:4: bad net/mask pattern \"10.0.0.0/33\"\n"
            "main.cf:5: an IPv6 address must be in brackets: \"::1\"\n"
            "main.cf:6: #comment after other text is not allowed\n"
            "main.cf:7: file /file in a list\n"
            "main.cf:8: no pattern after '!'\n"
            "main.cf:9: non-null host address bits in \"[2001:db8::1]/32\", perhaps you should use "
            "\"[2001:db8::]/32\" instead\n");
}

TEST_F(PolicyTest, names_the_command_that_makes_a_table_good) {
  const std::string name = compile_table("domains", {"relay.tld"});
  const std::string path = directory_ + "/domains.phm";
  const std::string remedy = "; run: mapc " + name + "\n";
  inputs_.relay_domains = words("proxy:" + name);
  EXPECT_EQ(errors(), "");
  std::filesystem::resize_file(path, 5000);
  EXPECT_EQ(errors(), "main.cf:1: table " + name + ": " + path +
                          " is truncated, or longer than its header says" + remedy);
  std::filesystem::resize_file(path, 0);
  EXPECT_EQ(errors(), "main.cf:1: table " + name + ": " + path +
                          " is too short for a compiled table" + remedy);
  std::filesystem::remove(path);
  EXPECT_EQ(errors(),
            "main.cf:1: table " + name + ": not compiled (" + path + " is missing)" + remedy);
  std::filesystem::create_directory(path);
  EXPECT_EQ(errors(), "main.cf:1: table " + name + ": read " + path + ": Is a directory" + remedy);
  inputs_.relay_domains = words("cidr:" + path + "x");
  EXPECT_EQ(errors(),
            "main.cf:1: table cidr:" + path + "x: open " + path + "x: No such file or directory\n");
}

TEST(IpNetwork, matches_leading_bits) {
  const auto in = [](const char* network, const char* address) {
    return IpNetwork::parse(network)->contains(ip(address));
  };
  EXPECT_TRUE(in("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(in("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(in("10.1.2.128/25", "10.1.2.200"));
  EXPECT_FALSE(in("10.1.2.128/25", "10.1.2.100"));
  EXPECT_TRUE(in("0.0.0.0/0", "1.2.3.4"));
  EXPECT_FALSE(in("0.0.0.0/0", "::1"));
  EXPECT_TRUE(in("1.2.3.4", "1.2.3.4"));
  EXPECT_FALSE(in("1.2.3.4", "1.2.3.5"));
  EXPECT_TRUE(in("[2001:db8::]/32", "2001:db8:1::1"));
  EXPECT_TRUE(in("[2001:db8::/32]", "2001:db8:1::1"));
  EXPECT_FALSE(in("[2001:db8::]/33", "2001:db8:8000::1"));
  EXPECT_TRUE(in("[::1]", "::1"));
}

TEST(valid_hostname, follows_postfix) {
  for (const char* name : {"a", "a.b", "a_b.c", "_a.b", "a-b.c", "1a.b", "1.b"})
    EXPECT_TRUE(valid_hostname(name)) << name;
  for (const char* name : {"", ".", "a.", ".a", "a..b", "-a", "a-", "a-.b", "a.-b", "1.2.3.4", "1",
                           "a b", "a/b", "ä.b"})
    EXPECT_FALSE(valid_hostname(name)) << name;
  EXPECT_TRUE(valid_hostname(std::string(63, 'a') + ".b"));
  EXPECT_FALSE(valid_hostname(std::string(64, 'a') + ".b"));
  std::string longest;
  while (longest.size() < 254) longest += "a.";
  EXPECT_TRUE(valid_hostname(longest + "a"));
  EXPECT_FALSE(valid_hostname(longest + "aa"));
}

}  // namespace
}  // namespace mx::policy
