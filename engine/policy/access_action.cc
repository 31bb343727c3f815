#include "engine/policy/access_action.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "proto/base/text.h"

namespace mx::policy {

namespace {

using Kind = AccessAction::Kind;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

std::string_view trim_front(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

// 1 to 3 digits in front of `text`.
bool take_number(std::string_view& text, uint16_t& number) {
  const size_t size = std::min<size_t>(text.size(), 3);
  const auto [end, error] = std::from_chars(text.data(), text.data() + size, number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

struct Word {
  std::string_view name;
  Kind kind;
};
constexpr std::array words{
    Word{"OK", Kind::ok},
    Word{"RELAY", Kind::ok},
    Word{"DUNNO", Kind::dunno},
    Word{"REJECT", Kind::reject},
    Word{"DEFER", Kind::defer},
    Word{"DEFER_IF_PERMIT", Kind::defer_if_permit},
    Word{"DEFER_IF_REJECT", Kind::defer_if_reject},
    Word{"DISCARD", Kind::discard},
    Word{"HOLD", Kind::hold},
    Word{"REDIRECT", Kind::redirect},
    Word{"BCC", Kind::bcc},
    Word{"PREPEND", Kind::prepend},
    Word{"INFO", Kind::info},
    Word{"WARN", Kind::warn},
    Word{"FILTER", Kind::filter},
};

bool has_enhanced_code(Kind kind) {
  return kind == Kind::reject || kind == Kind::defer || kind == Kind::defer_if_permit ||
         kind == Kind::defer_if_reject;
}

}  // namespace

smtp::EnhancedCode take_enhanced_code(std::string_view& text, smtp::EnhancedCode fallback) {
  std::string_view rest = text;
  if (rest.empty() || (rest[0] != '2' && rest[0] != '4' && rest[0] != '5')) return fallback;
  smtp::EnhancedCode code{static_cast<uint8_t>(rest[0] - '0'), 0, 0};
  rest.remove_prefix(1);
  for (uint16_t* const part : {&code.subject, &code.detail}) {
    if (!rest.starts_with('.')) return fallback;
    rest.remove_prefix(1);
    if (!take_number(rest, *part)) return fallback;
  }
  if (!rest.empty() && !is_blank(rest.front())) return fallback;
  text = trim_front(rest);
  return code;
}

AccessAction parse_access_action(std::string_view value) {
  AccessAction action;
  value = trim_front(value);
  if (value.empty()) return action;
  const size_t end =
      static_cast<size_t>(std::find_if(value.begin(), value.end(), is_blank) - value.begin());
  const std::string_view word = value.substr(0, end);
  action.text = trim_front(value.substr(end));
  for (const Word& known : words) {
    if (!equals_ignoring_case(word, known.name)) continue;
    action.kind = known.kind;
    if (has_enhanced_code(known.kind)) action.enhanced = take_enhanced_code(action.text, {4, 7, 1});
    return action;
  }
  if (std::all_of(value.begin(), value.end(), is_digit)) {
    action.kind = Kind::ok;
    return action;
  }
  if (value.size() >= 3 && std::all_of(value.begin(), value.begin() + 3, is_digit)) {
    action.kind = Kind::refuse;
    action.code =
        static_cast<uint16_t>((value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0'));
    action.text = trim_front(value.substr(3));
    action.enhanced = take_enhanced_code(action.text, {4, 7, 1});
    return action;
  }
  action.kind = Kind::restrictions;
  action.text = value;
  return action;
}

}  // namespace mx::policy
