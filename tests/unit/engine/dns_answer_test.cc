#include <gtest/gtest.h>

#include <string>

#include "engine/dns/answer.h"
#include "proto/base/limits.h"

namespace mx::dns {
namespace {

using namespace std::string_literals;

std::string u16(uint32_t n) {
  return {static_cast<char>(n >> 8), static_cast<char>(n)};
}

std::string name(std::string_view text) {
  std::string wire;
  while (!text.empty()) {
    const size_t dot = std::min(text.find('.'), text.size());
    wire += static_cast<char>(dot);
    wire += text.substr(0, dot);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return wire + '\0';
}

constexpr uint32_t type_a = 1, type_cname = 5, type_mx = 15, type_aaaa = 28;

std::string record(std::string_view owner, uint32_t type, uint32_t ttl, const std::string& data) {
  return name(owner) + u16(type) + u16(1) + u16(ttl >> 16) + u16(ttl & 0xffff) +
         u16(static_cast<uint32_t>(data.size())) + data;
}

std::string mx(std::string_view owner, uint32_t preference, std::string_view host,
               uint32_t ttl = 300) {
  return record(owner, type_mx, ttl, u16(preference) + name(host));
}

// A response of `count` records, to a question for `asked`.
std::string message(std::string_view asked, uint32_t type, uint32_t count,
                    const std::string& records, uint32_t rcode = 0) {
  return u16(1) + u16(0x8180 | rcode) + u16(1) + u16(count) + u16(0) + u16(0) + name(asked) +
         u16(type) + u16(1) + records;
}

Reading read_text(const std::string& wire, const Question& question) {
  return read(as_bytes(wire), question);
}

std::string to_string(const Answer& answer) {
  std::string text;
  for (const IpAddress& one : answer.addresses) text += mx::to_string(one) + " ";
  for (const MailExchanger& one : answer.exchanges)
    text += std::to_string(one.preference) + ":" + one.host + " ";
  return text;
}

const Question mx_question{"a.example", Type::mx};

TEST(DnsAnswer, SortsMxByPreferenceAndTakesTheSmallestTtl) {
  const Reading r = read_text(
      message("a.example", type_mx, 3,
              mx("a.example", 20, "Two.example", 500) + mx("A.EXAMPLE", 10, "one.example", 60) +
                  mx("a.example", 10, "also.example", 100)),
      mx_question);
  EXPECT_EQ(r.answer.outcome, Outcome::found);
  EXPECT_EQ(to_string(r.answer), "10:one.example 10:also.example 20:two.example ");
  EXPECT_EQ(r.answer.ttl, seconds(60));
  EXPECT_EQ(r.answer.why, "");
}

TEST(DnsAnswer, ReadsAddressesOfBothFamilies) {
  EXPECT_EQ(to_string(read_text(message("h.example", type_a, 1,
                                        record("h.example", type_a, 9, "\xc0\x00\x02\x01"s)),
                                {"h.example", Type::a})
                          .answer),
            "192.0.2.1 ");
  const std::string v6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01";
  EXPECT_EQ(
      to_string(read_text(message("h.example", type_aaaa, 1, record("h.example", type_aaaa, 9, v6)),
                          {"h.example", Type::aaaa})
                    .answer),
      "2001:db8::1 ");
}

TEST(DnsAnswer, TellsNoNameNoDataAndFailureApart) {
  const auto outcome = [](uint32_t rcode) {
    return read_text(message("a.example", type_mx, 0, "", rcode), mx_question).answer.outcome;
  };
  EXPECT_EQ(outcome(0), Outcome::no_data);
  EXPECT_EQ(outcome(3), Outcome::no_name);
  EXPECT_EQ(outcome(2), Outcome::failed);
  EXPECT_EQ(outcome(5), Outcome::failed);
}

TEST(DnsAnswer, TheRootIsNullMx) {
  const Reading r =
      read_text(message("a.example", type_mx, 1, mx("a.example", 0, "")), mx_question);
  EXPECT_EQ(to_string(r.answer), "0: ");
}

TEST(DnsAnswer, FollowsAliasesInTheMessageAndNamesThoseThatLeadOut) {
  const std::string alias = record("a.example", type_cname, 30, name("b.example"));
  Reading r = read_text(message("a.example", type_mx, 2, alias + mx("b.example", 1, "m.example")),
                        mx_question);
  EXPECT_EQ(to_string(r.answer), "1:m.example ");
  EXPECT_EQ(r.answer.ttl, seconds(30));
  r = read_text(message("a.example", type_mx, 1, alias), mx_question);
  EXPECT_EQ(r.answer.outcome, Outcome::no_data);
  EXPECT_EQ(r.alias, "b.example");
}

TEST(DnsAnswer, RecordsOfOtherNamesAreNotBelieved) {
  const Reading r =
      read_text(message("a.example", type_mx, 1, mx("evil.example", 1, "m.example")), mx_question);
  EXPECT_EQ(r.answer.outcome, Outcome::no_data);
}

TEST(DnsAnswer, AliasesThatGoInCirclesAreAFailure) {
  const Reading r = read_text(message("a.example", type_mx, 2,
                                      record("a.example", type_cname, 30, name("b.example")) +
                                          record("b.example", type_cname, 30, name("a.example"))),
                              mx_question);
  EXPECT_EQ(r.answer.outcome, Outcome::failed);
}

TEST(DnsAnswer, ALongChainOfAliasesIsAFailure) {
  std::string records;
  const auto link = [](uint32_t i) { return "n" + std::to_string(i) + ".example"; };
  for (uint32_t i = 0; i < 100; ++i)
    records += record(i == 0 ? "a.example" : link(i), type_cname, 30, name(link(i + 1)));
  const Reading r = read_text(
      message("a.example", type_mx, 101, records + mx(link(100), 1, "m.example")), mx_question);
  EXPECT_EQ(r.answer.outcome, Outcome::failed);
}

TEST(DnsAnswer, NamesThatAreNoHostNamesAreLeftOut) {
  Reading r = read_text(message("a.example", type_mx, 3,
                                mx("a.example", 1, "good.example") + mx("a.example", 2, "1.2.3.4") +
                                    mx("a.example", 3, "x\n;$(y).example")),
                        mx_question);
  EXPECT_EQ(to_string(r.answer), "1:good.example ");
  EXPECT_EQ(r.answer.why, "MX a.example: 2 records were left out: 2 malformed, 0 too many");
  r = read_text(message("a.example", type_mx, 1, mx("a.example", 1, "a b.example")), mx_question);
  EXPECT_EQ(r.answer.outcome, Outcome::failed);
}

TEST(DnsAnswer, OfAThousandRecordsTheBestAreTaken) {
  std::string records;
  for (uint32_t i = 0; i < 1000; ++i)
    records += mx("a.example", 1000 - i, "m" + std::to_string(i) + ".example");
  const Reading r = read_text(message("a.example", type_mx, 1000, records), mx_question);
  ASSERT_EQ(r.answer.exchanges.size(), limits::dns_records_max);
  EXPECT_EQ(r.answer.exchanges.front().host, "m999.example");
  EXPECT_EQ(r.answer.why, "MX a.example: 900 records were left out: 0 malformed, 900 too many");
}

TEST(DnsAnswer, AQuestionIsNoAnswer) {
  std::string wire = message("a.example", type_mx, 0, "");
  EXPECT_EQ(read_text(wire, mx_question).answer.outcome, Outcome::no_data);
  wire[2] = 1;  // without QR: our question, reflected
  EXPECT_EQ(read_text(wire, mx_question).answer.outcome, Outcome::failed);
}

// V70: what lies about its lengths and counts is no answer at all.
TEST(DnsAnswer, BrokenMessagesAreFailures) {
  const std::string good = message("a.example", type_mx, 1, mx("a.example", 1, "m.example"));
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_EQ(read_text(good.substr(0, length), mx_question).answer.outcome, Outcome::failed)
        << length;
  const std::string owner = name("a.example");
  const std::string head = owner + u16(type_mx) + u16(1) + u16(0) + u16(300);
  for (const std::string& data :
       {""s, "\0"s, "\0\1"s, "\0\1\3"s,                 // too short for an MX
        "\0\1\xc0\xff"s, "\0\1\xc0\x35"s,               // pointers: out of it, to itself
        "\0\1\x40"s + std::string(64, 'x') + "\0"s}) {  // a label of 64
    const std::string wire =
        message("a.example", type_mx, 1, head + u16(static_cast<uint32_t>(data.size())) + data);
    EXPECT_EQ(read_text(wire, mx_question).answer.outcome, Outcome::failed) << data.size();
  }
  EXPECT_EQ(
      read_text(message("a.example", type_mx, 7, mx("a.example", 1, "m.example")), mx_question)
          .answer.outcome,
      Outcome::failed);
  std::string long_name;
  for (int i = 0; i < 5; ++i) long_name += (i == 0 ? "" : ".") + std::string(60, 'a');
  EXPECT_EQ(read_text(message("a.example", type_mx, 1, mx("a.example", 1, long_name)), mx_question)
                .answer.outcome,
            Outcome::failed);
}

}  // namespace
}  // namespace mx::dns
