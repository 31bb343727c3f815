#include "engine/config/parameters.h"

#include <algorithm>
#include <array>
#include <string>

#include "engine/config/reasons.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr size_t edits_max = 2;

std::vector<Parameter> sorted_rows() {
  std::vector<Parameter> rows;
  for (const auto& part :
       {access_parameters, content_parameters, lmtp_parameters, local_parameters, mail_parameters,
        postscreen_parameters, queue_parameters, ringmx_parameters, smtp_parameters,
        smtpd_parameters, system_parameters, tls_parameters})
    rows.insert(rows.end(), part.begin(), part.end());
  std::ranges::sort(rows, {}, &Parameter::name);
  return rows;
}

// What Postfix appends to the name of a transport. `fallback` is the default of the parameter so
// made.
struct Pattern {
  std::string_view suffix;
  Type type;
  std::string_view fallback;
};

constexpr std::array acting_patterns{
    Pattern{"_destination_recipient_limit", Type::integer, "$default_destination_recipient_limit"},
    Pattern{"_destination_concurrency_limit", Type::integer,
            "$default_destination_concurrency_limit"},
    Pattern{"_destination_concurrency_positive_feedback", Type::text,
            "$default_destination_concurrency_positive_feedback"},
    Pattern{"_destination_rate_delay", Type::time, "$default_destination_rate_delay"},
    Pattern{"_initial_destination_concurrency", Type::integer, "$initial_destination_concurrency"},
};
constexpr std::array refused_patterns{
    Pattern{"_transport_rate_delay", Type::time, "$default_transport_rate_delay"},
};
constexpr std::array failure_patterns{
    Pattern{"_destination_concurrency_failed_cohort_limit", Type::integer,
            "$default_destination_concurrency_failed_cohort_limit"},
    Pattern{"_destination_concurrency_negative_feedback", Type::text,
            "$default_destination_concurrency_negative_feedback"},
};
constexpr std::array scheduling_patterns{
    Pattern{"_delivery_slot_cost", Type::integer, "$default_delivery_slot_cost"},
    Pattern{"_delivery_slot_discount", Type::integer, "$default_delivery_slot_discount"},
    Pattern{"_delivery_slot_loan", Type::integer, "$default_delivery_slot_loan"},
    Pattern{"_extra_recipient_limit", Type::integer, "$default_extra_recipient_limit"},
    Pattern{"_minimum_delivery_slots", Type::integer, "$default_minimum_delivery_slots"},
    Pattern{"_recipient_limit", Type::integer, "$default_recipient_limit"},
    Pattern{"_recipient_refill_delay", Type::time, "$default_recipient_refill_delay"},
    Pattern{"_recipient_refill_limit", Type::integer, "$default_recipient_refill_limit"},
    Pattern{"_time_limit", Type::time, "$command_time_limit"},
};

bool is_transport_name(std::string_view name) {
  return !name.empty() &&
         std::ranges::all_of(name, [](char c) { return is_alnum(c) || c == '_' || c == '-'; });
}

std::string_view without_suffix(std::string_view name, std::string_view suffix) {
  return name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : std::string_view{};
}

}  // namespace

const std::vector<Parameter>& all_parameters() {
  static const std::vector<Parameter> rows = sorted_rows();
  return rows;
}

const Parameter* find_parameter(std::string_view name) {
  const auto& rows = all_parameters();
  const auto found = std::ranges::lower_bound(rows, name, {}, &Parameter::name);
  return found != rows.end() && found->name == name ? &*found : nullptr;
}

std::optional<Parameter> find_transport_parameter(std::string_view name) {
  const auto ours = [&](const Pattern& pattern) {
    const std::string_view transport = without_suffix(name, pattern.suffix);
    return transport == "relay" || transport == "smtp";
  };
  for (const Pattern& pattern : acting_patterns)
    if (ours(pattern)) return acts(name, pattern.type, pattern.fallback);
  for (const Pattern& pattern : refused_patterns)
    if (ours(pattern)) return refused(name, pattern.type, pattern.fallback, not_built::rate_delay);
  for (const Pattern& pattern : failure_patterns)
    if (ours(pattern)) return harmless(name, pattern.type, pattern.fallback, why::failure_feedback);
  for (const Pattern& pattern : scheduling_patterns)
    if (ours(pattern)) return harmless(name, pattern.type, pattern.fallback, why::scheduling);
  const auto others = [&](const auto& patterns) -> std::optional<Parameter> {
    for (const Pattern& pattern : patterns)
      if (is_transport_name(without_suffix(name, pattern.suffix)))
        return harmless(name, pattern.type, pattern.fallback, why::other_transport);
    return std::nullopt;
  };
  if (auto row = others(acting_patterns)) return row;
  if (auto row = others(refused_patterns)) return row;
  if (auto row = others(failure_patterns)) return row;
  return others(scheduling_patterns);
}

std::string_view nearest_parameter(std::string_view name) {
  // A slip of the mind, not of the pen.
  if (const size_t at = name.find("_ssl"); at != std::string_view::npos) {
    std::string tls(name);
    tls.replace(at, 4, "_tls");
    if (const Parameter* row = find_parameter(tls)) return row->name;
  }
  std::string_view nearest;
  size_t nearest_distance = edits_max + 1;
  for (const Parameter& row : all_parameters()) {
    const size_t distance = edit_distance(name, row.name, edits_max);
    if (distance >= nearest_distance) continue;
    nearest_distance = distance;
    nearest = row.name;
  }
  return nearest;
}

}  // namespace mx::config
