#include "proto/smtp/command.h"

#include <algorithm>
#include <optional>

#include "proto/base/text.h"

namespace mx::smtp {
namespace {

using Kind = ParameterFault::Kind;
constexpr std::string_view blanks = " \t";

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// A header field name and its colon (RFC 5322 2.2).
bool is_header_name(std::string_view verb) {
  const size_t colon = verb.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view name = verb.substr(0, colon);
  return std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

std::string_view take_verb(std::string_view& line) {
  const auto end = std::find_if(line.begin(), line.end(), is_space);
  const std::string_view verb = line.substr(0, static_cast<size_t>(end - line.begin()));
  line.remove_prefix(verb.size());
  line = trim_front(line);
  return verb;
}

bool is_not_smtp(std::string_view verb) {
  if (verb.empty() || !is_alpha(verb.front())) return true;
  for (const std::string_view foreign : {"CONNECT", "GET", "POST"})
    if (equals_ignoring_case(verb, foreign)) return true;
  return is_header_name(verb);
}

bool take_keyword(std::string_view& arguments, std::string_view keyword) {
  if (!starts_with_ignoring_case(arguments, keyword)) return false;
  arguments = trim_front(arguments.substr(keyword.size()));
  return !arguments.empty();
}

ParameterFault parse_mail_parameters(std::string_view text, MailParameters& parameters) {
  for (std::string_view word; !(word = take_word(text, blanks)).empty();) {
    if (starts_with_ignoring_case(word, "SIZE=")) {
      const std::string_view digits = word.substr(5);
      if (!all_digits(digits)) return {Kind::bad_size, word};
      const std::optional<uint64_t> size = parse_decimal(digits);
      // Above the range of file sizes Postfix gives another text.
      if (!size || *size > INT64_MAX) return {Kind::size_overflow, word};
      parameters.size = *size;
    } else if (equals_ignoring_case(word, "BODY=8BITMIME")) {
      parameters.eight_bit = true;
    } else if (equals_ignoring_case(word, "BODY=7BIT")) {
      parameters.eight_bit = false;
    } else if (starts_with_ignoring_case(word, "RET=") ||
               starts_with_ignoring_case(word, "ENVID=")) {
      return {Kind::dsn_disabled, word};
    } else if (!starts_with_ignoring_case(word, "AUTH=")) {
      return {Kind::unsupported, word};
    }
  }
  return {};
}

ParameterFault parse_rcpt_parameters(std::string_view text) {
  const std::string_view word = take_word(text, blanks);
  if (word.empty()) return {};
  const bool dsn =
      starts_with_ignoring_case(word, "NOTIFY=") || starts_with_ignoring_case(word, "ORCPT=");
  return {dsn ? Kind::dsn_disabled : Kind::unsupported, word};
}

}  // namespace mx::smtp
