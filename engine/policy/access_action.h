// engine/policy/access_action.h - reads a result of access(5): what stands behind a key of an
// access table, or behind `action=` of a policy service.
//
// Pure; the views are of the text. Grammar and oddities are Postfix's: `550` alone is all digits
// and means OK; a word that is no action is a list of restrictions.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/smtp/verdict.h"

namespace mx::policy {

struct AccessAction {
  enum class Kind : uint8_t {
    ok,
    dunno,
    refuse,  // code, enhanced, text; no text: "Access denied"
    reject,  // the same with access_map_reject_code
    defer,   // the same with access_map_defer_code
    defer_if_permit,
    defer_if_reject,
    discard,
    hold,
    redirect,
    bcc,
    prepend,
    info,
    warn,
    filter,
    restrictions,  // text: names to be evaluated in place
    empty,
  };
  Kind kind = Kind::empty;
  uint16_t code = 0;
  smtp::EnhancedCode enhanced;
  std::string_view text;
};

AccessAction parse_access_action(std::string_view value);

// The enhanced code at the front of `text`, which is taken off it; `fallback` when there is none.
smtp::EnhancedCode take_enhanced_code(std::string_view& text, smtp::EnhancedCode fallback);

}  // namespace mx::policy
