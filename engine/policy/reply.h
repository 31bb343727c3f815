// engine/policy/reply.h - the texts of refusals, worded and cleaned as Postfix does.
#pragma once

#include <initializer_list>
#include <string_view>

#include "proto/smtp/verdict.h"

namespace mx::policy {

// A refusal whose text is the pieces joined. The first digit of the enhanced code is that of
// `code`. A code that is no 4xx or 5xx becomes 450 4.7.1 "Service unavailable". Bytes that are not
// printable ASCII become spaces; what exceeds a reply's room is cut, as in Postfix.
smtp::Verdict refuse(uint16_t code, smtp::EnhancedCode enhanced,
                     std::initializer_list<std::string_view> pieces);

}  // namespace mx::policy
