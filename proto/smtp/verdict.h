// proto/smtp/verdict.h - what policy answers to a question of the SMTP server machine.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/fixed_text.h"

namespace mx::smtp {

// RFC 3463 enhanced status code.
struct EnhancedCode {
  uint8_t status = 0;  // 2, 4 or 5; 0: none
  uint16_t subject = 0, detail = 0;
  bool operator==(const EnhancedCode&) const = default;
};

// What went wrong, as notify_classes has it; a set.
using ErrorClasses = uint8_t;
inline constexpr ErrorClasses error_policy = 1, error_protocol = 2, error_data = 4,
                              error_resource = 8, error_software = 16, error_bounce = 32;

struct Verdict {
  enum class Kind : uint8_t { permit, refuse };
  Kind kind = Kind::permit;
  uint16_t code = 0;  // SMTP code of a refusal, 4xx or 5xx; 421 and 521 also close the session
  EnhancedCode enhanced;
  ErrorClasses error_class = error_policy;
  FixedText<480> text;  // without code and enhanced code; control bytes already made harmless
  static Verdict permit() { return {}; }
  bool permitted() const { return kind == Kind::permit; }
};

}  // namespace mx::smtp
