#include "maps/source.h"

#include <gtest/gtest.h>

#include <string>

#include "proto/base/limits.h"

namespace mx::maps {
namespace {

// One line per item: `3 key=value`, `4 warning: text`, `5 ignored: text`, `6 limit: text`.
std::string parse(std::string_view text) {
  std::string out;
  SourceReader reader(text);
  while (true) {
    const auto add = [&](uint32_t line, const std::string& what) {
      out += std::to_string(line) + " " + what + "\n";
    };
    switch (reader.next()) {
      case SourceReader::Item::entry:
        add(reader.entry().line,
            std::string(reader.entry().key) + "=" + std::string(reader.entry().value));
        break;
      case SourceReader::Item::diagnostic: {
        const SourceDiagnostic& d = reader.diagnostic();
        const char* fault = d.fault == SourceFault::warning   ? "warning: "
                            : d.fault == SourceFault::ignored ? "ignored: "
                                                              : "limit: ";
        add(d.line, fault + d.text);
        break;
      }
      case SourceReader::Item::end:
        return out;
    }
  }
}

TEST(SourceReader, reads_keys_and_values_as_postmap_does) {
  EXPECT_EQ(parse("Foo@Bar.com  OK  Here \n"
                  "\n"
                  "# comment\n"
                  "  # indented comment\n"
                  "key\tvalue\n"
                  "  goes on\n"
                  "# inside\n"
                  "\tand on\r\n"
                  "last no-newline"),
            "1 foo@bar.com=OK  Here\n"
            "5 key=value  goes on\tand on\n"
            "9 last=no-newline\n");
}

TEST(SourceReader, quotes_and_backslashes_protect_white_space_and_stay) {
  EXPECT_EQ(parse("\"A b\"@x.org yes\n"
                  "a\\ b c\n"
                  "\\\"esc val\n"
                  "\"\" v\n"),
            "1 \"a b\"@x.org=yes\n"
            "2 a\\ b=c\n"
            "3 \\\"esc=val\n"
            "4 \"\"=v\n");
}

TEST(SourceReader, has_no_inline_comments) {
  EXPECT_EQ(parse("1.2.3.4 OK # text\n"), "1 1.2.3.4=OK # text\n");
}

TEST(SourceReader, says_what_it_ignores_in_postmaps_words) {
  EXPECT_EQ(parse("   lead\n"
                  "novalue\n"
                  "\"unbal@x  z\n"
                  "fine 1\n"),
            "1 ignored: logical line must not start with whitespace: \"   lead\"\n"
            "2 ignored: expected format: key whitespace value\n"
            "3 ignored: unbalanced '\"' in '\"unbal@x  z' -- ignoring this line\n"
            "4 fine=1\n");
}

TEST(SourceReader, keeps_alias_like_keys_with_a_warning) {
  EXPECT_EQ(parse("Alias: x\n"),
            "1 warning: record is in \"key: value\" format; is this an alias file?\n"
            "1 alias:=x\n");
}

TEST(SourceReader, refuses_what_it_cannot_hold) {
  const std::string longest(limits::table_key_bytes_max, 'k');
  EXPECT_EQ(parse(longest + " v\n"), "1 " + longest + "=v\n");
  EXPECT_EQ(parse(longest + "k v\n"), "1 limit: key of 1025 bytes; at most 1024\n");
  const std::string long_line = "k " + std::string(limits::config_line_bytes_max, 'v');
  EXPECT_EQ(parse(long_line), "1 limit: line longer than 1048576 bytes\n");
}

TEST(SourceReader, any_cut_of_the_input_is_read_to_its_end) {
  const std::string text = "a b\n \"c d\n\"e f\" g\\\n# x\n\th\nk: v\n\\";
  for (size_t size = 0; size <= text.size(); ++size) parse(std::string_view(text).substr(0, size));
}

}  // namespace
}  // namespace mx::maps
