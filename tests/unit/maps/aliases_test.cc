#include "maps/aliases.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/base/limits.h"

namespace mx::maps {
namespace {

using List = std::vector<std::string>;

// Entries as `key|value`, diagnostics as `line: text`.
List read(std::string_view text) {
  AliasReader reader(text);
  List out;
  for (auto item = reader.next(); item != AliasReader::Item::end; item = reader.next()) {
    if (item == AliasReader::Item::entry)
      out.push_back(std::string(reader.entry().key) + "|" + std::string(reader.entry().value));
    else
      out.push_back(std::to_string(reader.diagnostic().line) + ": " + reader.diagnostic().text);
  }
  return out;
}

std::string read_one(std::string_view line) {
  const List items = read(line);
  return items.size() == 1 ? items[0] : std::to_string(items.size()) + " items";
}

// What is expected here is what postalias -s of Postfix 3.7 prints.
TEST(AliasReader, writes_values_as_postalias_does) {
  EXPECT_EQ(read_one("root: joe"), "root|joe");
  EXPECT_EQ(read_one("Postmaster:\troot, \"John Q\" <jq@x.y> (note here)"),
            "postmaster|root, \"John Q\" <jq@x.y>(note here)");
  EXPECT_EQ(read_one("br: <a@b> ,<c>"), "br|<a@b>, <c>");
  EXPECT_EQ(read_one("trail: a,"), "trail|a, ");
  EXPECT_EQ(read_one("semi: grp: a, b;"), "semi|grp:a, b;");
  EXPECT_EQ(read_one("tab: a\tb"), "tab|a b");
  EXPECT_EQ(read_one("esc: a\\\"b, a\\@b, a\\,b"), "esc|\"a\\\"b\", \"a@b\", \"a,b\"");
  EXPECT_EQ(read_one("uucp: host!user%site"), "uucp|host!user%site");
  EXPECT_EQ(read_one("lit: u@[192.0.2.1], u@[a\\]b\\\\]"), "lit|u@[192.0.2.1], u@[a]b\\\\]");
  EXPECT_EQ(read_one("empty: \"\""), "empty|\"\"");
  EXPECT_EQ(read_one("8bit-\xc3\xa9: v-\xc3\xa9"), "8bit-\xc3\xa9|v-\xc3\xa9");
}

TEST(AliasReader, keeps_commands_files_and_includes) {
  EXPECT_EQ(read_one("cmd: \"|/bin/cmd \\\"x\\\" arg\", /var/mail/f, :include:/etc/list"),
            "cmd|\"|/bin/cmd \\\"x\\\" arg\", /var/mail/f, :include:/etc/list");
  EXPECT_EQ(read_one("cmd: |\"/bin/cmd arg\""), "cmd||\"/bin/cmd arg\"");
}

TEST(AliasReader, keeps_names_without_their_quotes) {
  EXPECT_EQ(read_one("\"Quoted Name\": x"), "quoted name|x");
  EXPECT_EQ(read_one("a\\ b: x"), "a b|x");
  EXPECT_EQ(read_one("k\"q r\"s: x"), "k q r s|x");
  EXPECT_EQ(read_one("a (note) : x"), "a (note)|x");
  EXPECT_EQ(read_one("\"x:y@z\": e"), "x:y@z|e") << "quoted, it is no domain";
  EXPECT_EQ(read_one("[lit]: v"), "[lit]|v");
  EXPECT_EQ(read_one("key.dot: v"), "key.dot|v");
}

TEST(AliasReader, reads_what_is_not_closed_to_the_end_of_the_line) {
  EXPECT_EQ(read_one("a: \"bc"), "a|\"bc\"");
  EXPECT_EQ(read_one("a: (b(c)"), "a|(b(c)");
  EXPECT_EQ(read_one("a: [b"), "a|[b]");
  EXPECT_EQ(read_one("a: b\\"), "a|b");
  EXPECT_EQ(read_one("a: (b\\"), "a|(b\\");
  EXPECT_EQ(read_one("\"a: b"), "1: need name:value pair");
}

TEST(AliasReader, complains_with_the_words_of_postalias) {
  EXPECT_EQ(read("\nuser@dom: f\n# c\nuser%dom: f\nx, y: f\nnocolon\n: nokey\nnoval:\n"
                 "x@y, z: f\n\"\": v\n"),
            (List{"2: name must be local", "4: name must be local", "5: need name:value pair",
                  "6: need name:value pair", "7: need name:value pair", "8: need name:value pair",
                  "9: need name:value pair", "10: empty name -- ignoring this line"}));
  EXPECT_EQ(read(" x\na: b\n"),
            (List{"1: logical line must not start with whitespace: \" x\"", "a|b"}));
}

TEST(AliasReader, joins_continued_lines) {
  EXPECT_EQ(read("a:\n  b,\n# comment\n\n\tc\nd: e"), (List{"a|b, c", "d|e"}));
}

TEST(AliasReader, says_when_an_entry_is_too_large_for_a_table) {
  const std::string long_name = std::string(limits::table_key_bytes_max + 1, 'n') + ": v";
  AliasReader names(long_name);
  ASSERT_EQ(names.next(), AliasReader::Item::diagnostic);
  EXPECT_EQ(names.diagnostic().fault, SourceFault::limit);
  std::string long_value = "a: b";
  while (long_value.size() < limits::table_value_bytes_max * 3 / 4) long_value += ",b";
  AliasReader values(long_value);  // a blank more after each comma
  ASSERT_EQ(values.next(), AliasReader::Item::diagnostic);
  EXPECT_EQ(values.diagnostic().fault, SourceFault::limit);
}

TEST(AliasReader, answers_every_prefix_of_a_line) {
  const std::string line = "\"a b\": \"x\\\"y\" <u@[192.0.2.1]> (c (d)\\)), |\"cmd\", :include:/f";
  const size_t first_entry = line.find(": ") + 3;
  for (size_t size = 1; size <= line.size(); ++size) {
    const std::string item = read_one(line.substr(0, size));
    EXPECT_EQ(item.starts_with("a b|"), size >= first_entry) << size << ": " << item;
  }
}

}  // namespace
}  // namespace mx::maps
