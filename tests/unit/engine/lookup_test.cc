// The rules of Postfix's smtp_addr.c and of RFC 5321 5.1, without a name server: a Zone answers.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "engine/config/addresses.h"
#include "engine/relay/lookup.h"

namespace mx::relay {
namespace {

using dns::Answer;
using dns::Outcome;
using dns::Type;

struct Zone {
  std::map<std::string, Answer> answers;  // by "MX name"; missing: there is no such name
  config::LookupSettings settings;
  Self self{"mx.self.example",
            {config::listen_address(*parse_ip_address("192.0.2.99"), 25),
             config::listen_address(*parse_ip_address("127.0.0.1"), 2525)},
            {*parse_ip_address("192.0.2.99")},
            25};
  bool ordered = true;

  Zone& mx(const std::string& name, uint16_t preference, const std::string& host) {
    Answer& answer = answers["MX " + name];
    answer.outcome = Outcome::found;
    answer.ttl = seconds(300);
    answer.exchanges.push_back({preference, host});
    return *this;
  }
  Zone& a(const std::string& name, std::string_view address, int64_t ttl = 300) {
    const IpAddress parsed = *parse_ip_address(address);
    Answer& answer = answers[(parsed.v6 ? "AAAA " : "A ") + name];
    answer.outcome = Outcome::found;
    answer.ttl = seconds(ttl);
    answer.addresses.push_back(parsed);
    return *this;
  }
  Zone& fails(const std::string& question) {
    answers[question].outcome = Outcome::failed;
    return *this;
  }
  Zone& has_no(const std::string& question) {
    answers[question].outcome = Outcome::no_data;
    return *this;
  }
  Targets look_up(std::string_view next_hops) const {
    Answer none;
    none.outcome = Outcome::no_name;
    const auto hosts = config::parse_next_hops(next_hops, 25, {});
    EXPECT_TRUE(hosts);
    Lookup lookup(*hosts, ordered, settings, self);
    for (int rounds = 0; !lookup.questions().empty(); ++rounds) {
      EXPECT_LT(rounds, 2);
      std::vector<Answer> round;
      for (const dns::Question& q : lookup.questions()) {
        const auto found = answers.find(std::string(to_text(q.type)) + " " + q.name);
        round.push_back(found == answers.end() ? none : found->second);
      }
      lookup.resume(round);
    }
    return lookup.result();
  }
  // "0 host[1.2.3.4]:25" each, or "5.4.4 why".
  std::string text(std::string_view next_hops) const {
    const Targets targets = look_up(next_hops);
    std::string out;
    for (const Target& t : targets.list)
      out += std::to_string(t.rank) + " " + t.host + "[" + to_string(t.address) +
             "]:" + std::to_string(t.port) + "\n";
    if (!targets.list.empty()) return out;
    return std::to_string(targets.code.status) + "." + std::to_string(targets.code.subject) + "." +
           std::to_string(targets.code.detail) + " " + targets.why;
  }
};

TEST(Lookup, MailGoesByPreferenceAndEqualOnesAreEqual) {
  Zone zone;
  zone.mx("d.example", 20, "c.example").mx("d.example", 10, "a.example");
  zone.mx("d.example", 10, "b.example");
  zone.a("a.example", "192.0.2.1").a("a.example", "192.0.2.2", 60).a("b.example", "192.0.2.3");
  zone.a("c.example", "192.0.2.4").a("c.example", "2001:db8::4");
  EXPECT_EQ(zone.text("d.example:26"),
            "0 a.example[192.0.2.1]:26\n0 a.example[192.0.2.2]:26\n0 b.example[192.0.2.3]:26\n"
            "1 c.example[192.0.2.4]:26\n1 c.example[2001:db8::4]:26\n");
  EXPECT_EQ(zone.look_up("d.example").ttl, seconds(60));
  zone.settings.randomize = false;
  EXPECT_EQ(zone.look_up("d.example").list[2].rank, 2U);
}

TEST(Lookup, AFamilyMayBePreferredOrOff) {
  Zone zone;
  zone.a("h.example", "192.0.2.1").a("h.example", "2001:db8::1");
  zone.settings.preference = config::AddressPreference::ipv6;
  EXPECT_EQ(zone.text("[h.example]"), "0 h.example[2001:db8::1]:25\n1 h.example[192.0.2.1]:25\n");
  zone.settings.ipv6 = false;
  EXPECT_EQ(zone.text("[h.example]"), "0 h.example[192.0.2.1]:25\n");
}

TEST(Lookup, BracketsAskForNoMx) {
  Zone zone;
  zone.mx("h.example", 10, "other.example").a("h.example", "192.0.2.1");
  EXPECT_EQ(zone.text("[h.example]:26"), "0 h.example[192.0.2.1]:26\n");
  EXPECT_EQ(zone.text("[192.0.2.7]"), "0 192.0.2.7[192.0.2.7]:25\n");
  zone.settings.mx = false;  // disable_dns_lookups
  EXPECT_EQ(zone.text("h.example"), "0 h.example[192.0.2.1]:25\n");
}

TEST(Lookup, WithoutMxTheNameItselfCounts) {
  Zone zone;
  zone.a("h.example", "192.0.2.1");
  EXPECT_EQ(zone.text("h.example"), "0 h.example[192.0.2.1]:25\n");
  zone.has_no("MX h.example");
  EXPECT_EQ(zone.text("h.example"), "0 h.example[192.0.2.1]:25\n");
}

TEST(Lookup, WhatIsWrongIsTold) {
  Zone zone;
  zone.settings.ipv6 = false;
  EXPECT_EQ(zone.text("no.example"),
            "5.4.4 Host or domain name not found. Name service error for name=no.example type=A: "
            "Host not found");
  zone.mx("null.example", 0, "");
  EXPECT_EQ(zone.text("null.example"), "5.1.0 Domain null.example does not accept mail (nullMX)");
  zone.fails("MX soft.example");
  EXPECT_EQ(zone.text("soft.example"),
            "4.4.3 Host or domain name not found. Name service error for name=soft.example "
            "type=MX: Host not found, try again");
  zone.a("soft.example", "192.0.2.1");
  zone.settings.ignore_mx_error = true;
  EXPECT_EQ(zone.text("soft.example"), "0 soft.example[192.0.2.1]:25\n");
}

TEST(Lookup, MxHostsWithoutAddress) {
  Zone zone;
  zone.settings.ipv6 = false;
  zone.mx("d.example", 10, "gone.example").mx("d.example", 20, "b.example");
  zone.a("b.example", "192.0.2.3");
  EXPECT_EQ(zone.text("d.example"), "0 b.example[192.0.2.3]:25\n");
  zone.answers.erase("A b.example");
  EXPECT_EQ(zone.look_up("d.example").code, (smtp::EnhancedCode{5, 4, 4}));
  zone.settings.defer_without_address = true;
  EXPECT_EQ(zone.look_up("d.example").code, (smtp::EnhancedCode{4, 4, 4}));
  zone.settings.defer_without_address = false;
  zone.fails("A gone.example");  // may come back: nothing is bounced
  EXPECT_EQ(zone.look_up("d.example").code, (smtp::EnhancedCode{4, 4, 3}));
}

TEST(Lookup, AHostThatCanNotBeLookedUpNowIsAskedForAgainSoon) {
  Zone zone;
  zone.mx("d.example", 10, "gone.example").mx("d.example", 20, "b.example");
  zone.a("b.example", "192.0.2.3", 3600).fails("A gone.example");
  zone.answers["MX d.example"].ttl = seconds(3600);
  EXPECT_EQ(zone.text("d.example"), "0 b.example[192.0.2.3]:25\n");
  EXPECT_EQ(zone.look_up("d.example").ttl, seconds(60));
}

TEST(Lookup, OurselvesEndTheList) {
  Zone zone;
  zone.mx("d.example", 10, "a.example").mx("d.example", 20, "us.example");
  zone.mx("d.example", 20, "peer.example").mx("d.example", 30, "worse.example");
  zone.a("a.example", "192.0.2.1").a("us.example", "192.0.2.99").a("peer.example", "192.0.2.2");
  zone.a("worse.example", "192.0.2.3");
  EXPECT_EQ(zone.text("d.example"), "0 a.example[192.0.2.1]:25\n");
  zone.answers.erase("A a.example");  // the better one has no address: not 5.4.6
  EXPECT_EQ(zone.text("d.example"), "4.4.4 unable to find primary relay for d.example");
  Zone by_name;
  by_name.mx("d.example", 10, "mx.self.example").a("mx.self.example", "192.0.2.1");
  EXPECT_EQ(by_name.text("d.example"), "5.4.6 mail for d.example loops back to myself");
}

TEST(Lookup, EveryFormOfOurselvesIsKnown) {
  for (const char* address : {"192.0.2.99", "::ffff:192.0.2.99"}) {
    Zone zone;
    zone.mx("d.example", 10, "a.example").a("a.example", address);
    EXPECT_EQ(zone.text("d.example"), "5.4.6 mail for d.example loops back to myself") << address;
  }
  for (const char* address : {"127.0.0.1", "0.0.0.0"}) {
    Zone zone;
    zone.a("a.example", address);
    EXPECT_EQ(zone.text("a.example:2525"), "5.4.6 mail for a.example loops back to myself");
    EXPECT_EQ(zone.text("a.example:2526"),
              "0 a.example[" + std::string(address) + "]:2526\n");  // somebody else
  }
  Zone everywhere;
  everywhere.self.listen = {config::listen_address({}, 2525),
                            config::listen_address({.v6 = true, .bytes = {}}, 2525)};
  for (const char* address : {"127.8.8.8", "0.0.0.0", "::1", "::", "192.0.2.99"}) {
    Zone zone = everywhere;
    zone.a("a.example", address);
    EXPECT_EQ(zone.text("[a.example]:2525"), "5.4.6 mail for a.example loops back to myself")
        << address;
  }
}

TEST(Lookup, AListIsTriedInOrderOrSharesTheMail) {
  Zone zone;
  zone.mx("d.example", 5, "a.example").mx("d.example", 6, "b.example");
  zone.a("a.example", "192.0.2.1").a("b.example", "192.0.2.2").a("c.example", "192.0.2.3");
  EXPECT_EQ(zone.text("d.example, [c.example]:26"),
            "0 a.example[192.0.2.1]:25\n1 b.example[192.0.2.2]:25\n2 c.example[192.0.2.3]:26\n");
  zone.ordered = false;
  EXPECT_EQ(zone.text("d.example, [c.example]:26"),
            "0 a.example[192.0.2.1]:25\n0 c.example[192.0.2.3]:26\n1 b.example[192.0.2.2]:25\n");
  zone.answers.erase("A c.example");
  EXPECT_NE(zone.look_up("d.example, [c.example]:26").warning, "");
  EXPECT_EQ(zone.look_up("[x.example], [c.example]:26").code, (smtp::EnhancedCode{5, 4, 4}));
  zone.fails("A x.example");
  EXPECT_EQ(zone.look_up("[x.example], [c.example]:26").code, (smtp::EnhancedCode{4, 4, 3}));
}

}  // namespace
}  // namespace mx::relay
