// Access tables, deferred verdicts and restriction classes: results, codes and texts of access(5).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/policy/decide.h"

namespace mx::policy {
namespace {

using smtp::Stage;

Tokens list(const std::vector<std::string>& words) {
  Tokens tokens;
  for (const std::string& word : words)
    tokens.push_back({word, "main.cf", static_cast<uint32_t>(tokens.size() + 1)});
  return tokens;
}

// inline:{…} with one entry.
std::string table(const std::string& key, const std::string& value) {
  return "inline:{{" + key + "=" + value + "}}";
}

class AccessTest : public testing::Test {
 protected:
  AccessTest() {
    inputs_.relay_domains = list({"relay.tld"});
    inputs_.mynetworks = list({"127.0.0.0/8"});
    inputs_.myorigin = inputs_.mydomain = "example.org";
    inputs_.recipient_delimiter = "+";
    inputs_.recipient = list({"reject_unauth_destination"});
  }

  Decision decide_at(Stage stage, std::string_view argument) {
    TableStore tables;
    auto policy = compile(inputs_, tables);
    for (const ConfigError& error : policy ? std::vector<ConfigError>{} : policy.error())
      ADD_FAILURE() << error.text;
    SessionFacts facts;
    facts.client = {.name = name_,
                    .address_text = "198.51.100.7",
                    .address = *parse_ip_address("198.51.100.7"),
                    .reverse_name = "ptr.client.example"};
    facts.helo = helo_;
    facts.pipelining_abuse = pipelined_;
    smtp::Transaction transaction;
    transaction.start(sender_, {});
    for (const std::string& one : accepted_) transaction.add_recipient(one);
    return decide(*policy, facts, {stage, argument}, transaction, WallTime{});
  }
  static std::string text(const Decision& decision) {
    const smtp::Verdict& v = decision.verdict;
    if (v.permitted()) return "250";
    return std::to_string(v.code) + " " + std::to_string(v.enhanced.status) + "." +
           std::to_string(v.enhanced.subject) + "." + std::to_string(v.enhanced.detail) + " " +
           std::string(v.text.view());
  }
  std::string rcpt(std::string_view recipient = "user@relay.tld") {
    return text(decide_at(Stage::rcpt, recipient));
  }
  // What a sender table with this result answers.
  std::string result(const std::string& value) {
    inputs_.sender = list({"check_sender_access", table("a@client.example", value)});
    return rcpt();
  }

  PolicyInputs inputs_;
  std::string name_ = "mail.client.example", helo_ = "mail.client.example";
  std::string sender_ = "a@client.example";
  std::vector<std::string> accepted_;
  bool pipelined_ = false;
};

TEST_F(AccessTest, results_of_a_table) {
  const std::string sender = "<a@client.example>: Sender address rejected: ";
  EXPECT_EQ(result("OK"), "250");
  EXPECT_EQ(result("relay"), "250");
  EXPECT_EQ(result("1234"), "250");
  EXPECT_EQ(result("550"), "250");  // all digits
  EXPECT_EQ(result("DUNNO"), "250");
  EXPECT_EQ(result("REJECT"), "554 5.7.1 " + sender + "Access denied");
  EXPECT_EQ(result("reject go away"), "554 5.7.1 " + sender + "go away");
  EXPECT_EQ(result("REJECT 5.1.1 go away"), "554 5.1.7 " + sender + "go away");
  EXPECT_EQ(result("REJECT 4.2.2 x"), "554 5.2.2 " + sender + "x");
  EXPECT_EQ(result("DEFER"), "450 4.7.1 " + sender + "Access denied");
  EXPECT_EQ(result("550 no"), "550 5.7.1 " + sender + "no");
  EXPECT_EQ(result("421 4.3.2 busy"), "421 4.3.2 " + sender + "busy");
  EXPECT_EQ(result("250 no code of a refusal"), "450 4.7.1 Service unavailable");
  EXPECT_EQ(result("DEFER_IF_PERMIT"), "450 4.7.1 " + sender + "Service unavailable");
  EXPECT_EQ(result("DEFER_IF_REJECT"), "250");
  EXPECT_EQ(result("FILTER smtp:[x]"), "451 4.3.5 Server configuration error");
  EXPECT_EQ(result("HOLD"), "250");
  EXPECT_EQ(result("bogus_restriction"), "451 4.3.5 Server configuration error");
  EXPECT_EQ(result("reject_unauth_destination, reject"), "554 5.7.1 " + sender + "Access denied");
  EXPECT_EQ(result("check_sender_access hash:/x"), "451 4.3.5 Server configuration error");
}

TEST_F(AccessTest, codes_can_be_changed) {
  inputs_.codes.access_map_reject = 521;
  inputs_.codes.access_map_defer = 421;
  EXPECT_EQ(result("REJECT"),
            "521 5.7.1 <a@client.example>: Sender address rejected: Access denied");
  EXPECT_EQ(result("DEFER"),
            "421 4.7.1 <a@client.example>: Sender address rejected: Access denied");
}

TEST_F(AccessTest, an_ok_ends_its_list_only) {
  inputs_.sender = list({"check_sender_access", table("a@client.example", "OK"), "reject"});
  EXPECT_EQ(rcpt(), "250");
  EXPECT_EQ(rcpt("user@foreign.tld"), "554 5.7.1 <user@foreign.tld>: Relay access denied");
}

TEST_F(AccessTest, keys_are_those_of_what_is_looked_up) {
  const auto refused = [&](const std::string& check, const std::string& key) {
    inputs_.sender = list({check, table(key, "REJECT")});
    const std::string reply = rcpt("user+ext@relay.tld");
    return reply == "250" ? "" : reply.substr(10, reply.find(" rejected:") - 10);
  };
  EXPECT_EQ(refused("check_client_access", "mail.client.example"),
            "<mail.client.example[198.51.100.7]>: Client host");
  EXPECT_EQ(refused("check_client_access", "198.51"),
            "<mail.client.example[198.51.100.7]>: Client host");
  EXPECT_EQ(refused("check_client_access", ".client.example"),
            "<mail.client.example[198.51.100.7]>: Client host");
  EXPECT_EQ(refused("check_client_access", "client.example"), "");  // dot style
  EXPECT_EQ(refused("check_reverse_client_hostname_access", "ptr.client.example"),
            "<ptr.client.example>: Unverified Client host");
  EXPECT_EQ(refused("check_helo_access", "mail.client.example"),
            "<mail.client.example>: Helo command");
  EXPECT_EQ(refused("check_sender_access", "client.example"), "<a@client.example>: Sender address");
  EXPECT_EQ(refused("check_sender_access", "a@"), "<a@client.example>: Sender address");
  EXPECT_EQ(refused("check_recipient_access", "user@relay.tld"),
            "<user+ext@relay.tld>: Recipient address");
  EXPECT_EQ(refused("check_recipient_access", "user+ext@"),
            "<user+ext@relay.tld>: Recipient address");
  inputs_.sender = list({"check_recipient_access", "regexp:{{/^\"us er\"@/ REJECT}}"});
  EXPECT_EQ(rcpt("\"us er\"@relay.tld").substr(0, 3), "554");
  inputs_.parent_domain_matches_subdomains = list({"smtpd_access_maps"});
  EXPECT_EQ(refused("check_client_access", "example"),
            "<mail.client.example[198.51.100.7]>: Client host");
  sender_ = "";
  EXPECT_EQ(refused("check_sender_access", "<>"), "<>: Sender address");
  inputs_.null_access_lookup_key = "nobody";
  EXPECT_EQ(refused("check_sender_access", "nobody"), "<>: Sender address");
}

TEST_F(AccessTest, a_reverse_name_forbids_and_never_permits) {
  inputs_.sender =
      list({"check_reverse_client_hostname_access", table("ptr.client.example", "OK")});
  EXPECT_EQ(rcpt(), "451 4.3.5 Server configuration error");
}

TEST_F(AccessTest, a_table_without_a_name_is_about_what_its_list_is_about) {
  const Tokens bare = list({table("mail.client.example", "REJECT")});
  inputs_.client = bare;
  EXPECT_EQ(rcpt().substr(0, 60), "554 5.7.1 <mail.client.example[198.51.100.7]>: Client host r");
  inputs_.client.clear();
  inputs_.helo = bare;
  EXPECT_EQ(rcpt(), "554 5.7.1 <mail.client.example>: Helo command rejected: Access denied");
  inputs_.helo.clear();
  inputs_.sender = list({table("a@client.example", "REJECT")});
  EXPECT_EQ(rcpt(), "554 5.7.1 <a@client.example>: Sender address rejected: Access denied");
  inputs_.sender.clear();
  inputs_.relay = list({table("user@relay.tld", "REJECT")});
  EXPECT_EQ(rcpt(), "554 5.7.1 <user@relay.tld>: Recipient address rejected: Access denied");
}

TEST_F(AccessTest, a_table_that_fails_is_a_451) {
  inputs_.sender = list({"warn_if_reject", "check_sender_access", "fail:x"});
  EXPECT_EQ(rcpt(),
            "451 4.3.5 <a@client.example>: Sender address rejected: Server configuration error");
}

TEST_F(AccessTest, the_first_deferral_counts_unless_something_rejects) {
  inputs_.client =
      list({"check_client_access", table("mail.client.example", "DEFER_IF_PERMIT 4.2.0 first")});
  inputs_.sender = list({"defer_if_permit", "permit"});
  const std::string first =
      "450 4.0.0 <mail.client.example[198.51.100.7]>: Client host rejected: first";
  EXPECT_EQ(rcpt(), "450 4.2.0" + first.substr(9));
  EXPECT_EQ(rcpt("user@foreign.tld"), "554 5.7.1 <user@foreign.tld>: Relay access denied");
}

TEST_F(AccessTest, defer_if_reject_softens_what_follows_in_its_list) {
  inputs_.sender = list({"defer_if_reject", "reject"});
  EXPECT_EQ(rcpt(),
            "450 4.7.0 <a@client.example>: Sender address rejected: defer_if_reject requested");
  inputs_.sender = list({"defer_if_reject"});
  EXPECT_EQ(rcpt("user@foreign.tld"), "554 5.7.1 <user@foreign.tld>: Relay access denied");
  inputs_.sender = list({"defer_if_permit", "defer_if_reject", "reject"});
  EXPECT_EQ(rcpt(),
            "450 4.7.0 <a@client.example>: Sender address rejected: defer_if_permit requested");
}

TEST_F(AccessTest, warn_if_reject_only_notes) {
  inputs_.sender = list({"warn_if_reject", "reject", "defer"});
  const Decision decision = decide_at(Stage::rcpt, "user@relay.tld");
  EXPECT_EQ(text(decision),
            "450 4.3.2 <a@client.example>: Sender address rejected: Try again later");
  ASSERT_EQ(decision.effects.notes.size(), 1U);
  EXPECT_EQ(decision.effects.notes[0].kind, "reject_warning");
  EXPECT_EQ(decision.effects.notes[0].text,
            "554 5.7.1 <a@client.example>: Sender address rejected: Access denied");
  inputs_.sender = list({"warn_if_reject", "defer_if_permit"});
  EXPECT_EQ(rcpt(), "250");
}

TEST_F(AccessTest, classes_are_evaluated_in_place) {
  inputs_.classes = {{{"strict", "main.cf", 7}, list({"permit_mynetworks", "reject"})},
                     {{"loose", "main.cf", 8}, list({"permit"})},
                     {{"endless", "main.cf", 9}, list({"endless"})},
                     {{"by_table", "main.cf", 10}, list({table("a@client.example", "strict")})}};
  const std::string refused =
      "554 5.7.1 <a@client.example>: Sender address rejected: Access denied";
  inputs_.sender = list({"strict"});
  EXPECT_EQ(rcpt(), refused);
  inputs_.sender = list({"loose", "reject"});
  EXPECT_EQ(rcpt(), "250");
  inputs_.sender = list({"by_table"});
  EXPECT_EQ(rcpt(), refused);
  inputs_.sender = list({"endless"});
  EXPECT_EQ(rcpt(), "451 4.3.5 Server configuration error");
  EXPECT_EQ(result("strict"), refused);
  inputs_.data = list({"by_table"});
  inputs_.sender.clear();
  EXPECT_EQ(text(decide_at(Stage::data, "")), "451 4.3.5 Server configuration error");
}

TEST_F(AccessTest, effects_on_the_message) {
  inputs_.sender =
      list({"check_sender_access", table("a@client.example", "PREPEND X-A: b"),
            "check_sender_access", table("a@client.example", "BCC copy@relay.tld"),
            "check_sender_access", table("a@client.example", "REDIRECT x@relay.tld"),
            "check_sender_access", table("a@client.example", "PREPEND no header"),
            "check_sender_access", table("a@client.example", "BCC incomplete"),
            "check_sender_access", table("a@client.example", "INFO hello"), "sleep", "2"});
  const Decision decision = decide_at(Stage::rcpt, "user@relay.tld");
  EXPECT_EQ(text(decision), "250");
  EXPECT_EQ(decision.effects.prepend, "X-A: b\r\n");
  EXPECT_EQ(decision.effects.bcc, std::vector<std::string>{"copy@relay.tld"});
  EXPECT_EQ(decision.effects.redirect, "x@relay.tld");
  EXPECT_EQ(decision.effects.sleep, seconds(2));
  ASSERT_EQ(decision.effects.notes.size(), 5U);
  EXPECT_EQ(decision.effects.notes[4].text, "<a@client.example>: Sender address hello");
  EXPECT_FALSE(decision.effects.discard);
  // There is no message yet when VRFY asks.
  EXPECT_EQ(decide_at(Stage::vrfy, "user@relay.tld").effects.prepend, "");
}

TEST_F(AccessTest, discard_accepts_whatever_follows) {
  inputs_.sender = list({"check_sender_access", table("a@client.example", "DISCARD")});
  const Decision decision = decide_at(Stage::rcpt, "user@foreign.tld");
  EXPECT_EQ(text(decision), "250");
  EXPECT_TRUE(decision.effects.discard);
}

TEST_F(AccessTest, helo_names) {
  inputs_.helo = list({"reject_invalid_helo_hostname", "reject_non_fqdn_helo_hostname"});
  const auto helo = [&](const std::string& name) {
    helo_ = name;
    const std::string reply = rcpt();
    return reply == "250" ? reply : reply.substr(0, 10) + reply.substr(reply.rfind(": ") + 2);
  };
  EXPECT_EQ(helo("???"), "501 5.5.2 Invalid name");
  EXPECT_EQ(helo("localhost"), "504 5.5.2 need fully-qualified hostname");
  EXPECT_EQ(helo("1.2.3.4"), "504 5.5.2 need fully-qualified hostname");
  EXPECT_EQ(helo("[1.2.3.4]"), "250");
  EXPECT_EQ(helo("[IPv6:::1]"), "250");
  EXPECT_EQ(helo("[1.2.3]"), "501 5.5.2 invalid ip address");
  EXPECT_EQ(helo("[::1]"), "501 5.5.2 invalid ip address");
  EXPECT_EQ(helo("a.b."), "250");
}

TEST_F(AccessTest, pipelining_bounces_and_plain_text) {
  inputs_.data = list({"reject_unauth_pipelining", "reject_multi_recipient_bounce"});
  pipelined_ = true;
  EXPECT_EQ(text(decide_at(Stage::data, "")),
            "503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining");
  pipelined_ = false;
  sender_ = "";
  accepted_ = {"a@relay.tld"};
  EXPECT_EQ(text(decide_at(Stage::data, "")), "250");
  accepted_.emplace_back("b@relay.tld");
  EXPECT_EQ(text(decide_at(Stage::data, "")),
            "550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce");
  inputs_.sender = list({"reject_plaintext_session"});
  EXPECT_EQ(rcpt(), "450 4.7.1 Session encryption is required");
}

TEST_F(AccessTest, virtual_aliases_and_senders_of_ours) {
  inputs_.virtual_alias_domains = list({"virtual.tld"});
  inputs_.virtual_alias_maps = list({table("known@virtual.tld", "user@relay.tld")});
  EXPECT_EQ(rcpt("known@virtual.tld"), "250");
  EXPECT_EQ(rcpt("known+x@virtual.tld"), "250");
  EXPECT_EQ(rcpt("other@virtual.tld"),
            "550 5.1.1 <other@virtual.tld>: Recipient address rejected: User unknown in virtual "
            "alias table");
  inputs_.reject_unlisted_sender = true;
  sender_ = "other@virtual.tld";
  EXPECT_EQ(rcpt(),
            "550 5.1.7 <other@virtual.tld>: Sender address rejected: User unknown in virtual alias "
            "table");
}

}  // namespace
}  // namespace mx::policy
