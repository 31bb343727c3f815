#include "maps/spec.h"

#include <gtest/gtest.h>

namespace mx::maps {
namespace {

TEST(TableSpec, takes_every_type_of_postmap_source) {
  for (const char* type : {"hash", "btree", "lmdb", "cdb", "texthash"}) {
    const std::string text = std::string(type) + ":/etc/x";
    const auto spec = parse_table_spec(text);
    ASSERT_TRUE(spec.has_value());
    EXPECT_EQ(spec->text(), std::string(type) + ":/etc/x");
  }
}

TEST(TableSpec, reads_through_proxy) {
  const auto spec = parse_table_spec("proxy:hash:/etc/a:b");
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(spec->text(), "hash:/etc/a:b");
  EXPECT_TRUE(spec->proxied);
}

TEST(TableSpec, names_what_does_not_work) {
  EXPECT_EQ(parse_table_spec("ldap:/x").error(),
            "table type \"ldap\" is not supported yet (ldap:/x)");
  EXPECT_EQ(parse_table_spec("hsah:/x").error(),
            "unknown table type \"hsah\"; these work: hash, btree, lmdb, cdb, texthash");
  EXPECT_EQ(parse_table_spec("/x").error(), "table \"/x\" has no type: write hash:/path");
  EXPECT_EQ(parse_table_spec("hash:").error(), "table \"hash:\" has no path");
  EXPECT_FALSE(parse_table_spec("").has_value());
  EXPECT_FALSE(parse_table_spec("proxy:").has_value());
  EXPECT_FALSE(parse_table_spec("proxy:proxy:hash:/x").has_value());
}

TEST(looks_like_table, knows_addresses_from_tables) {
  EXPECT_TRUE(looks_like_table("hash:/x"));
  EXPECT_FALSE(looks_like_table("[::1]/128"));
  EXPECT_FALSE(looks_like_table("domain.tld"));
}

}  // namespace
}  // namespace mx::maps
