#include "engine/config/values.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr size_t shown_bytes_max = 60;

constexpr int64_t seconds_in(char unit) {
  switch (unit) {
    case 's':
      return 1;
    case 'm':
      return 60;
    case 'h':
      return 3600;
    case 'd':
      return 86'400;
    case 'w':
      return 604'800;
    default:
      return 0;
  }
}

std::string seconds_text(Duration duration) {
  return fmt::format("{}s", duration.us / 1'000'000);
}

}  // namespace

Parsed<bool> parse_boolean(std::string_view text) {
  if (equals_ignoring_case(text, "yes")) return true;
  if (equals_ignoring_case(text, "no")) return false;
  return std::unexpected(fmt::format("bad boolean value \"{}\": yes or no is expected",
                                     printable(text, shown_bytes_max)));
}

Parsed<uint64_t> parse_integer(std::string_view text, uint64_t min, uint64_t max) {
  const auto number = parse_decimal(text);
  if (!number)
    return std::unexpected(
        fmt::format("bad numerical value \"{}\"", printable(text, shown_bytes_max)));
  if (*number < min || *number > max)
    return std::unexpected(fmt::format("{} is not between {} and {}", *number, min, max));
  return *number;
}

Parsed<Duration> parse_time(std::string_view text, char default_unit, Duration min, Duration max) {
  std::string_view digits = text;
  char unit = default_unit;
  if (!digits.empty() && is_alpha(digits.back())) {
    unit = digits.back();
    digits.remove_suffix(1);
  }
  const auto number = parse_decimal(digits);
  const int64_t factor = seconds_in(unit);
  if (!number || factor == 0)
    return std::unexpected(
        fmt::format("bad time value \"{}\": digits and one of s m h d w are expected",
                    printable(text, shown_bytes_max)));
  const auto most = static_cast<uint64_t>(max.us / 1'000'000 / factor);
  if (*number > most || seconds(static_cast<int64_t>(*number) * factor) < min)
    return std::unexpected(fmt::format("{} is not between {} and {}",
                                       printable(text, shown_bytes_max), seconds_text(min),
                                       seconds_text(max)));
  return seconds(static_cast<int64_t>(*number) * factor);
}

Parsed<Feedback> parse_feedback(std::string_view text) {
  const auto bad = [&] {
    return std::unexpected(
        fmt::format("bad feedback \"{}\": a number of 0 to 1, alone or with / concurrency or "
                    "/ sqrt_concurrency behind it",
                    printable(text, shown_bytes_max)));
  };
  const size_t slash = text.find('/');
  const std::string_view number = trim(text.substr(0, slash));
  Feedback feedback;
  if (slash != std::string_view::npos) {
    const std::string_view by = trim(text.substr(slash + 1));
    if (by != "concurrency" && by != "sqrt_concurrency") return bad();
    feedback.by = by == "concurrency" ? Feedback::By::concurrency : Feedback::By::sqrt_concurrency;
  }
  double value = -1;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value,
                                            std::chars_format::fixed);
  if (error != std::errc{} || end != number.data() + number.size()) return bad();
  if (!(value >= 0 && value <= 1)) return bad();
  feedback.thousandths = static_cast<uint16_t>(std::lround(value * 1000));
  return feedback;
}

Parsed<std::vector<std::string_view>> split_list(std::string_view text) {
  std::vector<std::string_view> words;
  const auto is_separator = [](char c) {
    return list_separators.find(c) != std::string_view::npos;
  };
  for (size_t at = 0; at < text.size();) {
    if (is_separator(text[at])) {
      ++at;
      continue;
    }
    const size_t start = at;
    size_t depth = 0;  // separators inside braces separate nothing
    for (; at < text.size() && (depth > 0 || !is_separator(text[at])); ++at) {
      if (text[at] == '{') ++depth;
      if (text[at] == '}' && depth > 0) --depth;
    }
    if (depth > 0)
      return std::unexpected(
          fmt::format("missing '}}' in \"{}\"", printable(text.substr(start), shown_bytes_max)));
    words.push_back(text.substr(start, at - start));
  }
  return words;
}

}  // namespace mx::config
