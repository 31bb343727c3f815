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

// SIZE= of RFC 1870.
Kind take_size(std::string_view digits, uint64_t& size) {
  if (!all_digits(digits)) return Kind::bad_size;
  const std::optional<uint64_t> parsed = parse_decimal(digits);
  // Above the range of file sizes Postfix gives another text.
  if (!parsed || *parsed > INT64_MAX) return Kind::size_overflow;
  size = *parsed;
  return Kind::none;
}

Kind take_ret(std::string_view value, MailOptions& options) {
  const auto ret = mail::parse_dsn_return(value);
  if (!ret || options.dsn_return != mail::DsnReturn::unset) return Kind::bad_ret;
  options.dsn_return = *ret;
  return Kind::none;
}

Kind take_envid(std::string_view value, MailOptions& options) {
  if (!options.envelope_id.empty() || !mail::is_dsn_envelope_id(value)) return Kind::bad_envid;
  options.envelope_id = value;
  return Kind::none;
}

}  // namespace

std::string_view take_verb(std::string_view& line) {
  const auto end = std::find_if(line.begin(), line.end(), is_space);
  const std::string_view verb = line.substr(0, static_cast<size_t>(end - line.begin()));
  line.remove_prefix(verb.size());
  line = trim_front(line);
  return verb;
}

bool is_header_name(std::string_view verb) {
  const size_t colon = verb.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view name = verb.substr(0, colon);
  return std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool take_keyword(std::string_view& arguments, std::string_view keyword) {
  if (!starts_with_ignoring_case(arguments, keyword)) return false;
  arguments = trim_front(arguments.substr(keyword.size()));
  return !arguments.empty();
}

bool asks_smtputf8(std::string_view text) {
  for (std::string_view word; !(word = take_word(text, blanks)).empty();)
    if (equals_ignoring_case(word, "SMTPUTF8")) return true;
  return false;
}

ParameterFault parse_mail_parameters(std::string_view text, const ParameterRules& rules,
                                     MailOptions& options) {
  bool auth = false;
  for (std::string_view word; !(word = take_word(text, blanks)).empty();) {
    const size_t value = word.find('=') + 1;  // 0: there is none
    const auto is = [&](std::string_view name) { return starts_with_ignoring_case(word, name); };
    Kind kind = Kind::none;
    if (is("SIZE=")) {
      kind = take_size(word.substr(value), options.size);
    } else if (equals_ignoring_case(word, "BODY=8BITMIME")) {
      options.eight_bit = true;
    } else if (equals_ignoring_case(word, "BODY=7BIT")) {
      options.eight_bit = false;
    } else if (is("RET=")) {
      kind = rules.dsn ? take_ret(word.substr(value), options) : Kind::dsn_disabled;
    } else if (is("ENVID=")) {
      kind = rules.dsn ? take_envid(word.substr(value), options) : Kind::dsn_disabled;
    } else if (is("AUTH=")) {
      if (auth) kind = Kind::second_auth;
      auth = auth || word.substr(value) != "<>";
    } else if (rules.smtputf8 && equals_ignoring_case(word, "SMTPUTF8")) {
      options.smtputf8 = true;
    } else {
      kind = Kind::unsupported;
    }
    if (kind != Kind::none) return {kind, word};
  }
  return {};
}

ParameterFault parse_rcpt_parameters(std::string_view text, const ParameterRules& rules,
                                     mail::RecipientDsn& dsn) {
  for (std::string_view word; !(word = take_word(text, blanks)).empty();) {
    const std::string_view value = word.substr(word.find('=') + 1);
    const bool notify = starts_with_ignoring_case(word, "NOTIFY=");
    const bool original = starts_with_ignoring_case(word, "ORCPT=");
    if (!notify && !original) return {Kind::unsupported, word};
    if (!rules.dsn) return {Kind::dsn_disabled, word};
    if (notify) {
      const auto parsed = mail::parse_dsn_notify(value);
      if (!parsed || dsn.notify != 0) return {Kind::bad_notify, word};
      dsn.notify = *parsed;
    } else {
      if (!dsn.original.empty() || !mail::is_dsn_original_recipient(value))
        return {Kind::bad_orcpt, word};
      dsn.original = value;
    }
  }
  return {};
}

std::optional<Chunk> parse_chunk(std::string_view arguments) {
  const std::string_view count = take_word(arguments, blanks);
  const std::string_view last = take_word(arguments, blanks);
  const bool more = !take_word(arguments, blanks).empty();
  const auto bytes = all_digits(count) ? parse_decimal(count) : std::nullopt;
  if (!bytes || *bytes > INT64_MAX || more) return std::nullopt;
  if (!last.empty() && !equals_ignoring_case(last, "LAST")) return std::nullopt;
  return Chunk{*bytes, !last.empty()};
}

}  // namespace mx::smtp
