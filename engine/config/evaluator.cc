#include "engine/config/evaluator.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/config/addresses.h"
#include "engine/config/values.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr std::string_view default_domain = "localdomain";

// As in `300s`, `5d`; seconds where a default has an expression instead.
char default_unit(std::string_view name) {
  const Parameter* row = find_parameter(name);
  if (row == nullptr || row->fallback.empty() || !is_digit(row->fallback.front())) return 's';
  return is_alpha(row->fallback.back()) ? row->fallback.back() : 's';
}

}  // namespace

Evaluator::Evaluator(const MainCf& main_cf, const HostFacts& host, Diagnostics& diagnostics)
    : main_cf_(main_cf), host_(host), diagnostics_(diagnostics) {
  set_machine_defaults();
}

// The order matters: each default may use those before it. What was expanded on the way is
// forgotten, since it saw defaults that were not complete.
void Evaluator::set_machine_defaults() {
  const std::string_view file = main_cf_.file();
  machine_defaults_["config_directory"] = file.substr(0, std::min(file.rfind('/'), file.size()));
  std::string& hostname = machine_defaults_["myhostname"] = host_.hostname;
  if (hostname.find('.') == std::string::npos) {
    machine_defaults_["mydomain"] = default_domain;
    const std::string domain = text("mydomain");
    hostname += "." + (domain.empty() ? std::string(default_domain) : domain);
    expanded_.clear();
  }
  const std::string own = text("myhostname");
  const size_t dot = own.find('.');
  machine_defaults_["mydomain"] =
      dot == std::string::npos ? std::string(default_domain) : own.substr(dot + 1);
  expanded_.clear();
  machine_defaults_["mynetworks"] = default_networks();
}

void Evaluator::set_default(std::string_view name, std::string_view value) {
  machine_defaults_[std::string(name)] = value;
  expanded_.clear();
}

std::optional<std::string_view> Evaluator::raw(std::string_view name) const {
  if (const Entry* entry = main_cf_.find(name)) return entry->value;
  if (const auto found = machine_defaults_.find(name); found != machine_defaults_.end())
    return found->second;
  if (const Parameter* row = find_parameter(name)) return row->fallback;
  if (const auto row = find_transport_parameter(name)) return row->fallback;
  return std::nullopt;
}

bool Evaluator::is_raw(std::string_view name) {
  const Parameter* row = find_parameter(name);
  return row != nullptr && row->type == Type::raw;
}

const std::string& Evaluator::text(std::string_view name) {
  if (const auto found = expanded_.find(name); found != expanded_.end()) return found->second;
  const std::string_view unexpanded = raw(name).value_or("");
  std::expected<std::string, std::string> value = std::string(unexpanded);
  if (!is_raw(name))
    value = expand(unexpanded, [this](std::string_view other) { return raw(other); });
  if (!value) error(name, value.error());
  return expanded_[std::string(name)] = value ? std::string(trim(*value)) : std::string();
}

template <typename T>
T Evaluator::checked(std::string_view name, const std::expected<T, std::string>& parsed,
                     T instead) {
  if (parsed) return *parsed;
  error(name, parsed.error());
  return instead;
}

bool Evaluator::boolean(std::string_view name) {
  return checked(name, parse_boolean(text(name)), false);
}

uint64_t Evaluator::integer(std::string_view name, uint64_t min, uint64_t max) {
  return checked(name, parse_integer(text(name), min, max), min);
}

uint32_t Evaluator::small_integer(std::string_view name, uint32_t min, uint32_t max) {
  return static_cast<uint32_t>(integer(name, min, max));
}

Duration Evaluator::time(std::string_view name, Duration min, Duration max) {
  return checked(name, parse_time(text(name), default_unit(name), min, max), min);
}

List Evaluator::list(std::string_view name) {
  List result{std::string(name), line_of(name), {}};
  const auto words = split_list(text(name));
  if (!words) {
    error(name, words.error());
    return result;
  }
  const Entry* entry = main_cf_.find(name);
  // A word that is not written there comes from an expansion; then the line of the name has to do.
  const auto lines = entry == nullptr ? std::map<std::string_view, std::vector<uint32_t>>{}
                                      : main_cf_.word_lines(*entry);
  std::map<std::string_view, size_t> seen;
  for (const std::string_view word : *words) {
    const auto found = lines.find(word);
    const size_t nth = seen[word]++;
    const bool written = found != lines.end() && nth < found->second.size();
    result.words.push_back(
        {std::string(word), main_cf_.file(), written ? found->second[nth] : result.line});
  }
  return result;
}

Protocols Evaluator::protocols() {
  Protocols result{false, false};
  for (const Word& word : list("inet_protocols").words) {
    if (equals_ignoring_case(word.text, "all")) {
      // A machine without any IPv6 address has no use for the family.
      result = {true, std::ranges::any_of(host_.interfaces, [](const InterfaceAddress& one) {
                  return one.address.v6;
                })};
    } else if (equals_ignoring_case(word.text, "ipv4")) {
      result.ipv4 = true;
    } else if (equals_ignoring_case(word.text, "ipv6")) {
      result.ipv6 = true;
    } else {
      error("inet_protocols", fmt::format("unknown protocol \"{}\": all, ipv4 or ipv6 is expected",
                                          printable(word.text)));
    }
  }
  if (!result.ipv4 && !result.ipv6) error("inet_protocols", "no protocol is left");
  return result;
}

Evaluator::Interfaces Evaluator::interfaces() {
  const Protocols families = protocols();
  Interfaces result;
  const auto add = [&](const IpAddress& address) {
    if (families.has(address) &&
        std::ranges::find(result.addresses, address) == result.addresses.end())
      result.addresses.push_back(address);
  };
  for (const Word& word : list("inet_interfaces").words) {
    const bool everything = equals_ignoring_case(word.text, "all");
    if (everything || equals_ignoring_case(word.text, "loopback-only")) {
      result.all = result.all || everything;
      for (const InterfaceAddress& one : host_.interfaces)
        if (everything || one.loopback) add(one.address);
    } else if (equals_ignoring_case(word.text, "localhost")) {
      add(loopback_address(false));
      add(loopback_address(true));
    } else if (const auto address = parse_address(word.text)) {
      add(*address);
    } else {
      report(word, Severity::error,
             fmt::format("inet_interfaces: \"{}\" is not an address; names are not looked up here",
                         printable(word.text)));
    }
  }
  return result;
}

std::string Evaluator::default_networks() {
  const std::string style = text("mynetworks_style");
  if (style != "host" && style != "subnet" && style != "class") {
    error("mynetworks_style", fmt::format("\"{}\" is not host, subnet or class", printable(style)));
    return {};
  }
  const Interfaces ours = interfaces();
  std::string networks;
  for (const InterfaceAddress& one : host_.interfaces) {
    if (std::ranges::find(ours.addresses, one.address) == ours.addresses.end()) continue;
    const std::string network = network_text(one.address, network_prefix_length(one, style)) + " ";
    if (networks.find(network) == std::string::npos) networks += network;
  }
  if (!networks.empty()) networks.pop_back();
  return networks;
}

uint32_t Evaluator::line_of(std::string_view name) const {
  const Entry* entry = main_cf_.find(name);
  return entry == nullptr ? 0 : entry->line;
}

bool Evaluator::has_error(std::string_view name) const {
  const std::string start = fmt::format("{}: ", name);
  const auto found = reported_.lower_bound(start);
  return found != reported_.end() && found->starts_with(start);
}

void Evaluator::error(std::string_view name, std::string text) {
  std::string whole = fmt::format("{}: {}", name, text);
  if (!reported_.insert(whole).second) return;
  diagnostics_.push_back({main_cf_.file(), line_of(name), Severity::error, std::move(whole)});
}

void Evaluator::warning(std::string_view name, std::string text) {
  diagnostics_.push_back(
      {main_cf_.file(), line_of(name), Severity::warning, fmt::format("{}: {}", name, text)});
}

void Evaluator::report(const Word& word, Severity severity, std::string text) {
  if (!reported_.insert(fmt::format("{} {} {}", word.file, word.line, text)).second) return;
  diagnostics_.push_back({word.file, word.line, severity, std::move(text)});
}

}  // namespace mx::config
