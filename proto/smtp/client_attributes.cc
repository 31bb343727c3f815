#include "proto/smtp/client_attributes.h"

#include <algorithm>

#include "proto/base/assert.h"
#include "proto/base/text.h"
#include "proto/mail/address.h"

namespace mx::smtp {
namespace {

using Kind = AttributeFault::Kind;
using Name = ClientAttributes::Name;

constexpr std::string_view unavailable = "[UNAVAILABLE]", temporary = "[TEMPUNAVAIL]";
constexpr size_t protocol_bytes_max = 64;

// Decodes xtext; what is none stands as it is, as before Postfix 2.3. What is not printable is '?'.
AttributeText decoded(std::string_view raw) {
  AttributeText out;
  bool fits = true;
  for (size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '+') {
      const int high = i + 2 < raw.size() ? hex_digit(raw[i + 1]) : -1;
      const int low = i + 2 < raw.size() ? hex_digit(raw[i + 2]) : -1;
      if (high < 0 || low < 0) {
        out.clear();
        fits = out.append(raw);
        MX_ASSERT(fits);
        break;
      }
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    fits = out.append({&c, 1});
    MX_ASSERT(fits);  // never longer than raw
  }
  AttributeText clean;
  for (const char& c : out.view())
    fits = fits && clean.append(c >= ' ' && c <= '~' ? std::string_view(&c, 1) : "?");
  MX_ASSERT(fits);
  return clean;
}

// What Postfix replaces before it shows a value in a header or the log.
AttributeText harmless(const AttributeText& text) {
  constexpr std::string_view harmful = " <>()\\\";@";
  AttributeText out;
  for (const char& c : text.view()) {
    const bool fits = out.append(harmful.find(c) == harmful.npos ? std::string_view(&c, 1) : "?");
    MX_ASSERT(fits);
  }
  return out;
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), is_digit);
}

bool take_name(const AttributeText& value, Name& status, AttributeText& name) {
  const bool permanent = equals_ignoring_case(value.view(), unavailable);
  const bool passing = equals_ignoring_case(value.view(), temporary);
  if (permanent || passing) {
    status = permanent ? Name::not_found : Name::tempfail;
    return name.assign("unknown");
  }
  status = Name::known;
  name = value;
  return mail::is_valid_hostname(value.view());
}

// "[UNAVAILABLE]", "192.0.2.1", "IPV6:2001:db8::1", "2001:db8::1".
bool take_address(const AttributeText& value, AttributeText& text, IpAddress& address,
                  bool& known) {
  known = false;
  address = {};
  if (equals_ignoring_case(value.view(), unavailable)) return text.assign("unknown");
  std::string_view plain = value.view();
  const bool tagged = starts_with_ignoring_case(plain, "IPV6:");
  if (tagged) plain.remove_prefix(5);
  const std::optional<IpAddress> parsed = parse_ip_address(plain);
  if (!parsed || (tagged && !parsed->v6)) return false;
  address = unmapped(*parsed);
  known = true;
  return text.assign(to_string(address));
}

bool take_helo(const AttributeText& value, ClientAttributes& attributes) {
  if (value.size() > limits::domain_bytes_max) return false;
  attributes.has_helo = true;
  attributes.helo = {};
  if (!equals_ignoring_case(value.view(), unavailable)) attributes.helo = harmless(value);
  return true;
}

bool take_protocol(std::string_view value, ClientAttributes& attributes) {
  attributes.has_protocol = true;
  attributes.esmtp = equals_ignoring_case(value, "ESMTP");
  return attributes.esmtp || equals_ignoring_case(value, "SMTP");
}

bool take_port(const AttributeText& value) {
  return equals_ignoring_case(value.view(), unavailable) || is_port(value.view());
}

Kind take_xclient(std::string_view name, const AttributeText& value, ClientAttributes& to) {
  const auto is = [&](std::string_view known) { return equals_ignoring_case(name, known); };
  AttributeText text;
  IpAddress address;
  bool known = false, good = false;
  if (is("NAME")) {
    good = take_name(value, to.name_status, to.name);
    if (good && to.name_status == Name::known) {
      to.reverse_status = Name::known;
      to.reverse_name = to.name;
    }
  } else if (is("REVERSE_NAME")) {
    good = take_name(value, to.reverse_status, to.reverse_name);
  } else if (is("ADDR")) {
    to.has_address = true;
    good = take_address(harmless(value), to.address_text, to.address, to.address_known);
  } else if (is("DESTADDR")) {
    good = take_address(harmless(value), text, address, known);
  } else if (is("PORT") || is("DESTPORT")) {
    good = take_port(value);
  } else if (is("HELO")) {
    good = take_helo(value, to);
  } else if (is("PROTO")) {
    good = take_protocol(value.view(), to);
  } else if (is("LOGIN")) {
    good = true;  // there is no authentication that it could stand for
  } else {
    return Kind::bad_name;
  }
  return good ? Kind::none : Kind::bad_value;
}

Kind take_xforward(std::string_view name, const AttributeText& value, ForwardedAttributes& to) {
  const auto is = [&](std::string_view known) { return equals_ignoring_case(name, known); };
  const bool given = !equals_ignoring_case(value.view(), unavailable);
  IpAddress address;
  bool known = false, good = true;
  if (is("NAME")) {
    to.name = harmless(value);
    good = given ? mail::is_valid_hostname(to.name.view()) : to.name.assign("unknown");
  } else if (is("ADDR")) {
    good = take_address(harmless(value), to.address, address, known);
  } else if (is("PORT")) {
    good = take_port(value);
  } else if (is("PROTO")) {
    good = value.size() <= protocol_bytes_max;
  } else if (is("IDENT")) {
    to.ident = given ? harmless(value) : AttributeText();
  } else if (is("SOURCE")) {
    good = !given || equals_ignoring_case(value.view(), "LOCAL") ||
           equals_ignoring_case(value.view(), "REMOTE");
  } else if (!is("HELO")) {
    return Kind::bad_name;
  }
  return good ? Kind::none : Kind::bad_value;
}

AttributeText shown(std::string_view text) {
  AttributeText out;
  const bool fits = out.assign(text.substr(0, out.capacity()));
  MX_ASSERT(fits);
  return out;
}

template <typename Take>
AttributeFault parse(std::string_view arguments, Take take) {
  for (std::string_view word; !(word = take_word(arguments, " \t")).empty();) {
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    if (equals == std::string_view::npos || equals + 1 == word.size())
      return {Kind::no_value, {}, {}};
    const std::string_view raw = word.substr(equals + 1);
    if (raw.size() > limits::client_attribute_bytes_max) return {Kind::too_long, {}, {}};
    const AttributeText value = decoded(raw);
    const Kind kind = take(name, value);
    if (kind != Kind::none) return {kind, shown(name), value};
  }
  return {};
}

}  // namespace

AttributeFault parse_xclient(std::string_view arguments, ClientAttributes& attributes) {
  return parse(arguments, [&](std::string_view name, const AttributeText& value) {
    return take_xclient(name, value, attributes);
  });
}

AttributeFault parse_xforward(std::string_view arguments, ForwardedAttributes& attributes) {
  return parse(arguments, [&](std::string_view name, const AttributeText& value) {
    return take_xforward(name, value, attributes);
  });
}

}  // namespace mx::smtp
