#include "proto/smtp/reply_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/base/limits.h"

namespace mx::smtp {
namespace {

using Event = ReplyParser::Event;

// One reply or more as text: "250+250-a|250 b;" for two lines, "!" at the point where it is
// malformed.
std::string parse(std::string_view in, const std::vector<size_t>& cuts = {}) {
  ReplyParser parser;
  std::string seen;
  size_t from = 0;
  for (size_t i = 0; i <= cuts.size(); ++i) {
    const size_t to = i < cuts.size() ? cuts[i] : in.size();
    std::string_view part = in.substr(from, to - from);
    from = to;
    while (!part.empty()) {
      const Event event = parser.feed(part);
      if (event == Event::malformed) return seen + "!";
      if (event == Event::more) break;
      seen += parser.line();
      seen += event == Event::line ? "|" : ";";
    }
  }
  return seen;
}

std::string parse_with_every_cut(std::string_view in) {
  const std::string expected = parse(in);
  std::vector<size_t> everywhere;
  for (size_t i = 0; i <= in.size(); ++i) {
    EXPECT_EQ(parse(in, {i}), expected) << "cut at " << i;
    everywhere.push_back(i);
  }
  EXPECT_EQ(parse(in, everywhere), expected) << "byte by byte";
  return expected;
}

TEST(ReplyParser, takes_one_reply_at_a_time) {
  EXPECT_EQ(parse_with_every_cut("220 mx ESMTP\r\n"), "220 mx ESMTP;");
  EXPECT_EQ(parse_with_every_cut("250-mx\r\n250-SIZE 1\r\n250 DSN\r\n550 no\r\n"),
            "250-mx|250-SIZE 1|250 DSN;550 no;");
  EXPECT_EQ(parse_with_every_cut("250\r\n250-\r\n250 \r\n"), "250;250-|250 ;");
  EXPECT_EQ(parse_with_every_cut("250 a\rb\r\r\n"), "250 a\rb\r;");
  EXPECT_EQ(parse_with_every_cut("250 unfinished\r"), "");
}

// V60.
TEST(ReplyParser, what_is_no_reply_is_malformed) {
  using namespace std::string_literals;
  EXPECT_EQ(parse_with_every_cut("550-a\n550 b\r\n"), "!");
  EXPECT_EQ(parse_with_every_cut("250-x\r\n550 y\r\n"), "250-x|!");
  for (const std::string& line :
       {"5"s, ""s, "25"s, "25 0"s, "000 a"s, "150 a"s, "600 a"s, "250x"s, "250\ta"s, " 250 a"s,
        "-50 a"s, "2500 a"s, "HTTP/1.1 200 OK"s, "\0\0\0"s, "250 a\n"s, "\xff\xff\xff"s})
    EXPECT_EQ(parse_with_every_cut(line + "\r\n"), "!") << testing::PrintToString(line);
  EXPECT_EQ(parse_with_every_cut("250 a\0\x1b[2J\r\n"s), "250 a\0\x1b[2J;"s);
}

TEST(ReplyParser, line_length_is_limited) {
  constexpr size_t text_max = limits::backend_reply_line_bytes_max - 6;  // "250 " and CRLF
  for (const size_t cut : {0U, 1U, 256U, 2046U}) {
    const std::string kept = "250 " + std::string(252, 'x') + ";";
    for (const size_t text : {text_max - 1, text_max}) {
      EXPECT_EQ(parse("250 " + std::string(text, 'x') + "\r\n", {cut}), kept);
    }
    EXPECT_EQ(parse("250 " + std::string(text_max + 1, 'x') + "\r\n", {cut}), "!");
  }
  EXPECT_EQ(parse(std::string(3000, '2')), "!");
  std::vector<size_t> everywhere;
  for (size_t i = 0; i < 3000; ++i) everywhere.push_back(i);
  EXPECT_EQ(parse(std::string(3000, '2'), everywhere), "!");
}

TEST(ReplyParser, says_when_a_line_is_cut) {
  for (const size_t length : {255U, 256U, 257U}) {
    ReplyParser parser;
    const std::string reply = "250 " + std::string(length - 4, 'x') + "\r\n";
    std::string_view in = reply;
    ASSERT_EQ(parser.feed(in), Event::reply);
    EXPECT_EQ(parser.line_cut(), length > ReplyParser::line_kept_max);
  }
}

TEST(ReplyParser, number_of_lines_is_limited) {
  const auto lines = [](uint32_t count) {
    std::string reply;
    for (uint32_t i = 1; i < count; ++i) reply += "250-\r\n";
    return reply + "250 \r\n";
  };
  EXPECT_TRUE(parse(lines(limits::backend_reply_lines_max - 1)).ends_with(";"));
  EXPECT_TRUE(parse(lines(limits::backend_reply_lines_max)).ends_with(";"));
  EXPECT_TRUE(parse(lines(limits::backend_reply_lines_max + 1)).ends_with("!"));
}

EnhancedCode enhanced(ReplyParser& parser, std::string_view reply) {
  while (!reply.empty()) parser.feed(reply);
  return parser.enhanced();
}

// V61.
TEST(ReplyParser, enhanced_code_must_be_well_formed_and_of_the_class) {
  ReplyParser parser;
  const EnhancedCode none;
  EXPECT_EQ(enhanced(parser, "550 5.7.1 no\r\n"), (EnhancedCode{5, 7, 1}));
  EXPECT_EQ(enhanced(parser, "550 5.7\r\n"), none);
  EXPECT_EQ(enhanced(parser, "550\r\n"), none);
  EXPECT_EQ(enhanced(parser, "550 5.7.2\r\n"), (EnhancedCode{5, 7, 2}));
  EXPECT_EQ(enhanced(parser, "250 2.0.123 \r\n"), (EnhancedCode{2, 0, 123}));
  EXPECT_EQ(enhanced(parser, "450 4.999.999 x\r\n"), (EnhancedCode{4, 999, 999}));
  for (const char* text : {"4.7.1 x", "5.7.1x", "5.7.1.2 x", "5.7.1000 x", "5..1 x", "5.7. x",
                           ".7.1 x", "005.7.1 x", "55.7.1 x", " 5.7.1 x", "5.-7.1 x", "5 7 1 x"})
    EXPECT_EQ(enhanced(parser, "550 " + std::string(text) + "\r\n"), none) << text;
  EXPECT_EQ(enhanced(parser, "354 3.0.0 go\r\n"), none);
  EXPECT_EQ(enhanced(parser, "550-5.7.1 a\r\n550 b\r\n"), none);
}

}  // namespace
}  // namespace mx::smtp
