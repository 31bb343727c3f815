#include "proto/mail/address_list.h"

#include <gtest/gtest.h>

namespace mx::mail {
namespace {

std::string split(std::string_view text) {
  AddressList list(text);
  std::string all, one;
  while (list.next(one)) all += "[" + one + "]";
  return all;
}

TEST(AddressList, CommasAndBlanksSeparate) {
  EXPECT_EQ(split("a, b ,c"), "[a][b][c]");
  EXPECT_EQ(split("a b\tc"), "[a][b][c]");
  EXPECT_EQ(split(" , ,"), "");
  EXPECT_EQ(split(""), "");
}

TEST(AddressList, QuotesCommentsAndBrackets) {
  EXPECT_EQ(split("\"x, y\"@d"), "[x, y@d]");
  EXPECT_EQ(split("(one, (two) \\) ) z"), "[z]");
  EXPECT_EQ(split("John Doe <j@d>, \"J. D.\" <k@d>"), "[j@d][k@d]");
  EXPECT_EQ(split("<\"a b\"@d>"), "[a b@d]");
  EXPECT_EQ(split("a\\,b"), "[a,b]");
  EXPECT_EQ(split("\"open, end"), "[open, end]");
  EXPECT_EQ(split("<open"), "[open]");
  EXPECT_EQ(split("\"|cmd arg\", :include:/x, /file"), "[|cmd arg][:include:/x][/file]");
}

}  // namespace
}  // namespace mx::mail
