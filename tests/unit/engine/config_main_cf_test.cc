#include "engine/config/main_cf.h"

#include <gtest/gtest.h>

#include "proto/base/limits.h"
#include "tests/unit/engine/config_harness.h"

namespace mx::config {
namespace {

struct Parsed {
  Diagnostics diagnostics;
  MainCf main_cf;
  explicit Parsed(std::string text)
      : main_cf(MainCf::parse(std::move(text), "main.cf", diagnostics)) {}
  std::string value(std::string_view name) const {
    const Entry* entry = main_cf.find(name);
    return entry == nullptr ? "(unset)" : entry->value;
  }
  std::string messages() const { return test::all_text(diagnostics); }
};

TEST(MainCf, TrimsAroundNameAndValue) {
  const Parsed parsed("a=1\nb =  two words \t\nc   =\nd\t=\t4\n");
  EXPECT_EQ(parsed.value("a"), "1");
  EXPECT_EQ(parsed.value("b"), "two words");
  EXPECT_EQ(parsed.value("c"), "");
  EXPECT_EQ(parsed.value("d"), "4");
  EXPECT_EQ(parsed.value("e"), "(unset)");
  EXPECT_EQ(parsed.messages(), "");
}

TEST(MainCf, CommentsAndBlankLinesDoNotEndAValue) {
  const Parsed parsed("a = 1\n# comment\n\n   # indented comment\n  2\n \t \n#x\n\t3\nb = 4\n");
  EXPECT_EQ(parsed.value("a"), "1  2\t3");
  EXPECT_EQ(parsed.value("b"), "4");
}

TEST(MainCf, CommentsHoldBracesAndEqualSignsWithoutMeaning) {
  const Parsed parsed("# X {\na = 1\n# }\n#b = 2\n");
  EXPECT_EQ(parsed.value("a"), "1");
  EXPECT_EQ(parsed.value("b"), "(unset)");
  EXPECT_EQ(parsed.messages(), "");
}

TEST(MainCf, AHashAfterTextIsData) {
  EXPECT_EQ(Parsed("a = 1 # one\n").value("a"), "1 # one");
}

TEST(MainCf, AnEmptyValueEndsAtTheNextName) {
  const Parsed parsed("a =\n\n# comment\nb = 1\n");
  EXPECT_EQ(parsed.value("a"), "");
  EXPECT_EQ(parsed.value("b"), "1");
}

TEST(MainCf, CarriageReturnsAtLineEndsGo) {
  const Parsed parsed("a = 1\r\n\r\n  2\r\nb = 3\r\n");
  EXPECT_EQ(parsed.value("a"), "1  2");
  EXPECT_EQ(parsed.value("b"), "3");
}

TEST(MainCf, ABackslashDoesNotContinueALine) {
  const Parsed parsed("a = 1 \\\nb = 2\n");
  EXPECT_EQ(parsed.value("a"), "1 \\");
  EXPECT_EQ(parsed.value("b"), "2");
}

TEST(MainCf, TheLastOfSeveralWinsWithAWarning) {
  const Parsed parsed("a = 1\nb = 0\na = 2\n");
  EXPECT_EQ(parsed.value("a"), "2");
  EXPECT_EQ(parsed.main_cf.find("a")->line, 3U);
  EXPECT_EQ(parsed.messages(), "main.cf:3: warning: overriding earlier entry: a = 1\n");
}

TEST(MainCf, TheSameValueAgainIsNoWarning) {
  EXPECT_EQ(Parsed("a = 1\na = 1\n").messages(), "");
}

TEST(MainCf, EveryMalformedLineIsReported) {
  const Parsed parsed("foo\n= 3\na b = 1\nok = 1\n");
  EXPECT_EQ(parsed.messages(),
            "main.cf:1: missing '=' after attribute name: \"foo\"\n"
            "main.cf:2: missing attribute name: \"= 3\"\n"
            "main.cf:3: missing '=' after attribute name: \"a b = 1\"\n");
  EXPECT_EQ(parsed.value("ok"), "1");
}

TEST(MainCf, AContinuationOfNothingIsIgnoredWithAWarning) {
  const Parsed parsed("  a = 1\nb = 2\n");
  EXPECT_EQ(parsed.value("a"), "(unset)");
  EXPECT_EQ(parsed.value("b"), "2");
  EXPECT_NE(parsed.messages().find("main.cf:1: warning: logical line must not start"),
            std::string::npos);
}

TEST(MainCf, ANulByteIsAnError) {
  EXPECT_EQ(Parsed(std::string("a = 1\nb = x\0y\n", 14)).messages(),
            "main.cf:2: the line contains a NUL byte\n");
}

TEST(MainCf, ALineOverTheLimitIsAnError) {
  const std::string head = "a = ";
  const std::string fits(limits::config_line_bytes_max - head.size(), 'x');
  EXPECT_EQ(Parsed(head + fits + "\n").messages(), "");
  EXPECT_EQ(Parsed(head + fits + "x\n").messages(), "main.cf:1: the line is too long\n");
}

TEST(MainCf, AFileOverTheLimitIsAnError) {
  const std::string line = "#" + std::string(1022, 'x') + "\n";
  std::string text;
  while (text.size() < limits::config_bytes_max) text += line;
  text.resize(limits::config_bytes_max);
  EXPECT_EQ(Parsed(text).messages(), "");
  text += "x";
  EXPECT_NE(Parsed(text).messages().find("main.cf: the file is larger"), std::string::npos);
}

TEST(MainCf, NamesTheLineOfEachWordOfAList) {
  const Parsed parsed("# one\na = first\n\n    # second in a comment\n  second,third\n  first\n");
  const auto lines = parsed.main_cf.word_lines(*parsed.main_cf.find("a"));
  EXPECT_EQ(lines.at("first"), (std::vector<uint32_t>{2, 6}));
  EXPECT_EQ(lines.at("second"), (std::vector<uint32_t>{5}));
  EXPECT_EQ(lines.at("third"), (std::vector<uint32_t>{5}));
  EXPECT_EQ(lines.size(), 3U);
}

TEST(MainCf, TooManyParametersAreAnError) {
  std::string text;
  for (uint32_t i = 0; i < limits::config_entries_max; ++i)
    text += "p" + std::to_string(i) + " =\n";
  EXPECT_EQ(Parsed(text).messages(), "");
  EXPECT_EQ(Parsed(text + "q =\n").messages(), "main.cf:10001: too many parameters\n");
}

TEST(MainCf, AFileCutAtAnyByteIsReadWithoutHarm) {
  const std::string text = test::fixture("reference-mx/main.cf");
  ASSERT_FALSE(text.empty());
  for (size_t size = 0; size <= text.size(); ++size) {
    const Parsed parsed(text.substr(0, size));
    EXPECT_LE(parsed.main_cf.entries().size(), 60U);
  }
}

}  // namespace
}  // namespace mx::config
