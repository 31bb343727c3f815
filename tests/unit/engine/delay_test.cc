#include "engine/observe/delay.h"

#include <gtest/gtest.h>

namespace mx::observe {
namespace {

TEST(Delay, IsWrittenAsPostfixWritesIt) {
  struct Row {
    int64_t us;
    const char* text;
  };
  for (const Row& row :
       {Row{0, "0"}, Row{-5, "0"}, Row{42, "0"}, Row{4'999, "0"}, Row{5'001, "0.01"},
        Row{46'000, "0.05"}, Row{450'000, "0.45"}, Row{500'000, "0.5"}, Row{999'000, "1"},
        Row{1'040'000, "1"}, Row{4'500'000, "4.5"}, Row{9'960'000, "10"}, Row{10'400'000, "10"},
        Row{450'200'000, "450"}, Row{432'000'000'000, "432000"}})
    EXPECT_EQ(delay_text({row.us}).view(), row.text) << row.us;
}

}  // namespace
}  // namespace mx::observe
