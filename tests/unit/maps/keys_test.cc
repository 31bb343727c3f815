#include "maps/keys.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mx::maps {
namespace {

using List = std::vector<std::string>;

List keys(std::string_view local, std::string_view domain, bool is_local, const char* delimiters) {
  const Delimiter delimiter{delimiters};
  AddressKeys generator(local, domain, is_local, delimiter);
  List out;
  KeyText key;
  while (generator.next(key)) out.emplace_back(key.view());
  return out;
}

TEST(AddressKeys, come_in_postfix_order) {
  EXPECT_EQ(keys("User+Ext", "Domain.TLD", false, "+"),
            (List{"user+ext@domain.tld", "user@domain.tld", "@domain.tld"}));
  EXPECT_EQ(keys("user+ext", "here", true, "+"),
            (List{"user+ext@here", "user@here", "user+ext", "user", "@here"}));
  EXPECT_EQ(keys("user", "here", true, "+"), (List{"user@here", "user", "@here"}));
  EXPECT_EQ(keys("user+ext", "d", false, ""), (List{"user+ext@d", "@d"}));
}

TEST(AddressKeys, give_the_quoted_form_before_the_plain_one) {
  EXPECT_EQ(keys("a b+x", "d", false, "+"),
            (List{"\"a b+x\"@d", "a b+x@d", "\"a b\"@d", "a b@d", "@d"}));
  EXPECT_EQ(keys("a b", "d", true, ""), (List{"\"a b\"@d", "a b@d", "\"a b\"", "a b", "@d"}));
}

TEST(AddressKeys, leave_out_what_no_table_can_hold) {
  const std::string local(limits::table_key_bytes_max, 'x');
  EXPECT_EQ(keys(local, "d", true, ""), (List{local, "@d"}));
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

TEST(DomainKeys, are_the_name_then_its_parents) {
  const auto all = [](std::string_view name, SubdomainStyle style) {
    List out;
    DomainKeys generator(name, style);
    std::string_view key;
    while (generator.next(key)) out.emplace_back(key);
    return out;
  };
  EXPECT_EQ(all("a.b.c", SubdomainStyle::parent), (List{"a.b.c", "b.c", "c"}));
  EXPECT_EQ(all("a.b.c", SubdomainStyle::dot), (List{"a.b.c", ".b.c", ".c"}));
  EXPECT_EQ(all("a.b.c", SubdomainStyle::exact), (List{"a.b.c"}));
  EXPECT_EQ(all("c", SubdomainStyle::dot), (List{"c"}));
  EXPECT_EQ(all("", SubdomainStyle::dot), (List{}));
  EXPECT_EQ(all("a.", SubdomainStyle::parent), (List{"a."}));
}

}  // namespace
}  // namespace mx::maps
