// proto/base/text.h - the few text helpers that every parser needs. ASCII only: case folding leaves
// bytes above 127 alone, as Postfix's lookups do. No allocation, no locale.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mx {

constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
constexpr char to_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_alnum(char c) {
  return is_digit(c) || is_alpha(c);
}
// -1: not a hexadecimal digit.
constexpr int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  const char low = to_lower(c);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}
// Space, tab, CR, LF, vertical tab, form feed.
constexpr bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool equals_ignoring_case(std::string_view a, std::string_view b);
bool starts_with_ignoring_case(std::string_view text, std::string_view prefix);
std::string lower(std::string_view text);
bool has_upper(std::string_view text);
// Writes `text` in lower case to `out`, which holds text.size() bytes and does not overlap it.
// Eight bytes at a time: what a table look-up does with every key.
void lower_into(char* out, std::string_view text);

std::string_view trim(std::string_view text);
std::string_view trim_front(std::string_view text);

// The whole of `text` as decimal digits, no sign, no blanks; nothing on overflow or any other byte.
std::optional<uint64_t> parse_decimal(std::string_view text);

// A number in digits, as text that lives as long as this does.
class Decimal {
 public:
  explicit Decimal(uint64_t number)
      : size_(static_cast<size_t>(std::to_chars(digits_, digits_ + sizeof digits_, number).ptr -
                                  digits_)) {}
  std::string_view view() const { return {digits_, size_}; }

 private:
  char digits_[20];
  size_t size_;
};

// Takes the first word (up to a byte of `separators`) off the front of `text`, skipping separators
// before it; empty when none is left.
std::string_view take_word(std::string_view& text, std::string_view separators);

constexpr bool is_ascii(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}
// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_valid_utf8(std::string_view text);

// For logs and replies: control bytes (0-31, 127) and bytes above 127 that are not valid UTF-8
// become '?'. Appends at most `limit` bytes to `out`.
void append_printable(std::string& out, std::string_view text, size_t limit = SIZE_MAX);
std::string printable(std::string_view text, size_t limit = SIZE_MAX);

// Levenshtein distance, given up (returns limit + 1) when it exceeds `limit`. For near-name
// suggestions.
size_t edit_distance(std::string_view a, std::string_view b, size_t limit);

}  // namespace mx
