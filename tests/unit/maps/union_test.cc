#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "maps/any_table.h"

namespace mx::maps {
namespace {

std::shared_ptr<const AnyTable> shared(AnyTable::Kind kind) {
  return std::make_shared<const AnyTable>(std::move(kind));
}

std::string ask(const AnyTable& table, Key key) {
  ValueText made;
  const Lookup found = table.find(key, made);
  if (found.outcome == Outcome::tempfail) return "!";
  return found.is_hit() ? std::string(found.value) : "-";
}

// What is expected here is what dict_open() of Postfix 3.7.11 says of these tables.
TEST(UnionTable, is_asked_for_parts_of_a_key_when_its_first_table_is) {
  const auto fixed = shared(StaticTable{"f"}), pattern = shared(CidrTable{});
  const AnyTable fixed_first(UnionTable{{fixed, pattern}});
  const AnyTable pattern_first(UnionTable{{pattern, fixed}});
  EXPECT_EQ(ask(fixed_first, {"@domain", true}), "f");
  EXPECT_EQ(ask(pattern_first, {"@domain", true}), "-");
  EXPECT_EQ(ask(pattern_first, {"user@domain", false}), "f");
  const AnyTable nested(UnionTable{{shared(UnionTable{{fixed}}), fixed}});
  EXPECT_EQ(ask(nested, {"@domain", true}), "f,f");
}

TEST(UnionTable, fails_when_any_table_fails) {
  const AnyTable table(UnionTable{{shared(StaticTable{"f"}), shared(FailTable{})}});
  EXPECT_EQ(ask(table, {"key", false}), "!");
}

}  // namespace
}  // namespace mx::maps
