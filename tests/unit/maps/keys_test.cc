#include "maps/keys.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mx::maps {
namespace {

using List = std::vector<std::string>;

// Each key; one that a pattern table is not asked for has a `~` in front.
template <typename Generate>
List all(Generate generate) {
  KeyList keys;
  generate(keys);
  List out;
  for (const Key& key : keys.keys())
    out.push_back((key.partial ? "~" : "") + std::string(key.text));
  return out;
}

List keys(std::string_view local, std::string_view domain, bool is_local, const char* delimiters) {
  return all(
      [&](KeyList& out) { address_keys(out, local, domain, is_local, Delimiter{delimiters}); });
}

TEST(address_keys, come_in_postfix_order) {
  EXPECT_EQ(keys("User+Ext", "Domain.TLD", false, "+"),
            (List{"user+ext@domain.tld", "~user@domain.tld", "~@domain.tld"}));
  EXPECT_EQ(keys("user+ext", "here", true, "+"),
            (List{"user+ext@here", "~user@here", "~user+ext", "~user", "~@here"}));
  EXPECT_EQ(keys("user", "here", true, "+"), (List{"user@here", "~user", "~@here"}));
  EXPECT_EQ(keys("user+ext", "d", false, ""), (List{"user+ext@d", "~@d"}));
}

TEST(address_keys, give_the_quoted_form_before_the_plain_one) {
  EXPECT_EQ(keys("a b+x", "d", false, "+"),
            (List{"\"a b+x\"@d", "a b+x@d", "~\"a b\"@d", "~a b@d", "~@d"}));
  EXPECT_EQ(keys("a b", "d", true, ""), (List{"\"a b\"@d", "a b@d", "~\"a b\"", "~a b", "~@d"}));
}

TEST(address_keys, leave_out_what_no_table_can_hold) {
  const std::string local(limits::table_key_bytes_max, 'x');
  EXPECT_EQ(keys(local, "d", true, ""), (List{"~" + local, "~@d"}));
}

TEST(Delimiter, splits_at_the_first_character_of_the_set) {
  const Delimiter plus{"+"};
  EXPECT_EQ(plus.split("user+ext"), 4U);
  EXPECT_EQ(plus.split("user+a+b"), 4U);
  EXPECT_EQ(plus.split("user+"), 4U);
  EXPECT_EQ(plus.split("user"), std::nullopt);
  EXPECT_EQ(plus.split("user-ext"), std::nullopt);
  const Delimiter set{"+-"};
  EXPECT_EQ(set.split("user-a+b"), 4U);
  EXPECT_EQ(set.split("us+er-a"), 2U);
  EXPECT_EQ(Delimiter{}.split("user+ext"), std::nullopt);
}

TEST(Delimiter, leaves_special_names_whole) {
  const Delimiter set{"+-e"};
  EXPECT_EQ(set.split("postmaster"), std::nullopt);
  EXPECT_EQ(set.split("Mailer-Daemon"), std::nullopt);
  EXPECT_EQ(set.split("DOUBLE-BOUNCE"), std::nullopt);
  EXPECT_EQ(Delimiter{"+"}.split("postmaster+x"), 10U) << "only the exact name is special";
  const Delimiter dash{"-"};
  EXPECT_EQ(dash.split("Owner-list"), std::nullopt);
  EXPECT_EQ(dash.split("list-REQUEST"), std::nullopt);
  EXPECT_EQ(dash.split("-request"), std::nullopt);
  EXPECT_EQ(dash.split("-x"), std::nullopt) << "an empty user";
  EXPECT_EQ((Delimiter{"-", false}.split("owner-list")), 5U);
  EXPECT_EQ(Delimiter{"+"}.split("owner-list+x"), 10U) << "only with - in the set";
}

TEST(split_address, takes_the_last_at_outside_quotes) {
  const auto check = [](std::string_view address, std::string_view local, std::string_view domain,
                        bool has_domain) {
    const AddressParts parts = split_address(address);
    EXPECT_EQ(parts.local, local);
    EXPECT_EQ(parts.domain, domain);
    EXPECT_EQ(parts.has_domain, has_domain);
  };
  check("user@domain", "user", "domain", true);
  check("user", "user", "", false);
  check("\"a@b\"@c", "\"a@b\"", "c", true);
  check("\"a@b\"", "\"a@b\"", "", false);
  check("a@b@c", "a@b", "c", true);
  check("user@", "user", "", true);
  check("\"a\\\"@b\"@c", "\"a\\\"@b\"", "c", true);
  check("", "", "", false);
}

TEST(quote_local, and_unquote_are_inverse) {
  KeyText out;
  const auto unquoted = [&](std::string_view text) {
    EXPECT_TRUE(unquote_local(out, text));
    return std::string(out.view());
  };
  const auto quoted = [&](std::string_view text) {
    EXPECT_TRUE(quote_local(out, text));
    return std::string(out.view());
  };
  EXPECT_EQ(unquoted("\"a b\""), "a b");
  EXPECT_EQ(unquoted("\"abc\""), "abc");
  EXPECT_EQ(unquoted("\"a\\\"b\\\\\""), "a\"b\\");
  EXPECT_EQ(unquoted("a.b"), "a.b");
  EXPECT_EQ(unquoted("x\\"), "x\\");
  EXPECT_EQ(quoted("a.b"), "a.b");
  EXPECT_EQ(quoted("a b"), "\"a b\"");
  EXPECT_EQ(quoted("a..b"), "\"a..b\"");
  EXPECT_EQ(quoted(".a"), "\".a\"");
  EXPECT_EQ(quoted("a."), "\"a.\"");
  EXPECT_EQ(quoted(""), "\"\"");
  EXPECT_EQ(quoted("a\"b\\"), "\"a\\\"b\\\\\"");
  EXPECT_FALSE(quote_local(out, std::string(limits::table_key_bytes_max - 1, ' ')));
  EXPECT_TRUE(quote_local(out, std::string(limits::table_key_bytes_max - 2, ' ')));
}

TEST(domain_matches, follows_the_style_of_the_list) {
  constexpr auto parent = SubdomainStyle::parent;
  constexpr auto dot = SubdomainStyle::dot;
  EXPECT_TRUE(domain_matches("domain.tld", "domain.tld", parent));
  EXPECT_TRUE(domain_matches("domain.tld", "a.b.domain.tld", parent));
  EXPECT_FALSE(domain_matches("domain.tld", "xdomain.tld", parent));
  EXPECT_FALSE(domain_matches(".domain.tld", "a.domain.tld", parent));
  EXPECT_TRUE(domain_matches("domain.tld", "domain.tld", dot));
  EXPECT_FALSE(domain_matches("domain.tld", "a.domain.tld", dot));
  EXPECT_TRUE(domain_matches(".domain.tld", "a.b.domain.tld", dot));
  EXPECT_FALSE(domain_matches(".domain.tld", "domain.tld", dot));
  EXPECT_FALSE(domain_matches("", "domain.tld", parent));
  constexpr auto exact = SubdomainStyle::exact;
  EXPECT_TRUE(domain_matches("domain.tld", "domain.tld", exact));
  EXPECT_FALSE(domain_matches("domain.tld", "a.domain.tld", exact));
  EXPECT_FALSE(domain_matches(".domain.tld", "a.domain.tld", exact));
}

constexpr auto parent_style = SubdomainStyle::parent;
constexpr auto dot_style = SubdomainStyle::dot;
constexpr auto exact_style = SubdomainStyle::exact;

TEST(access_address_keys, are_address_then_domains_then_local_part) {
  const auto keys = [](std::string_view local, std::string_view domain, SubdomainStyle style) {
    return all(
        [&](KeyList& out) { access_address_keys(out, local, domain, style, Delimiter{"+"}); });
  };
  EXPECT_EQ(keys("User+Ext", "A.B.tld", parent_style),
            (List{"user+ext@a.b.tld", "~user@a.b.tld", "~a.b.tld", "~b.tld", "~tld", "~user+ext@",
                  "~user@"}));
  EXPECT_EQ(keys("user", "a.b.tld", dot_style),
            (List{"user@a.b.tld", "~a.b.tld", "~.b.tld", "~.tld", "~user@"}));
  EXPECT_EQ(keys("user", "192.0.2.1", dot_style), (List{"user@192.0.2.1", "~192.0.2.1", "~user@"}));
}

TEST(null_sender_keys, is_the_configured_key) {
  EXPECT_EQ(all([](KeyList& out) { null_sender_keys(out, "<>"); }), (List{"<>"}));
  EXPECT_EQ(all([](KeyList& out) { null_sender_keys(out, ""); }), (List{}));
}

TEST(domain_keys, are_the_name_then_its_parents) {
  const auto keys = [](std::string_view name, SubdomainStyle style) {
    return all([&](KeyList& out) { domain_keys(out, name, style); });
  };
  EXPECT_EQ(keys("A.b.c", parent_style), (List{"a.b.c", "~b.c", "~c"}));
  EXPECT_EQ(keys("A.b.c", dot_style), (List{"a.b.c", "~.b.c", "~.c"}));
  EXPECT_EQ(keys("a.b.c", exact_style), (List{"a.b.c"}));
  EXPECT_EQ(keys("c", dot_style), (List{"c"}));
  EXPECT_EQ(keys("", dot_style), (List{}));
  EXPECT_EQ(keys("a.", parent_style), (List{"a."}));
  EXPECT_EQ(keys("192.0.2.1", dot_style), (List{"192.0.2.1", "~.0.2.1", "~.2.1", "~.1"}))
      << "only access(5) knows numbers from names";
}

TEST(domain_keys, are_bounded_whatever_the_name) {
  for (const std::string_view label : {".", "a.", ".a", "..a"}) {
    std::string name;
    while (name.size() + label.size() <= limits::table_key_bytes_max) name += label;
    for (const auto style : {exact_style, parent_style, dot_style}) {
      const List list = all(
          [&](KeyList& out) { access_address_keys(out, "user+ext", name, style, Delimiter{"+"}); });
      EXPECT_LE(list.size(), limits::domain_bytes_max + 5) << label;
      for (const std::string& key : list) EXPECT_LE(key.size(), limits::table_key_bytes_max + 1);
      const List client =
          all([&](KeyList& out) { client_keys(out, name, "1:2:3:4:5:6:7:8", style); });
      EXPECT_EQ(client.back(), "~1");
      const List transport =
          all([&](KeyList& out) { transport_keys(out, "\"a b+c", name, style, Delimiter{"+"}); });
      EXPECT_EQ(transport.back(), "*");
    }
    EXPECT_TRUE(all([&](KeyList& out) { domain_keys(out, name + "long", dot_style); }).empty());
  }
}

TEST(domain_keys, leave_out_parents_that_are_no_domain_names) {
  const std::string parent = std::string(limits::domain_bytes_max - 4, 'p') + ".tld";
  EXPECT_EQ(all([&](KeyList& out) { domain_keys(out, "a." + parent, parent_style); }),
            (List{"a." + parent, "~" + parent, "~tld"}));
  EXPECT_EQ(all([&](KeyList& out) { domain_keys(out, "a.p" + parent, parent_style); }),
            (List{"a.p" + parent, "~tld"}));
}

TEST(client_keys, are_name_with_parents_then_address_with_fewer_octets) {
  const auto keys = [](std::string_view name, std::string_view address, SubdomainStyle style) {
    return all([&](KeyList& out) { client_keys(out, name, address, style); });
  };
  EXPECT_EQ(keys("a.B.c", "1.2.3.4", parent_style),
            (List{"a.b.c", "~b.c", "~c", "1.2.3.4", "~1.2.3", "~1.2", "~1"}));
  EXPECT_EQ(keys("a.b.c", "1.2.3.4", dot_style),
            (List{"a.b.c", "~.b.c", "~.c", "1.2.3.4", "~1.2.3", "~1.2", "~1"}));
  EXPECT_EQ(keys("unknown", "2001:db8::1", dot_style),
            (List{"unknown", "2001:db8::1", "~2001:db8:", "~2001:db8", "~2001"}));
  EXPECT_EQ(keys("1.2.3.4", "::1", dot_style), (List{"1.2.3.4", "::1", "~:"}))
      << "a name that looks like an address has no parents";
}

TEST(transport_keys, end_with_the_wild_card) {
  const auto keys = [](std::string_view local, std::string_view domain, SubdomainStyle style) {
    return all([&](KeyList& out) { transport_keys(out, local, domain, style, Delimiter{"+"}); });
  };
  EXPECT_EQ(keys("user+ext", "a.b.tld", dot_style),
            (List{"user+ext@a.b.tld", "~user@a.b.tld", "~a.b.tld", "~.b.tld", "~.tld", "*"}));
  EXPECT_EQ(keys("user", "a.b.tld", parent_style),
            (List{"user@a.b.tld", "~a.b.tld", "~b.tld", "~tld", "*"}));
  EXPECT_EQ(keys("a b", "d", dot_style), (List{"\"a b\"@d", "a b@d", "~d", "*"}));
  EXPECT_EQ(keys(null_recipient, "mx.example.org", exact_style),
            (List{"mailer-daemon@mx.example.org", "~mx.example.org", "*"}));
}

TEST(alias_keys, are_the_local_part_then_without_extension) {
  const auto keys = [](std::string_view local, const char* delimiters) {
    return all([&](KeyList& out) { alias_keys(out, local, Delimiter{delimiters}); });
  };
  EXPECT_EQ(keys("User+Ext", "+"), (List{"user+ext", "user"}));
  EXPECT_EQ(keys("user+ext", ""), (List{"user+ext"}));
  EXPECT_EQ(keys("owner-list", "-"), (List{"owner-list"}));
  EXPECT_EQ(keys("a b", "+"), (List{"a b"})) << "aliases(5) has names without their quotes";
}

TEST(fingerprint_keys, are_certificate_then_public_key) {
  EXPECT_EQ(all([](KeyList& out) { fingerprint_keys(out, "AA:BB", "CC:DD"); }),
            (List{"aa:bb", "cc:dd"}));
  EXPECT_EQ(all([](KeyList& out) { fingerprint_keys(out, "AA:BB", ""); }), (List{"aa:bb"}));
}

TEST(KeyList, can_be_used_again) {
  KeyList list;
  for (int i = 0; i < 1000; ++i) {
    list.clear();
    client_keys(list, "a.b.c", "192.0.2.1", dot_style);
    ASSERT_EQ(list.keys().size(), 7U);
    ASSERT_EQ(list.keys()[1].text, ".b.c");
  }
}

}  // namespace
}  // namespace mx::maps
