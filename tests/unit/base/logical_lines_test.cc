#include "proto/base/logical_lines.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/base/limits.h"

namespace mx {
namespace {

using Fault = LogicalLine::Fault;

std::vector<LogicalLine> all(std::string_view file) {
  LogicalLines lines(file);
  std::vector<LogicalLine> out;
  for (LogicalLine line; lines.next(line);) out.push_back(line);
  return out;
}

std::vector<std::string> texts(std::string_view file) {
  std::vector<std::string> out;
  for (const LogicalLine& line : all(file)) out.push_back(line.text);
  return out;
}

using Texts = std::vector<std::string>;

TEST(LogicalLines, JoinsContinuationsWithoutANewline) {
  EXPECT_EQ(texts("a = b\n  c\n\td\ne = f\n"), (Texts{"a = b  c\td", "e = f"}));
  EXPECT_EQ(texts("a\n b"), (Texts{"a b"}));
}

TEST(LogicalLines, DropsBlankAndCommentLinesEverywhere) {
  EXPECT_EQ(texts("# x\n\na =\n# in column 0\n\n  # indented\n  b\n \t\n c\n"),
            (Texts{"a =  b c"}));
  EXPECT_EQ(texts(""), Texts{});
  EXPECT_EQ(texts("#\n\n  \n"), Texts{});
  EXPECT_EQ(texts("a # b\n"), (Texts{"a # b"}));
}

TEST(LogicalLines, TakesCrForWhiteSpaceAndTrimsTheEnd) {
  EXPECT_EQ(texts("a = b \t\r\n c\r\n\r\nd\r\n"), (Texts{"a = b c", "d"}));
}

TEST(LogicalLines, HasNoBackslashContinuation) {
  EXPECT_EQ(texts("a \\\nb\n"), (Texts{"a \\", "b"}));
}

TEST(LogicalLines, KnowsItsLineNumbers) {
  const auto lines = all("\n# x\na\n\n b\nc\n");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].line, 3U);
  EXPECT_EQ(lines[0].last_line, 5U);
  EXPECT_EQ(lines[1].line, 6U);
  EXPECT_EQ(lines[1].last_line, 6U);
}

TEST(LogicalLines, TellsAContinuationOfNothing) {
  const auto lines = all("  a\nb\n");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].fault, Fault::continuation_without_start);
  EXPECT_EQ(lines[1].fault, Fault::none);
}

TEST(LogicalLines, TellsANul) {
  const auto lines = all(std::string_view("a\0b\nc\n", 6));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].fault, Fault::nul_byte);
  EXPECT_EQ(lines[1].fault, Fault::none);
}

TEST(LogicalLines, TellsALineOverTheLimit) {
  for (const size_t extra : {size_t{0}, size_t{1}, size_t{2}}) {
    const std::string first(limits::config_line_bytes_max - 3, 'x');
    const auto lines = all(first + "\n " + std::string(1 + extra, 'y') + "\nz\n");
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0].fault, extra <= 1 ? Fault::none : Fault::too_long) << extra;
    EXPECT_EQ(lines[1].text, "z");
  }
}

}  // namespace
}  // namespace mx
