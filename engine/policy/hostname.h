// engine/policy/hostname.h - what counts as a host name: Postfix's valid_hostname.
#pragma once

#include <string_view>

namespace mx::policy {

// Letters, digits, `-`, `_` and dots; labels of 1 to 63 bytes that neither begin nor end with `-`;
// no trailing dot; at most 255 bytes; not digits and dots alone.
bool valid_hostname(std::string_view name);

}  // namespace mx::policy
