// The reference configuration's restrictions, row by row: what a client is told at RCPT, and the
// first row that fits counts. Answers of DNS and of the policy service are given as facts.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "engine/policy/decide.h"

namespace mx::policy {
namespace {

using smtp::Stage;

Tokens list(const std::string& words) {
  Tokens tokens;
  std::istringstream in(words);
  for (std::string word; in >> word;) tokens.push_back({word, "main.cf", 1});
  return tokens;
}

class DecisionTable : public testing::Test {
 protected:
  DecisionTable() {
    PolicyInputs in;
    in.recipient_delimiter = "+";
    in.myhostname = in.mydomain = in.myorigin = "mx.domain.tld";
    in.mydestination = list("mx.domain.tld");
    in.mynetworks = list("127.0.0.0/8");
    in.relay_domains = list("inline:{domain.tld=x}");
    in.relay_recipient_maps = list("inline:{user@domain.tld=x}");
    in.relay_clientcerts = list("inline:{aa:bb=backup}");
    in.alias_maps = list("inline:{postmaster=user@domain.tld}");
    in.local_recipient_maps = in.alias_maps;
    in.parent_domain_matches_subdomains = list("debug_peer_list");
    in.sender = list(
        "permit_mynetworks permit_tls_clientcerts check_client_access inline:{192.0.2.1=OK} "
        "reject_non_fqdn_sender reject_non_fqdn_recipient reject_invalid_helo_hostname "
        "reject_non_fqdn_helo_hostname reject_unknown_sender_domain "
        "reject_unknown_recipient_domain reject_unauth_pipelining reject_unlisted_recipient "
        "reject_unknown_reverse_client_hostname check_client_access inline:{friend.tld=OK} "
        "check_policy_service inet:127.0.0.1:15000");
    in.recipient = list("reject_unauth_destination permit");
    in.relay_before_recipient = false;
    in.has_resolver = in.has_policy_client = true;
    TableStore tables;
    auto policy = compile(in, tables);
    for (const ConfigError& error : policy ? std::vector<ConfigError>{} : policy.error())
      ADD_FAILURE() << error.text;
    policy_ = std::move(*policy);
  }

  Decision run(const std::string& recipient) {
    SessionFacts session;
    session.client.name = name_;
    session.client.address_text = address_;
    session.client.address = *parse_ip_address(address_);
    session.client.reverse_status = reverse_;
    session.helo = helo_;
    session.pipelining_abuse = pipelined_;
    session.certificate.fingerprint = fingerprint_;
    session.facts.domains = domains_;
    const PolicyReply reply{0, recipient, service_};
    if (!service_.empty()) session.facts.replies = {&reply, 1};
    smtp::Transaction transaction;
    transaction.start(sender_, {});
    return decide(policy_, session, {Stage::rcpt, recipient}, transaction, WallTime{});
  }
  std::string rcpt(const std::string& recipient = "user@domain.tld") {
    const Decision decision = run(recipient);
    if (decision.kind == Decision::Kind::facts_needed) return "needs " + decision.needed->text;
    const smtp::Verdict& v = decision.verdict;
    if (v.permitted()) return "250";
    return std::to_string(v.code) + " " + std::to_string(v.enhanced.status) + "." +
           std::to_string(v.enhanced.subject) + "." + std::to_string(v.enhanced.detail) + " " +
           std::string(v.text.view());
  }

  Policy policy_;
  std::string name_ = "unknown", address_ = "198.51.100.7", helo_ = "mail.client.tld";
  std::string sender_ = "a@client.tld", fingerprint_, service_ = "DUNNO";
  NameStatus reverse_ = NameStatus::found;
  bool pipelined_ = false;
  std::vector<DomainFact> domains_ = {{"client.tld", DomainStatus::exists},
                                      {"domain.tld", DomainStatus::exists},
                                      {"foreign.tld", DomainStatus::exists}};
};

constexpr const char* unlisted =
    "550 5.1.1 <nobody@domain.tld>: Recipient address rejected: User unknown in relay recipient "
    "table";

TEST_F(DecisionTable, trusted_clients_skip_the_sender_list_but_may_not_relay_out) {
  const auto trusted = [&] {
    domains_.clear();  // nothing is asked
    EXPECT_EQ(rcpt(), "250");
    EXPECT_EQ(rcpt("x@foreign.tld"), "554 5.7.1 <x@foreign.tld>: Relay access denied");
    EXPECT_EQ(rcpt("nobody@domain.tld"), unlisted);
  };
  address_ = "127.0.0.1";
  trusted();
  address_ = "198.51.100.7";
  fingerprint_ = "AA:BB";
  trusted();
  fingerprint_.clear();
  address_ = "192.0.2.1";
  trusted();
}

TEST_F(DecisionTable, names_that_are_not_complete) {
  sender_ = "foo";
  EXPECT_EQ(rcpt(), "504 5.5.2 <foo>: Sender address rejected: need fully-qualified address");
  sender_ = "foo@bar";
  EXPECT_EQ(rcpt(), "504 5.5.2 <foo@bar>: Sender address rejected: need fully-qualified address");
  sender_ = "a@client.tld";
  EXPECT_EQ(rcpt("bar@host"),
            "504 5.5.2 <bar@host>: Recipient address rejected: need fully-qualified address");
  helo_ = "?\?\?";
  EXPECT_EQ(rcpt(), "501 5.5.2 <?\?\?>: Helo command rejected: Invalid name");
  helo_ = "localhost";
  EXPECT_EQ(rcpt(), "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname");
  helo_ = "1.2.3.4";
  EXPECT_EQ(rcpt(), "504 5.5.2 <1.2.3.4>: Helo command rejected: need fully-qualified hostname");
  helo_ = "[1.2.3.4]";
  EXPECT_EQ(rcpt(), "250");
}

TEST_F(DecisionTable, domains) {
  DomainFact& sender = domains_[0];
  sender.status = DomainStatus::pending;
  EXPECT_EQ(rcpt(), "needs client.tld");
  sender.status = DomainStatus::not_found;
  EXPECT_EQ(rcpt(), "450 4.1.8 <a@client.tld>: Sender address rejected: Domain not found");
  sender.status = DomainStatus::null_mx;
  EXPECT_EQ(rcpt(),
            "550 5.7.27 <a@client.tld>: Sender address rejected: Domain client.tld does not accept "
            "mail (nullMX)");
  // No answer: only when everything else would permit.
  sender.status = DomainStatus::tempfail;
  EXPECT_EQ(rcpt(), "450 4.1.8 <a@client.tld>: Sender address rejected: Domain not found");
  EXPECT_EQ(rcpt("x@foreign.tld"), "554 5.7.1 <x@foreign.tld>: Relay access denied");
  EXPECT_EQ(rcpt("nobody@domain.tld"), unlisted);
  sender_ = "";
  EXPECT_EQ(rcpt(), "250");
  domains_[1].status = DomainStatus::not_found;  // also of a domain of ours
  EXPECT_EQ(rcpt(), "450 4.1.2 <user@domain.tld>: Recipient address rejected: Domain not found");
}

TEST_F(DecisionTable, clients) {
  pipelined_ = true;
  EXPECT_EQ(rcpt(),
            "503 5.5.0 <a@client.tld>: Sender address rejected: Improper use of SMTP command "
            "pipelining");
  pipelined_ = false;
  EXPECT_EQ(rcpt("nobody@domain.tld"), unlisted);
  EXPECT_EQ(rcpt("nobody@mx.domain.tld"),
            "550 5.1.1 <nobody@mx.domain.tld>: Recipient address rejected: User unknown in local "
            "recipient table");
  reverse_ = NameStatus::not_found;
  EXPECT_EQ(rcpt(),
            "450 4.7.1 Client host rejected: cannot find your reverse hostname, [198.51.100.7]");
  reverse_ = NameStatus::found;
  service_.clear();
  name_ = "friend.tld";
  EXPECT_EQ(rcpt(), "250");  // without asking the policy service
  name_ = "mail.friend.tld";
  EXPECT_EQ(rcpt(), "needs user@domain.tld");
}

TEST_F(DecisionTable, the_policy_service) {
  for (const char* permits : {"DUNNO", "OK", "PREPEND X-A: b"}) {
    service_ = permits;
    EXPECT_EQ(rcpt(), "250") << permits;
    EXPECT_EQ(rcpt("x@foreign.tld"), "554 5.7.1 <x@foreign.tld>: Relay access denied") << permits;
  }
  EXPECT_EQ(run("user@domain.tld").effects.prepend, "X-A: b\r\n");
  service_ = "DEFER_IF_PERMIT Greylisted";
  EXPECT_EQ(rcpt(), "450 4.7.1 <a@client.tld>: Sender address rejected: Greylisted");
  service_ = "451 4.3.5 Server configuration problem";
  EXPECT_EQ(rcpt(),
            "451 4.3.5 <a@client.tld>: Sender address rejected: Server configuration problem");
  service_ = "REJECT";
  EXPECT_EQ(rcpt(), "554 5.7.1 <a@client.tld>: Sender address rejected: Access denied");
}

}  // namespace
}  // namespace mx::policy
