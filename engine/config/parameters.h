// engine/config/parameters.h - the table of every parameter that may stand in main.cf: all that
// Debian 12's `postconf -d` prints (Postfix 3.7.11), and our own ringmx_*.
//
// A parameter is in one of three classes.
//   acts      ringmx does what it says.
//   harmless  ringmx does not read it, and nothing is accepted, routed, rewritten, scanned or
//   bounced
//             differently for that; `reason` says why.
//   refused   it would change one of these, and is not built. ringmx does not start when its value
//   is
//             anything but its default or one of `harmless_values`: never silently weaker than the
//             file.
// The rows are in parameters_*.cc, by subject. Static data; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace mx::config {

// raw: text in which $name is not expanded when the file is read (it has a name space of its own).
enum class Type : uint8_t { boolean, integer, time, text, raw };
enum class Class : uint8_t { acts, harmless, refused };

struct Parameter {
  std::string_view name;
  Type type = Type::text;
  std::string_view fallback;  // the default as Postfix writes it, with $name
  Class kind = Class::acts;
  std::string_view reason;           // of harmless and refused
  std::string_view harmless_values;  // beside the default; separated by '|'; see has_harmless_value
  bool has_harmless_value = false;
};

constexpr Parameter acts(std::string_view name, Type type, std::string_view fallback) {
  return {name, type, fallback, Class::acts, {}, {}, false};
}
constexpr Parameter harmless(std::string_view name, Type type, std::string_view fallback,
                             std::string_view reason) {
  return {name, type, fallback, Class::harmless, reason, {}, false};
}
constexpr Parameter refused(std::string_view name, Type type, std::string_view fallback,
                            std::string_view reason) {
  return {name, type, fallback, Class::refused, reason, {}, false};
}
// `harmless_values` may be "": then the empty value is harmless too.
constexpr Parameter refused(std::string_view name, Type type, std::string_view fallback,
                            std::string_view reason, std::string_view harmless_values) {
  return {name, type, fallback, Class::refused, reason, harmless_values, true};
}

extern const std::span<const Parameter> access_parameters, content_parameters, lmtp_parameters,
    local_parameters, mail_parameters, postscreen_parameters, queue_parameters, ringmx_parameters,
    smtp_parameters, smtpd_parameters, system_parameters, tls_parameters;

// All rows, sorted by name.
const std::vector<Parameter>& all_parameters();
// Nothing when there is no such row.
const Parameter* find_parameter(std::string_view name);
// For names that Postfix makes from a transport of master.cf: relay_destination_recipient_limit and
// its like. The row has the pattern's class; its name is the name asked for.
std::optional<Parameter> find_transport_parameter(std::string_view name);

// The known name nearest to `name`: at most two edits away, or with ssl for tls. Empty when there
// is none.
std::string_view nearest_parameter(std::string_view name);

}  // namespace mx::config
