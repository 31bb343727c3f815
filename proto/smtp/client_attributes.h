// proto/smtp/client_attributes.h - what XCLIENT and XFORWARD say of a client behind the one that
// speaks (Postfix's XCLIENT_README, XFORWARD_README): attribute=value, the value in xtext.
//
// XCLIENT puts a client in the place of the session's own, for policy and for the log. XFORWARD
// names one for the log alone. Names, addresses and ports are checked; whatever else could break a
// log line or a header becomes '?'.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/fixed_text.h"
#include "proto/base/ip_address.h"
#include "proto/base/limits.h"

namespace mx::smtp {

using AttributeText = FixedText<limits::client_attribute_bytes_max>;

// Of XCLIENT. What was not given stays as it is.
struct ClientAttributes {
  enum class Name : uint8_t { not_given, known, not_found, tempfail };
  Name name_status = Name::not_given, reverse_status = Name::not_given;
  AttributeText name, reverse_name;  // "unknown" unless known
  bool has_address = false;
  bool address_known = false;  // else [UNAVAILABLE]
  AttributeText address_text;  // no brackets; "unknown"
  IpAddress address;           // IPv4-mapped IPv6 as IPv4
  bool has_helo = false;
  AttributeText helo;
  bool has_protocol = false, esmtp = false;
};

// Of XFORWARD, over all commands of it before one message.
struct ForwardedAttributes {
  AttributeText name, address, ident;
  bool empty() const { return name.empty() && address.empty() && ident.empty(); }
};

struct AttributeFault {
  enum class Kind : uint8_t { none, no_value, too_long, bad_value, bad_name };
  Kind kind = Kind::none;
  AttributeText attribute, value;  // for the reply
};

// `arguments` is the command line behind the verb. On a fault the attributes are of no use.
AttributeFault parse_xclient(std::string_view arguments, ClientAttributes& attributes);
AttributeFault parse_xforward(std::string_view arguments, ForwardedAttributes& attributes);

}  // namespace mx::smtp
