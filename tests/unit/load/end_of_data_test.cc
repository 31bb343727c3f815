#include "tools/load/end_of_data.h"

#include <gtest/gtest.h>

#include <string>

#include "proto/base/prng.h"

namespace mx::load {
namespace {

// Bytes up to the end when the text comes in two pieces cut at `cut`.
size_t find_cut(std::string_view text, size_t cut) {
  EndOfData finder;
  const size_t first = finder.find(text.substr(0, cut));
  if (first != EndOfData::none) return first;
  const size_t second = finder.find(text.substr(cut));
  return second == EndOfData::none ? second : cut + second;
}

TEST(EndOfData, FindsTheEndWhereverTheInputIsCut) {
  for (const std::string before :
       {"", "a\r\n", "..a\r\n.b\r\n", "\r\n", "\n.\n\r\n", "\r\r\n", ".\r"}) {
    const std::string text = before + (before.empty() ? "" : "\r\n") + ".\r\nQUIT\r\n";
    const size_t end = text.size() - 6;
    for (size_t cut = 0; cut <= text.size(); ++cut) EXPECT_EQ(find_cut(text, cut), end) << cut;
  }
}

TEST(EndOfData, TakesNothingElseForTheEnd) {
  for (const std::string text : {"a\n.\n", "a\n.\r\n", "a\r\n.\n", "a\r.\r", "a\r\n.\rb",
                                 "a\r\n. \r\n", "a\r\n..\r\n", "a.\r\n"})
    for (size_t cut = 0; cut <= text.size(); ++cut)
      EXPECT_EQ(find_cut(text, cut), EndOfData::none) << text;
}

TEST(EndOfData, AgreesWithASearchOverTheWholeTextHoweverItComes) {
  Prng random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 60; ++i) text += "\r\n.\r\n.x"[random.below(7)];
    const size_t at = ("\r\n" + text).find("\r\n.\r\n");
    const size_t wanted = at == std::string::npos ? EndOfData::none : at + 3;
    EndOfData finder;
    size_t done = 0, found = EndOfData::none;
    while (done < text.size() && found == EndOfData::none) {
      const std::string_view piece = std::string_view(text).substr(done, 1 + random.below(9));
      found = finder.find(piece);
      if (found != EndOfData::none) found += done;
      done += piece.size();
    }
    ASSERT_EQ(found, wanted) << round;
  }
}

}  // namespace
}  // namespace mx::load
