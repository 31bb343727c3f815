#include "proto/mail/dsn.h"

#include <array>

#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::mail {
namespace {

bool is_harmless(int byte) {
  return byte == '\t' || (byte >= ' ' && byte != 0x7F);
}

// `ascii`: what is decoded must be ASCII as well.
bool is_xtext(std::string_view text, bool ascii) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] <= ' ' || text[i] > '~') return false;
    if (text[i] != '+') continue;
    if (i + 2 >= text.size()) return false;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0 || !is_harmless(high * 16 + low)) return false;
    if (ascii && high > 7) return false;
    i += 2;
  }
  return true;
}

// RFC 6533 3: "\x{HEX}" for a character, others as they are, in UTF-8 or not.
bool is_unitext(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte <= ' ' || byte == 0x7F) return false;
    if (byte != '\\') continue;
    const size_t close = text.find('}', i);
    if (close == std::string_view::npos || !text.substr(i).starts_with("\\x{")) return false;
    const std::string_view digits = text.substr(i + 3, close - i - 3);
    if (digits.size() < 2 || digits.size() > 6) return false;
    int character = 0;
    for (const char c : digits) {
      if (hex_digit(c) < 0) return false;
      character = character * 16 + hex_digit(c);
    }
    if (character < ' ' || (character >= 0x7F && character < 0xA0) || character > 0x10FFFF)
      return false;
    i = close;
  }
  return true;
}

bool is_address_type(std::string_view type) {
  for (const char c : type)
    if (!is_alnum(c) && c != '-') return false;
  return !type.empty();
}

}  // namespace

std::optional<DsnReturn> parse_dsn_return(std::string_view text) {
  if (equals_ignoring_case(text, "FULL")) return DsnReturn::full;
  if (equals_ignoring_case(text, "HDRS")) return DsnReturn::headers;
  return std::nullopt;
}

std::optional<DsnNotify> parse_dsn_notify(std::string_view text) {
  DsnNotify notify = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(word.size());
    if (text == ",") return std::nullopt;
    if (!text.empty()) text.remove_prefix(1);
    if (equals_ignoring_case(word, "NEVER"))
      notify |= notify_never;
    else if (equals_ignoring_case(word, "SUCCESS"))
      notify |= notify_success;
    else if (equals_ignoring_case(word, "FAILURE"))
      notify |= notify_failure;
    else if (equals_ignoring_case(word, "DELAY"))
      notify |= notify_delay;
    else
      return std::nullopt;
  }
  if (notify == 0 || ((notify & notify_never) != 0 && notify != notify_never)) return std::nullopt;
  return notify;
}

bool is_dsn_envelope_id(std::string_view text) {
  return !text.empty() && text.size() <= limits::dsn_envelope_id_bytes_max && is_xtext(text, true);
}

bool is_dsn_original_recipient(std::string_view text) {
  const size_t semicolon = text.find(';');
  if (semicolon == std::string_view::npos || text.size() > limits::dsn_original_recipient_bytes_max)
    return false;
  const std::string_view type = text.substr(0, semicolon), address = text.substr(semicolon + 1);
  if (!is_address_type(type) || address.empty()) return false;
  return equals_ignoring_case(type, "utf-8") ? is_unitext(address) : is_xtext(address, false);
}

std::string_view dsn_notify_text(DsnNotify notify) {
  static constexpr std::array<std::string_view, 8> lists = {
      "NEVER", "SUCCESS",       "FAILURE",       "SUCCESS,FAILURE",
      "DELAY", "SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"};
  MX_ASSERT(notify != 0 && notify <= notify_all);
  return (notify & notify_never) != 0 ? lists[0] : lists[notify / 2U];
}

}  // namespace mx::mail
