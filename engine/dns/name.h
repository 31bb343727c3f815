// engine/dns/name.h - names as DNS has them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mx::dns {

// An internationalised domain in UTF-8 as its ASCII form (IDNA 2008, RFC 5891, non-transitional as
// Postfix's); nothing when it has none. RFC 6531 3.2 looks mail's domains up in this form.
std::optional<std::string> ascii_name(std::string_view domain);

}  // namespace mx::dns
