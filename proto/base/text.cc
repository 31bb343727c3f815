#include "proto/base/text.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace mx {

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  return true;
}

namespace {

// Bit 7 of the bytes 'A' to 'Z': in each byte below 128 the sums carry into bit 7 from 'A' on and
// from 'Z' + 1 on.
uint64_t upper_of_eight(uint64_t bytes) {
  constexpr uint64_t each = 0x0101010101010101ULL;
  const uint64_t low = bytes & (0x7F * each);
  const uint64_t from_a = low + (0x80 - 'A') * each;
  const uint64_t after_z = low + (0x80 - 'Z' - 1) * each;
  return from_a & ~after_z & ~bytes & (0x80 * each);
}

uint64_t load_eight(const char* from) {
  uint64_t bytes = 0;
  std::memcpy(&bytes, from, sizeof bytes);
  return bytes;
}

}  // namespace

bool has_upper(std::string_view text) {
  const size_t size = text.size();
  if (size < 8)
    return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  uint64_t found = upper_of_eight(load_eight(text.data() + size - 8));
  for (size_t at = 0; at + 8 < size; at += 8) found |= upper_of_eight(load_eight(text.data() + at));
  return found != 0;
}

void lower_into(char* out, std::string_view text) {
  const auto eight_at = [&](size_t at) {
    uint64_t bytes = load_eight(text.data() + at);
    bytes |= upper_of_eight(bytes) >> 2;
    std::memcpy(out + at, &bytes, sizeof bytes);
  };
  const size_t size = text.size();
  if (size < 8) {
    for (size_t i = 0; i < size; ++i) out[i] = to_lower(text[i]);
    return;
  }
  for (size_t at = 0; at + 8 < size; at += 8) eight_at(at);
  eight_at(size - 8);  // may do some bytes again
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

std::string lower(std::string_view text) {
  std::string out(text.size(), '\0');
  lower_into(out.data(), text);
  return out;
}

std::string_view trim_front(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return text;
}

std::string_view trim(std::string_view text) {
  text = trim_front(text);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<uint64_t> parse_decimal(std::string_view text) {
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    const uint64_t digit = static_cast<uint64_t>(c - '0');
    if (value > (UINT64_MAX - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::string_view take_word(std::string_view& text, std::string_view separators) {
  const size_t start = std::min(text.find_first_not_of(separators), text.size());
  const size_t end = std::min(text.find_first_of(separators, start), text.size());
  const std::string_view word = text.substr(start, end - start);
  text.remove_prefix(end);
  return word;
}

namespace {

// Length of the valid UTF-8 sequence at the front of `text`, 0 when it is not one (RFC 3629: no
// overlong forms, no surrogates, nothing above U+10FFFF).
size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto tail = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const unsigned char lead = byte(0);
  if (lead >= 0xC2 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;
    if (lead == 0xED && byte(1) > 0x9F) return 0;
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (lead == 0xF0 && byte(1) < 0x90) return 0;
    if (lead == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const bool ascii = static_cast<unsigned char>(text[0]) < 0x80;
    const size_t length = ascii ? 1 : utf8_sequence(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void append_printable(std::string& out, std::string_view text, size_t limit) {
  size_t written = 0;
  while (!text.empty() && written < limit) {
    const unsigned char c = static_cast<unsigned char>(text[0]);
    size_t length = 1;
    if (c >= 0x80) length = utf8_sequence(text);
    // U+0080..U+009F are control characters to a terminal, although valid UTF-8.
    const bool c1_control = length == 2 && c == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    if (c < 0x20 || c == 0x7F || length == 0 || c1_control) {
      out.push_back('?');
      ++written;
      text.remove_prefix(c1_control ? 2 : 1);
      continue;
    }
    if (written + length > limit) break;
    out.append(text.substr(0, length));
    written += length;
    text.remove_prefix(length);
  }
}

std::string printable(std::string_view text, size_t limit) {
  std::string out;
  append_printable(out, text, limit);
  return out;
}

size_t edit_distance(std::string_view a, std::string_view b, size_t limit) {
  const size_t gap = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (gap > limit) return limit + 1;
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return std::min(row[b.size()], limit + 1);
}

}  // namespace mx
