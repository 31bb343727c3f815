#include "maps/cidr.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proto/base/limits.h"
#include "proto/base/prng.h"

namespace mx::maps {
namespace {

struct Compiled {
  CidrTable table;
  std::string complaints;  // `3 ignored: text` lines
};

Compiled compile(std::string_view source) {
  std::vector<SourceDiagnostic> diagnostics;
  Compiled out{CidrTable::compile(source, diagnostics), {}};
  for (const SourceDiagnostic& d : diagnostics) {
    const char* fault = d.fault == SourceFault::warning   ? " warning: "
                        : d.fault == SourceFault::ignored ? " ignored: "
                                                          : " limit: ";
    out.complaints += std::to_string(d.line) + fault + d.text + "\n";
  }
  return out;
}

std::string ask(const CidrTable& table, std::string_view key) {
  const Lookup lookup = table.find(key);
  return lookup.is_hit() ? std::string(lookup.value) : "-";
}

TEST(CidrTable, first_rule_that_matches_decides) {
  const Compiled c = compile(
      "# comment\n"
      "192.0.2.1  OK  inside\n"
      "192.0.2.0/24\tREJECT\n"
      "  with more text\n"
      "192.0.2.128/25 never\n"
      "[2001:db8::]/32 six\n"
      "[2001:db9::/32] too\n"
      "0.0.0.0/0 rest");
  EXPECT_EQ(c.complaints, "");
  EXPECT_EQ(c.table.rule_count(), 6U);
  EXPECT_EQ(ask(c.table, "192.0.2.0"), "REJECT  with more text");
  EXPECT_EQ(ask(c.table, "192.0.2.1"), "OK  inside");
  EXPECT_EQ(ask(c.table, "192.0.2.255"), "REJECT  with more text");
  EXPECT_EQ(ask(c.table, "192.0.3.0"), "rest");
  EXPECT_EQ(ask(c.table, "255.255.255.255"), "rest");
  EXPECT_EQ(ask(c.table, "2001:db8:ffff::1"), "six");
  EXPECT_EQ(ask(c.table, "2001:db9::"), "too");
  EXPECT_EQ(ask(c.table, "2001:dba::"), "-");
  EXPECT_EQ(ask(c.table, "::ffff:192.0.2.1"), "-");  // an IPv6 address, as in Postfix
}

TEST(CidrTable, keys_that_are_no_addresses_miss) {
  const Compiled c = compile("0.0.0.0/0 a\n::/0 b\n");
  for (const char* key :
       {"", "example.org", "1.2.3", "1.2.3.4/32", "[::1]", "fe80::1%eth0", "1.2.3.4 "})
    EXPECT_EQ(ask(c.table, key), "-") << key;
  EXPECT_EQ(ask(c.table, "1.2.3.4"), "a");
  EXPECT_EQ(ask(c.table, "::1"), "b");
  EXPECT_EQ(ask(CidrTable(), "1.2.3.4"), "-");
  EXPECT_EQ(ask(compile("").table, "::1"), "-");
}

TEST(CidrTable, negation_holds_for_the_family_only) {
  const Compiled c = compile("! !!10.0.0.0/8 outside\n10.1.0.0/16 inside\n!::/0 never\n");
  EXPECT_EQ(c.complaints, "");
  EXPECT_EQ(ask(c.table, "9.255.255.255"), "outside");
  EXPECT_EQ(ask(c.table, "10.0.0.0"), "-");
  EXPECT_EQ(ask(c.table, "10.1.2.3"), "inside");
  EXPECT_EQ(ask(c.table, "11.0.0.0"), "outside");
  EXPECT_EQ(ask(c.table, "::1"), "-");
}

TEST(CidrTable, if_encloses_rules_and_other_ifs) {
  const Compiled c = compile(
      "if 10.0.0.0/8\n"
      "IF !10.1.0.0/16\n"
      "10.0.0.0/9 a\n"
      "endif\n"
      "10.1.0.0/24 b\n"
      "192.0.2.1 never\n"
      "EndIf\n"
      "::/0 six\n"
      "10.0.0.0/8 c\n"
      "if 192.0.2.0/24\n"
      "0.0.0.0/0 open\n");
  EXPECT_EQ(c.complaints, "10 warning: IF has no matching ENDIF\n");
  EXPECT_EQ(ask(c.table, "10.0.5.5"), "a");
  EXPECT_EQ(ask(c.table, "10.1.0.5"), "b");
  EXPECT_EQ(ask(c.table, "10.1.1.5"), "c");
  EXPECT_EQ(ask(c.table, "10.200.0.0"), "c");
  EXPECT_EQ(ask(c.table, "192.0.2.1"), "open");
  EXPECT_EQ(ask(c.table, "192.0.3.1"), "-");
  EXPECT_EQ(ask(c.table, "::1"), "six");
}

// The words are those of Debian's postmap for the same source.
TEST(CidrTable, complains_as_postfix_does) {
  EXPECT_EQ(compile("1.2.3.4/24 x\n1.2.3.4/33 x\n1.2.3/24 x\n1.2.3.0/2x x\n1.2.3.0/ y\n1.2.3 y\n"
                    "[1.2.3.0/24] ok1\n[::1]/128 ok2\n[::1 x\n[::1]x y\n::1/64 x\n"
                    "if 10.0.0.0/8 foo\nif\nif !\n10.0.0.0/8\nendif x\nendif\n!\n"
                    "if 1.2.3.4\n cont\n10.0.0.0/256 x\n")
                .complaints,
            "1 ignored: non-null host address bits in \"1.2.3.4/24\", perhaps you should use "
            "\"1.2.3.0/24\" instead: skipping this rule\n"
            "2 ignored: bad mask length in \"1.2.3.4/33\": skipping this rule\n"
            "3 ignored: bad network value in \"1.2.3/24\": skipping this rule\n"
            "4 ignored: bad mask value in \"1.2.3.0/2x\": skipping this rule\n"
            "5 ignored: bad mask value in \"1.2.3.0/\": skipping this rule\n"
            "6 ignored: bad address pattern: \"1.2.3\": skipping this rule\n"
            "9 ignored: missing ']' character after \"[::1\": skipping this rule\n"
            "10 ignored: garbage after \"[::1]\": skipping this rule\n"
            "11 ignored: non-null host address bits in \"::1/64\", perhaps you should use "
            "\"::/64\" instead: skipping this rule\n"
            "12 ignored: bad mask value in \"10.0.0.0/8 foo\": skipping this rule\n"
            "13 ignored: no address pattern: skipping this rule\n"
            "14 ignored: no address pattern: skipping this rule\n"
            "15 ignored: no lookup result: skipping this rule\n"
            "16 ignored: garbage after ENDIF: skipping this rule\n"
            "17 ignored: ENDIF without IF: skipping this rule\n"
            "18 ignored: no address pattern: skipping this rule\n"
            "19 ignored: bad address pattern: \"1.2.3.4 cont\": skipping this rule\n"
            "21 ignored: bad mask length in \"10.0.0.0/256\": skipping this rule\n");
}

TEST(CidrTable, ifs_nest_to_a_limit) {
  std::string source;
  for (uint32_t i = 0; i < limits::table_if_depth_max; ++i) source += "if 10.0.0.0/8\n";
  const std::string end = "10.0.0.0/8 deep\n";
  EXPECT_EQ(ask(compile(source + end).table, "10.9.9.9"), "deep");
  EXPECT_EQ(compile(source + end).complaints.find("limit"), std::string::npos);
  EXPECT_NE(compile(source + "if 10.0.0.0/8\n" + end).complaints.find("101 limit: more than 100"),
            std::string::npos);
}

// --- Against the rules read one after the other, as Postfix does.

struct Rule {
  enum class Op { match, open, close } op;
  IpNetwork network;
  bool affirmative = true;
  std::string value;
};

std::string naive(const std::vector<Rule>& rules, const IpAddress& address) {
  for (size_t i = 0; i < rules.size(); ++i) {
    const Rule& rule = rules[i];
    if (rule.op == Rule::Op::close) continue;
    const bool holds =
        rule.network.address.v6 == address.v6 && rule.network.contains(address) == rule.affirmative;
    if (rule.op == Rule::Op::match && holds) return rule.value;
    if (rule.op == Rule::Op::match || holds) continue;
    for (size_t depth = 1; depth > 0;) {
      if (++i == rules.size()) return "-";
      if (rules[i].op == Rule::Op::open) ++depth;
      if (rules[i].op == Rule::Op::close) --depth;
    }
  }
  return "-";
}

// Few different bits, so that networks lie in one another and side by side.
IpNetwork random_network(Prng& random) {
  IpAddress address{.v6 = random.below(3) == 0, .bytes = {}};
  if (address.v6) {
    address.bytes[0] = static_cast<uint8_t>(random.below(2) * 0x20);
    address.bytes[1] = static_cast<uint8_t>(random.below(4));
    address.bytes[7] = static_cast<uint8_t>(random.below(4) * 85);
    address.bytes[8] = static_cast<uint8_t>(random.below(2) * 0xFF);
    address.bytes[15] = static_cast<uint8_t>(random.below(4));
  } else {
    const uint8_t firsts[] = {0, 10, 10, 255};
    address.bytes[0] = firsts[random.below(4)];
    address.bytes[1] = static_cast<uint8_t>(random.below(4) * 85);
    address.bytes[3] = static_cast<uint8_t>(random.below(8));
  }
  const uint64_t whole = address.bits();
  const uint64_t bits = random.below(2) == 0 ? whole - random.below(6) : random.below(whole + 1);
  return {masked(address, bits), static_cast<uint8_t>(bits)};
}

IpAddress step(IpAddress address, bool up) {
  for (size_t i = address.bits() / 8; i-- > 0;) {
    address.bytes[i] = static_cast<uint8_t>(address.bytes[i] + (up ? 1 : 255));
    if (address.bytes[i] != (up ? 0 : 255)) break;
  }
  return address;
}

// First and last address of the network, and their neighbours (around the end of the space too).
std::vector<IpAddress> boundaries(const IpNetwork& network) {
  IpAddress last = network.address;
  for (size_t bit = network.prefix_bits; bit < last.bits(); ++bit)
    last.bytes[bit / 8] |= static_cast<uint8_t>(0x80U >> bit % 8);
  const IpAddress first = network.address;
  return {first, last, step(first, false), step(first, true), step(last, false), step(last, true)};
}

TEST(CidrTable, answers_as_the_rules_read_one_by_one) {
  Prng random(7);
  size_t asked = 0;
  std::set<std::string> seen;
  for (int round = 0; round < 400; ++round) {
    std::vector<Rule> rules;
    std::string source;
    const uint64_t count = 1 + random.below(round % 10 == 0 ? 400 : 40);
    size_t depth = 0;
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t kind = random.below(10);
      Rule rule{Rule::Op::match, random_network(random), random.below(6) != 0, {}};
      const std::string pattern = std::string(rule.affirmative ? "" : "!") +
                                  to_string(rule.network.address) + "/" +
                                  std::to_string(rule.network.prefix_bits);
      if (kind == 0 && depth > 0) {
        rule.op = Rule::Op::close;
        source += "endif\n";
        --depth;
      } else if (kind == 1) {
        rule.op = Rule::Op::open;
        source += "if " + pattern + "\n";
        ++depth;
      } else {
        rule.value = "v" + std::to_string(random.below(count));
        source += pattern + " " + rule.value + "\n";
      }
      rules.push_back(rule);
    }
    const Compiled c = compile(source);
    EXPECT_EQ(c.complaints.find("ignored"), std::string::npos) << c.complaints;
    for (const Rule& rule : rules) {
      for (const IpAddress& address : boundaries(rule.network)) {
        const std::string expected = naive(rules, address);
        ASSERT_EQ(ask(c.table, to_string(address)), expected) << to_string(address) << "\n"
                                                              << source;
        seen.insert(expected);
        ++asked;
      }
    }
  }
  EXPECT_GT(asked, 50'000U);
  EXPECT_GT(seen.size(), 100U);
}

TEST(CidrTable, source_cut_at_every_byte_compiles) {
  const std::string source =
      "if !10.0.0.0/8\n1.0.0.0/8 a\n [::1]/128 x\nendif\n!::/0 b\n1.2.3.4 c\n";
  for (size_t size = 0; size <= source.size(); ++size) {
    const Compiled c = compile(source.substr(0, size));
    if (size == source.size()) {
      EXPECT_EQ(ask(c.table, "1.2.3.4"), "a [::1]/128 x");
    }
    EXPECT_EQ(ask(c.table, "10.1.1.1"), "-");
  }
}

}  // namespace
}  // namespace mx::maps
