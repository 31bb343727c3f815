#include "engine/config/expand.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "proto/base/limits.h"

namespace mx::config {
namespace {

using Names = std::map<std::string, std::string, std::less<>>;

std::expected<std::string, std::string> expand_with(std::string_view text, const Names& names) {
  return expand(text, [&](std::string_view name) -> std::optional<std::string_view> {
    const auto found = names.find(name);
    if (found == names.end()) return std::nullopt;
    return found->second;
  });
}

// The value, or "!" and the error.
std::string expanded(std::string_view text) {
  static const Names names{{"full", "F"}, {"empty", ""}, {"indirect", "<$full>"}};
  const auto value = expand_with(text, names);
  return value ? *value : "!" + value.error();
}

bool fails(std::string_view text) {
  return expanded(text).starts_with('!');
}

// What Debian 12's `postconf -x` makes of the same texts.
TEST(Expand, NamesInAllThreeForms) {
  EXPECT_EQ(expanded("a $full.x $(full) ${full} $full-x"), "a F.x F F F-x");
  EXPECT_EQ(expanded("[${ full }]"), "[F]");
  EXPECT_EQ(expanded("[$full_x][${full_x}]"), "[][]");
  EXPECT_EQ(expanded("$indirect"), "<F>");
}

TEST(Expand, TwoDollarsAreOne) {
  EXPECT_EQ(expanded("a$$b $$$full$$"), "a$b $F$");
}

TEST(Expand, TextWhenTheValueIsNotEmpty) {
  EXPECT_EQ(expanded("${full?text}|${empty?text}|${undefined?text}"), "text||");
  EXPECT_EQ(expanded("${full?{text}}|${empty?{text}}"), "text|");
  EXPECT_EQ(expanded("[${full?}]"), "[]");
  EXPECT_EQ(expanded("[${full?  text}]"), "[  text]");
  EXPECT_EQ(expanded("[${full? {a} }]"), "[a]");
  EXPECT_EQ(expanded("[${full?{ a b }}]"), "[ a b ]");
}

TEST(Expand, TextWhenTheValueIsEmpty) {
  EXPECT_EQ(expanded("${full:text}|${empty:text}|${undefined:text}"), "|text|text");
  EXPECT_EQ(expanded("[${empty:{a} }]"), "[a]");
}

TEST(Expand, OneTextOrTheOther) {
  EXPECT_EQ(expanded("${full?{a}:{b}}|${empty?{a}:{b}}"), "a|b");
  EXPECT_EQ(expanded("[${full ? { te xt } : { no }}]"), "[ te xt ]");
  EXPECT_EQ(expanded("[${empty?{a}: c d }]"), "[ c d ]");
  EXPECT_EQ(expanded("${full?{a}:b}"), "a");
  EXPECT_EQ(expanded("${empty?{a}:${full}}"), "F");
}

TEST(Expand, WithoutBracesTheTextRunsToTheEnd) {
  EXPECT_EQ(expanded("${full?a:b}"), "a:b");
  EXPECT_EQ(expanded("[${empty?a:b}]"), "[]");
  EXPECT_EQ(expanded("[${full?a{b}c}]"), "[a{b}c]");
}

TEST(Expand, NestsInTexts) {
  EXPECT_EQ(expanded("${full?{$empty$full}}"), "F");
  EXPECT_EQ(expanded("[${full?$(empty:z)}]"), "[z]");
  EXPECT_EQ(expanded("[${full?{a{b}c}}]"), "[a{b}c]");
}

TEST(Expand, ComparesTexts) {
  EXPECT_EQ(expanded("${{$full} == {F} ? {yes} : {no}}"), "yes");
  EXPECT_EQ(expanded("${{a}!={b}?{x}}"), "x");
  EXPECT_EQ(expanded("${{abc} < {abd} ? {lt}:{ge}}"), "lt");
  EXPECT_EQ(expanded("${{ a } == {a} ? {x} : {y}}"), "y");
  EXPECT_EQ(expanded("${{$undefined} == {} ? {x} : {y}}"), "x");
  EXPECT_EQ(expanded("[${ {a} == {a} ? {x}}]"), "[x]");
  EXPECT_EQ(expanded("[${{a} == {a} ? x y : z}]"), "[ x y : z]");
}

TEST(Expand, AComparisonAloneIsTrueOrNothing) {
  EXPECT_EQ(expanded("[${{$full} == {F}}][${{$full} == {G}}]"), "[true][]");
}

TEST(Expand, ComparesNumbersWhenBothSidesAreDigits) {
  EXPECT_EQ(expanded("${{10} < {9} ? {lt} : {ge}}"), "ge");
  EXPECT_EQ(expanded("${{10a} < {9} ? {lt} : {ge}}"), "lt");
  EXPECT_EQ(expanded("${{007} == {7} ? {eq}:{ne}}"), "eq");
  EXPECT_EQ(expanded("${{1} <= {1}?{a}}${{1} > {1}:{b}}${{2} >= {3}?{c}}"), "ab");
  EXPECT_TRUE(fails("${{18446744073709551616} < {1} ? {a}:{b}}"));
}

TEST(Expand, ComparesCompatibilityLevels) {
  EXPECT_EQ(expanded("${{3.10} <=level {3.9} ? {le} : {gt}}"), "gt");
  EXPECT_EQ(expanded("${{3} >level {2.11} ? {gt}:{le}}"), "gt");
  EXPECT_EQ(expanded("${{1} ==level {1.0} ? {eq}:{ne}}"), "eq");
  EXPECT_TRUE(fails("${{x} <level {3} ? {a}:{b}}"));
  EXPECT_TRUE(fails("${{1.2.3.4} ==level {1.0} ? {a}:{b}}"));
}

TEST(Expand, MalformedReferencesAreErrors) {
  for (const char* text :
       {"$", "a$", "${full", "$(full}", "${full-}", "${}", "$-x", "${full?{a}", "${{a} == {b}",
        "${{a} ~ {b} ? {x}}", "${a b}", "${{a} == b ? {x}}", "${full?{a}:{b}x}", "${full?{a}{b}}",
        "${full:{a}:{b}}", "$(full?{a)b})", "${domain_to_ascii{x}}", "${full=}", "$((full))"})
    EXPECT_TRUE(fails(text)) << text;
}

TEST(Expand, AnExpressionCutAtAnyByteIsAnErrorOrAValue) {
  const std::string text = "x${{$full} <=level {3.6} ? {a$$} : {${empty?{b}:{$(full)}}}}y";
  for (size_t size = 0; size <= text.size(); ++size) expanded(text.substr(0, size));
}

TEST(Expand, ACycleEndsWithAnError) {
  const Names names{{"a", "$b"}, {"b", "${a}"}, {"self", "x $self"}, {"either", "${either?{a}}"}};
  for (const char* text : {"$a", "$b", "$self", "$either"}) {
    const auto value = expand_with(text, names);
    ASSERT_FALSE(value) << text;
    EXPECT_NE(value.error().find("unreasonable macro call nesting"), std::string::npos);
  }
}

TEST(Expand, DepthIsLimitedAsInPostfix) {
  const auto chain = [](uint32_t length) {
    Names names;
    for (uint32_t i = 1; i < length; ++i)
      names["p" + std::to_string(i)] = "$p" + std::to_string(i + 1);
    names["p" + std::to_string(length)] = "end";
    return names;
  };
  constexpr uint32_t limit = limits::config_expansion_depth_max;
  EXPECT_EQ(expand_with("$p1", chain(limit - 1)), "end");
  EXPECT_EQ(expand_with("$p1", chain(limit)), "end");
  EXPECT_FALSE(expand_with("$p1", chain(limit + 1)));
}

TEST(Expand, AValueThatGrowsWithoutBoundIsAnError) {
  Names names{{"b0", std::string(1024, 'x')}};
  for (int i = 1; i <= 40; ++i) {
    const std::string before = "$b" + std::to_string(i - 1);
    names["b" + std::to_string(i)] = before + before;
  }
  EXPECT_FALSE(expand_with("$b40", names));
  EXPECT_EQ(expand_with("$b9", names)->size(), 512U << 10);
}

TEST(Expand, WorkIsBoundedWhenNothingGrows) {
  Names names{{"b0", ""}};
  for (int i = 1; i <= 90; ++i) {
    const std::string before = "$b" + std::to_string(i - 1);
    names["b" + std::to_string(i)] = before + before;
  }
  const auto value = expand_with("$b90", names);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error(), "expanding the value takes too long");
}

TEST(Expand, NamesAreFoundInEveryBranch) {
  std::set<std::string> names;
  for_each_name("$a ${b?{$c}:{$(d)}} ${{$e} == {f} ? $g} $$h",
                [&](std::string_view name) { names.emplace(name); });
  EXPECT_EQ(names, (std::set<std::string>{"a", "b", "c", "d", "e", "g"}));
}

TEST(CompatibilityLevel, ComparesByPart) {
  EXPECT_LT(parse_compatibility_level("3.9"), parse_compatibility_level("3.10"));
  EXPECT_LT(parse_compatibility_level("2"), parse_compatibility_level("2.0.1"));
  EXPECT_EQ(parse_compatibility_level("2"), parse_compatibility_level("2.0.0"));
  for (const char* text : {"", ".", "1.", ".1", "1..2", "1.2.3.4", "x", "-1", "1 ", "65536"})
    EXPECT_FALSE(parse_compatibility_level(text)) << text;
}

}  // namespace
}  // namespace mx::config
