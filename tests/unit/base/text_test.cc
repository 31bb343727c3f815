#include "proto/base/text.h"

#include <gtest/gtest.h>

#include <string>

namespace mx {
namespace {

TEST(Text, FoldsAsciiOnly) {
  EXPECT_TRUE(equals_ignoring_case("MaIl", "mAiL"));
  EXPECT_FALSE(equals_ignoring_case("mail", "mai"));
  EXPECT_FALSE(equals_ignoring_case("\xC4", "\xE4"));
  EXPECT_FALSE(equals_ignoring_case("@", "`"));
  EXPECT_EQ(lower("AZ[az\xC4"), "az[az\xC4");
  EXPECT_TRUE(starts_with_ignoring_case("From:x", "FROM:"));
  EXPECT_FALSE(starts_with_ignoring_case("Fro", "FROM:"));
}

TEST(Text, TrimsEveryKindOfWhiteSpace) {
  EXPECT_EQ(trim(" \t\r\n\v\f a b \n"), "a b");
  EXPECT_EQ(trim(" \t "), "");
  EXPECT_EQ(trim_front("  a "), "a ");
}

TEST(Text, ParsesDecimalsUpToTheLimit) {
  EXPECT_EQ(parse_decimal("0"), 0U);
  EXPECT_EQ(parse_decimal("007"), 7U);
  EXPECT_EQ(parse_decimal("18446744073709551614"), UINT64_MAX - 1);
  EXPECT_EQ(parse_decimal("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(parse_decimal("18446744073709551616"), std::nullopt);
  EXPECT_EQ(parse_decimal("99999999999999999999999"), std::nullopt);
  for (const char* bad : {"", " 1", "1 ", "+1", "-1", "0x1", "1e3"})
    EXPECT_EQ(parse_decimal(bad), std::nullopt) << bad;
}

TEST(Text, TakesWordsOneByOne) {
  std::string_view text = ", a,b\t c ,";
  EXPECT_EQ(take_word(text, ", \t"), "a");
  EXPECT_EQ(take_word(text, ", \t"), "b");
  EXPECT_EQ(take_word(text, ", \t"), "c");
  EXPECT_EQ(take_word(text, ", \t"), "");
  EXPECT_EQ(take_word(text, ", \t"), "");
}

TEST(Text, PrintableReplacesControlsAndBadUtf8) {
  EXPECT_EQ(printable("a\r\nb\x1B\x7F"), "a??b??");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "?");
  EXPECT_EQ(printable("\xC3\xA4"), "\xC3\xA4");
  EXPECT_EQ(printable("\xE4 x"), "? x");
  EXPECT_EQ(printable("\xC0\xAF"), "??");            // overlong
  EXPECT_EQ(printable("\xE0\x80\xAF"), "???");       // overlong
  EXPECT_EQ(printable("\xED\xA0\x80"), "???");       // surrogate
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "????");  // above U+10FFFF
  EXPECT_EQ(printable("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
  EXPECT_EQ(printable("\xC2\x9B[m"), "?[m");  // C1 control
  EXPECT_EQ(printable("\xE2\x82"), "??");     // cut
}

TEST(Text, PrintableKeepsToItsLimitAndNeverCutsASequence) {
  EXPECT_EQ(printable("abc", 2), "ab");
  EXPECT_EQ(printable("a\xC3\xA4z", 2), "a");
  EXPECT_EQ(printable("a\xC3\xA4z", 3), "a\xC3\xA4");
  EXPECT_EQ(printable("abc", 0), "");
}

TEST(EditDistance, CountsEditsUpToTheLimit) {
  EXPECT_EQ(edit_distance("", "", 2), 0U);
  EXPECT_EQ(edit_distance("myhostname", "myhostname", 2), 0U);
  EXPECT_EQ(edit_distance("myhostnam", "myhostname", 2), 1U);
  EXPECT_EQ(edit_distance("myhotsname", "myhostname", 2), 2U);
  EXPECT_EQ(edit_distance("kitten", "sitting", 3), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting", 2), 3U);
  EXPECT_EQ(edit_distance("abc", "", 2), 3U);
  EXPECT_EQ(edit_distance("a", "abcdefgh", 2), 3U);
}

TEST(lower_into, does_every_byte_at_every_place) {
  for (size_t size = 0; size <= 24; ++size) {
    for (size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'Q');
        text[at] = static_cast<char>(byte);
        std::string wanted(size, 'q');
        wanted[at] = to_lower(text[at]);
        std::string out(size, '?');
        lower_into(out.data(), text);
        ASSERT_EQ(out, wanted) << size << " " << at << " " << byte;
        ASSERT_FALSE(has_upper(wanted)) << wanted;
        wanted[at] = text[at];
        ASSERT_EQ(has_upper(wanted), text[at] != to_lower(text[at])) << wanted;
      }
    }
  }
}

}  // namespace
}  // namespace mx
