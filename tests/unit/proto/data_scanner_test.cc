#include "proto/smtp/data_scanner.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "proto/base/prng.h"

namespace mx::smtp {
namespace {

using Event = DataScanner::Event;

// What an owner that follows the rules has stored.
struct Stored {
  std::string bytes;
  uint64_t stuffed = 0;
  bool ended = false;
  std::string rest;  // bytes after the end, or not yet taken
  bool operator==(const Stored&) const = default;
};

void PrintTo(const Stored& stored, std::ostream* out) {
  *out << testing::PrintToString(stored.bytes) << " stuffed " << stored.stuffed << " ended "
       << stored.ended << " rest " << testing::PrintToString(stored.rest);
}

void store(const DataScanner::Step& step, std::string_view in, std::string& out) {
  out.append(in.substr(0, step.clean));
  if (step.event == Event::bare_lf) out += "\r\n";
  if (step.event == Event::bare_cr) out += ' ';
}

// Feeds `in` cut before each position of `cuts` (ascending).
Stored run(std::string_view in, const std::vector<size_t>& cuts = {}) {
  DataScanner scanner;
  Stored stored;
  size_t from = 0;
  for (size_t i = 0; i <= cuts.size() && !stored.ended; ++i) {
    const size_t to = i < cuts.size() ? cuts[i] : in.size();
    stored.rest.append(in.substr(from, to - from));
    from = to;
    std::string_view rest = stored.rest;
    while (true) {
      const DataScanner::Step step = scanner.scan(rest);
      EXPECT_LE(step.clean, step.taken);
      EXPECT_LE(step.taken, rest.size());
      store(step, rest, stored.bytes);
      rest.remove_prefix(step.taken);
      stored.ended = step.event == Event::end;
      if (step.event == Event::more) {
        EXPECT_LE(rest.size(), DataScanner::untaken_bytes_max);
      }
      if (step.event == Event::more || stored.ended) break;
    }
    stored.rest = std::string(rest);
  }
  if (stored.ended) stored.rest.append(in.substr(from));
  stored.stuffed = scanner.stuffed_dots();
  return stored;
}

// The rules again, said in another way: lines with the kind of end they have.
Stored by_lines(std::string_view in) {
  Stored stored;
  bool before_is_crlf = true;
  while (true) {
    size_t end = 0;
    std::string line;
    for (; end < in.size() && in[end] != '\n'; ++end) line += in[end];
    const bool whole = end < in.size();
    const bool crlf = whole && end > 0 && in[end - 1] == '\r';
    if (crlf) line.pop_back();
    if (!whole) {  // the last bytes may be undecided
      size_t undecided = line.ends_with('\r') ? 1 : 0;
      if (line == "." || line == ".\r") undecided = line.size();
      stored.rest = line.substr(line.size() - undecided);
      line.resize(line.size() - undecided);
    }
    if (whole && line == "." && crlf && before_is_crlf) {
      stored.ended = true;
      stored.rest = std::string(in.substr(end + 1));
      return stored;
    }
    if (whole && line == ".") line.clear();
    if (line.starts_with('.')) ++stored.stuffed;
    for (char& c : line)
      if (c == '\r') c = ' ';
    stored.bytes += line;
    if (!whole) return stored;
    stored.bytes += "\r\n";
    before_is_crlf = crlf;
    in.remove_prefix(end + 1);
  }
}

void expect_invariant(const std::string& stored) {
  const std::string with_implicit = "\r\n" + stored;
  EXPECT_EQ(with_implicit.find("\r\n.\r\n"), std::string::npos);
  for (size_t i = 0; i < with_implicit.size(); ++i) {
    const char next = i + 1 < with_implicit.size() ? with_implicit[i + 1] : '\0';
    EXPECT_EQ(with_implicit[i] == '\r', next == '\n');
  }
}

std::vector<std::string> kernels() {
  std::vector<std::string> found;
  for (const char* name : {"scalar", "sse2", "avx2", "avx512"})
    if (DataScanner::force_kernel(name)) found.emplace_back(name);
  return found;
}

class DataScannerOnEachKernel : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_TRUE(DataScanner::force_kernel(GetParam())); }
};

INSTANTIATE_TEST_SUITE_P(Kernels, DataScannerOnEachKernel, testing::ValuesIn(kernels()),
                         [](const auto& param) { return param.param; });

void check_with_every_cut(std::string_view in) {
  const Stored expected = by_lines(in);
  ASSERT_EQ(run(in), expected) << testing::PrintToString(in);
  expect_invariant(expected.bytes);
  std::vector<size_t> everywhere;
  for (size_t i = 0; i <= in.size(); ++i) {
    ASSERT_EQ(run(in, {i}), expected) << testing::PrintToString(in) << " cut at " << i;
    everywhere.push_back(i);
  }
  ASSERT_EQ(run(in, everywhere), expected) << testing::PrintToString(in) << " byte by byte";
}

TEST_P(DataScannerOnEachKernel, finds_the_end_and_leaves_what_follows) {
  const Stored stored = run("Subject: a\r\n\r\nb\r\n.\r\nMAIL FROM:<a@b>\r\n");
  EXPECT_TRUE(stored.ended);
  EXPECT_EQ(stored.bytes, "Subject: a\r\n\r\nb\r\n");
  EXPECT_EQ(stored.rest, "MAIL FROM:<a@b>\r\n");
}

TEST_P(DataScannerOnEachKernel, dot_at_once_is_an_empty_message) {
  const Stored stored = run(".\r\n");
  EXPECT_TRUE(stored.ended);
  EXPECT_EQ(stored.bytes, "");
}

TEST_P(DataScannerOnEachKernel, counts_stuffed_dots_after_both_kinds_of_line_end) {
  const Stored stored = run("..a\r\nb.\r\n..\r\n.c\nd\n..e\r\n.\r\n");
  EXPECT_TRUE(stored.ended);
  EXPECT_EQ(stored.stuffed, 4U);
  EXPECT_EQ(stored.bytes, "..a\r\nb.\r\n..\r\n.c\r\nd\r\n..e\r\n");
}

TEST_P(DataScannerOnEachKernel, events_say_what_to_do) {
  DataScanner scanner;
  const auto expect = [&](std::string_view in, size_t clean, size_t taken, Event event) {
    const DataScanner::Step step = scanner.scan(in);
    EXPECT_EQ(std::tuple(step.clean, step.taken, step.event), std::tuple(clean, taken, event));
  };
  expect("ab\ncd", 2, 3, Event::bare_lf);
  expect(".\r\nx", 0, 1, Event::lone_dot);
  expect("\r\nx\ry", 3, 4, Event::bare_cr);
  expect("y\r\n.", 3, 3, Event::more);
  expect(".", 0, 0, Event::more);
  expect(".\r", 0, 0, Event::more);
  expect(".\r\n", 0, 3, Event::end);
  scanner.reset();
  expect("", 0, 0, Event::more);
  expect("\r", 0, 0, Event::more);
  expect("\r\n", 2, 2, Event::more);
}

// V01: none of these may end the message, whatever stands behind it.
TEST_P(DataScannerOnEachKernel, smuggled_ends_are_content) {
  using namespace std::string_literals;
  for (const std::string& trick :
       {"\n.\n"s, "\n.\r\n"s, "\r\n.\n"s, "\r.\r"s, "\r.\r\n"s, "\n.\r"s, "\r.\n"s, "\r\n\0.\r\n"s,
        "\r\n.\r\r\n"s, "\r\r\n.\r\r\n"s, "\r\n.\0\r\n"s, "\r\n.\r"s, "\r\n.\r.\r\n"s,
        "\r\n\r.\r\n"s, "\r\n.\n.\n"s, "\n\n.\r\n"s, "\r\n. \r\n"s, "\r\n.\n\r\n"s}) {
    for (const size_t pad : {0U, 1U, 57U, 60U, 61U, 62U, 63U, 64U, 65U}) {
      const std::string text = std::string(pad, 'x') + trick + "MAIL FROM:<s@x>\r\nDATA\r\n";
      check_with_every_cut(text);
      EXPECT_FALSE(run(text).ended) << testing::PrintToString(text);
      check_with_every_cut(text + ".\r\n");
      EXPECT_TRUE(run(text + ".\r\n").ended) << testing::PrintToString(text);
    }
  }
}

// V03: no length of line or place of a cut makes a dot special.
TEST_P(DataScannerOnEachKernel, long_lines_hide_no_end) {
  for (const size_t length :
       {62U, 63U, 64U, 65U, 997U, 998U, 999U, 1000U, 1001U, 2047U, 2048U, 2049U, 2050U}) {
    const std::string text =
        std::string(length, 'x') + ".\r\n" + std::string(length, '.') + "\r\n.\r\n";
    const Stored stored = run(text);
    EXPECT_TRUE(stored.ended);
    EXPECT_EQ(stored.bytes, text.substr(0, text.size() - 3));
    EXPECT_EQ(stored.stuffed, 1U);
    EXPECT_EQ(run(text, {length}), stored);
    EXPECT_EQ(run(text, {length + 1}), stored);
  }
}

TEST_P(DataScannerOnEachKernel, every_short_text_at_a_block_boundary) {
  constexpr std::string_view alphabet = "\r\n.a";
  for (uint32_t length = 0; length <= 6; ++length) {
    for (uint32_t number = 0; number < 1U << (2 * length); ++number) {
      std::string text;
      for (uint32_t i = 0; i < length; ++i) text += alphabet[number >> (2 * i) & 3];
      const Stored expected = by_lines(text);
      ASSERT_EQ(run(text), expected) << testing::PrintToString(text);
      expect_invariant(expected.bytes);
      for (size_t i = 0; i <= length; ++i) ASSERT_EQ(run(text, {i}), expected);
      for (const size_t pad : {59U, 61U, 62U, 63U}) {
        const std::string padded = std::string(pad, 'x') + "\r\n" + text + "yy";
        ASSERT_EQ(run(padded), by_lines(padded)) << testing::PrintToString(padded);
      }
    }
  }
}

std::string random_text(Prng& random) {
  std::string text;
  const uint64_t pieces = random.below(40);
  const uint32_t long_runs = static_cast<uint32_t>(random.below(40));
  for (uint64_t i = 0; i < pieces; ++i) {
    if (random.chance(long_runs)) {
      text.append(random.below(150), 'x');
      continue;
    }
    constexpr std::string_view pieces_of[] = {"\r",   "\n",    ".",      "a",
                                              "\r\n", "\r\n.", "\r\n..", "\n."};
    text += random.chance(3) ? std::string(1, '\0') : std::string(pieces_of[random.below(8)]);
  }
  return text;
}

TEST_P(DataScannerOnEachKernel, random_text_cut_in_three) {
  Prng random(20240117);
  for (int round = 0; round < 20'000; ++round) {
    const std::string text = random_text(random);
    const Stored expected = by_lines(text);
    ASSERT_EQ(run(text), expected) << testing::PrintToString(text);
    expect_invariant(expected.bytes);
    const size_t first = random.below(text.size() + 1);
    const size_t second = first + random.below(text.size() + 1 - first);
    ASSERT_EQ(run(text, {first, second}), expected)
        << testing::PrintToString(text) << " cut at " << first << " and " << second;
  }
}

TEST(DataScanner, all_kernels_take_the_same_steps) {
  using Steps = std::vector<std::tuple<size_t, size_t, Event, uint64_t>>;
  const auto steps_of = [](std::string_view text) {
    Steps steps;
    DataScanner scanner;
    while (true) {
      const DataScanner::Step step = scanner.scan(text);
      steps.emplace_back(step.clean, step.taken, step.event, scanner.stuffed_dots());
      if (step.event == Event::end || step.event == Event::more) return steps;
      text.remove_prefix(step.taken);
    }
  };
  Prng random(7);
  for (int round = 0; round < 20'000; ++round) {
    const std::string text = random_text(random);
    ASSERT_TRUE(DataScanner::force_kernel("scalar"));
    const Steps expected = steps_of(text);
    for (const std::string& name : kernels()) {
      ASSERT_TRUE(DataScanner::force_kernel(name));
      ASSERT_EQ(steps_of(text), expected) << name << ": " << testing::PrintToString(text);
    }
  }
}

TEST(DataScanner, knows_its_kernels) {
  EXPECT_FALSE(DataScanner::force_kernel("none"));
  for (const std::string& name : kernels()) {
    EXPECT_TRUE(DataScanner::force_kernel(name));
    EXPECT_EQ(DataScanner::kernel_name(), name);
  }
}

}  // namespace
}  // namespace mx::smtp
