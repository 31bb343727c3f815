#include "engine/config/values.h"

#include <gtest/gtest.h>

namespace mx::config {
namespace {

TEST(ParseBoolean, TakesYesAndNoInAnyCaseOnly) {
  EXPECT_EQ(parse_boolean("yes"), true);
  EXPECT_EQ(parse_boolean("No"), false);
  for (const char* text : {"", "true", "1", "yes ", "yesno", "y"})
    EXPECT_FALSE(parse_boolean(text)) << text;
}

TEST(ParseInteger, ChecksBothBounds) {
  EXPECT_EQ(parse_integer("5", 5, 7), 5U);
  EXPECT_EQ(parse_integer("7", 5, 7), 7U);
  EXPECT_FALSE(parse_integer("4", 5, 7));
  EXPECT_FALSE(parse_integer("8", 5, 7));
  EXPECT_EQ(parse_integer("18446744073709551615", 0, UINT64_MAX), UINT64_MAX);
}

TEST(ParseInteger, RefusesEverythingButDigits) {
  for (const char* text : {"", "-1", "+1", "1x", "0x10", "1 2", "1.5", "18446744073709551616",
                           "99999999999999999999999"})
    EXPECT_FALSE(parse_integer(text, 0, UINT64_MAX)) << text;
}

TEST(ParseTime, KnowsTheUnits) {
  const auto parsed = [](std::string_view text, char unit) {
    return parse_time(text, unit, {}, seconds(INT32_MAX)).value_or(seconds(-1));
  };
  EXPECT_EQ(parsed("60s", 'd'), seconds(60));
  EXPECT_EQ(parsed("2m", 's'), seconds(120));
  EXPECT_EQ(parsed("3h", 's'), seconds(10'800));
  EXPECT_EQ(parsed("5d", 's'), seconds(432'000));
  EXPECT_EQ(parsed("1w", 's'), seconds(604'800));
  EXPECT_EQ(parsed("5", 'd'), seconds(432'000));
  EXPECT_EQ(parsed("0", 's'), seconds(0));
}

TEST(ParseTime, ChecksBoundsAndOverflow) {
  EXPECT_TRUE(parse_time("10", 's', seconds(1), seconds(10)));
  EXPECT_FALSE(parse_time("11", 's', seconds(1), seconds(10)));
  EXPECT_TRUE(parse_time("1", 's', seconds(1), seconds(10)));
  EXPECT_FALSE(parse_time("0", 's', seconds(1), seconds(10)));
  EXPECT_FALSE(parse_time("9223372036854775807w", 's', {}, seconds(INT32_MAX)));
  EXPECT_FALSE(parse_time("2147483648", 's', {}, seconds(INT32_MAX)));
}

TEST(ParseTime, RefusesOtherUnitsAndText) {
  for (const char* text : {"", "s", "1y", "1S", "-1s", "1 s", "1ss", "1s2", "1.5h"})
    EXPECT_FALSE(parse_time(text, 's', {}, seconds(INT32_MAX))) << text;
}

TEST(SplitList, SeparatesAtCommasAndWhiteSpace) {
  EXPECT_EQ(split_list(" a,b ,\tc\r\n,, d ").value(),
            (std::vector<std::string_view>{"a", "b", "c", "d"}));
  EXPECT_TRUE(split_list(" , ").value().empty());
}

TEST(SplitList, KeepsGroupsTogether) {
  EXPECT_EQ(split_list("a { b, c } inline:{ {x y} } d").value(),
            (std::vector<std::string_view>{"a", "{ b, c }", "inline:{ {x y} }", "d"}));
}

TEST(SplitList, AnOpenGroupIsAnError) {
  EXPECT_FALSE(split_list("a { b"));
  EXPECT_FALSE(split_list("{"));
  EXPECT_TRUE(split_list("a } b"));
}

}  // namespace
}  // namespace mx::config
