// proto/mail/address.h - mail addresses as they stand in MAIL and RCPT (RFC 5321 4.1.2).
//
// parse_path() takes what follows "FROM:" or "TO:" and gives one canonical text: source route gone,
// one trailing dot of the domain gone, local part unquoted and quoted again only where it has to
// be. So
// <"bob"@x>, <@a,@b:bob@x> and <bob@x.> are one key to every table, and the text can go between
// angle brackets on the wire as it is. Mail is routed by the last '@' outside quotes; any other '@'
// ends up inside quotes.
//
// Leniency is Postfix's: white space around, missing or doubled angle brackets, backslashes outside
// quotes, dots in odd places, 8-bit bytes in the local part. Never accepted: control bytes,
// comments, a domain that is neither a host name nor an address literal, a local part that starts
// with '-' (allow_min_user=no), and anything over the limits: nothing is cut.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proto/base/fixed_text.h"
#include "proto/base/limits.h"

namespace mx::mail {

struct AddressParts {
  std::string_view local;
  std::string_view domain;
  bool has_domain = false;
};

// Splits a canonical address; domain is empty when there is none. The local part stays quoted.
AddressParts split(std::string_view address);

class Address {
 public:
  // Canonical text; empty for the null address. Views live as long as the object stays where it is.
  std::string_view text() const { return text_.view(); }
  bool null() const { return text_.empty(); }
  std::string_view local() const { return split(text()).local; }
  std::string_view domain() const { return split(text()).domain; }

 private:
  friend class PathParser;
  FixedText<limits::address_bytes_max> text_;
};

enum class PathRules : uint8_t {
  lenient,
  strict,  // strict_rfc821_envelopes: angle brackets, no blanks before or inside them
};

struct Path {
  Address address;
  std::string_view rest;  // of the argument: the parameters, blanks at the front gone
};

// `argument` is a command line behind "FROM:" or "TO:". Nothing when it is no path, or over a
// limit. "<>" gives the null address. `utf8`: the domain may be an internationalised one as it
// stands (SMTPUTF8, RFC 6531 3.3).
std::optional<Path> parse_path(std::string_view argument, PathRules rules, bool utf8 = false);

// The bytes that a canonical local part stands for: quotes and backslashes gone. Nothing when they
// are more than a local part may have, which no parsed address brings about.
std::optional<FixedText<limits::local_part_bytes_max>> unquoted(std::string_view local);

// Postfix's idea of a host name: letters, digits, '_', '-' and dots, no label empty or over 63, at
// most 255, not only digits and dots. No trailing dot.
bool is_valid_hostname(std::string_view name);
bool is_ipv4(std::string_view text);
bool is_ipv6(std::string_view text);
// "[1.2.3.4]" or "[IPv6:::1]".
bool is_address_literal(std::string_view text);

// For reject_non_fqdn_helo_hostname and reject_non_fqdn_sender/_recipient: a valid host name with a
// dot in it (one trailing dot does not count), or an address literal.
bool is_fully_qualified_domain(std::string_view domain);
bool is_fully_qualified(std::string_view address);

// The local part says where the mail shall go next: '%', '!' or an '@' in it.
bool has_sender_routing(std::string_view address);

}  // namespace mx::mail
