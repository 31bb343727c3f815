// engine/config/values.h - the value types of main.cf: boolean, integer, time, list (postconf(5)).
// Pure functions over expanded text; an error is a sentence without place.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/settings.h"
#include "proto/base/time.h"

namespace mx::config {

inline constexpr std::string_view list_separators = ", \t\r\n";

template <typename T>
using Parsed = std::expected<T, std::string>;

Parsed<bool> parse_boolean(std::string_view text);  // yes or no, in any case
Parsed<uint64_t> parse_integer(std::string_view text, uint64_t min, uint64_t max);
// Digits and at most one of s m h d w; without one `default_unit` counts.
Parsed<Duration> parse_time(std::string_view text, char default_unit, Duration min, Duration max);

// A number of 0 to 1, alone or with "/ concurrency" or "/ sqrt_concurrency" behind it.
Parsed<Feedback> parse_feedback(std::string_view text);

// Words between commas and white space; `{ a b }` is one word, with its braces.
Parsed<std::vector<std::string_view>> split_list(std::string_view text);

}  // namespace mx::config
