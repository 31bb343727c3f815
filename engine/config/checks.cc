#include "engine/config/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "engine/config/values.h"
#include "proto/base/text.h"

namespace mx::config {

namespace {

constexpr size_t shown_bytes_max = 60;
constexpr Duration time_max = seconds(INT32_MAX);

char unit_of(std::string_view fallback) {
  return !fallback.empty() && is_alpha(fallback.back()) ? fallback.back() : 's';
}

// Whether two values of a parameter mean the same. What cannot be read means nothing that is known.
bool same_value(const Parameter& row, std::string_view a, std::string_view b) {
  if (a == b) return true;
  switch (row.type) {
    case Type::boolean: {
      const auto left = parse_boolean(a), right = parse_boolean(b);
      return left && right && *left == *right;
    }
    case Type::integer: {
      const auto left = parse_decimal(a), right = parse_decimal(b);
      return left && right && *left == *right;
    }
    case Type::time: {
      const char unit = unit_of(row.fallback);
      const auto left = parse_time(a, unit, {}, time_max),
                 right = parse_time(b, unit, {}, time_max);
      return left && right && *left == *right;
    }
    case Type::text: {
      const auto left = split_list(a), right = split_list(b);
      return left && right && std::ranges::equal(*left, *right, equals_ignoring_case);
    }
    case Type::raw:
      return false;
  }
  return false;
}

std::vector<std::string_view> harmless_values(const Parameter& row) {
  std::vector<std::string_view> values;
  if (!row.has_harmless_value) return values;
  std::string_view rest = row.harmless_values;
  while (true) {
    const size_t bar = rest.find('|');
    values.push_back(rest.substr(0, bar));
    if (bar == std::string_view::npos) return values;
    rest.remove_prefix(bar + 1);
  }
}

}  // namespace

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::acts:
      return "acts";
    case Standing::harmless:
      return "harmless";
    case Standing::refused:
      return "REFUSED";
    case Standing::refused_but_unset:
      return "harmless with this value";
    case Standing::custom:
      return "used by other values";
    case Standing::misspelt:
      return "REFUSED";
    case Standing::unused:
      return "unused";
  }
  return "";
}

Checker::Checker(const MainCf& main_cf, const MasterCf& master_cf, const HostFacts& host,
                 Evaluator& values)
    : main_cf_(main_cf), values_(values), defaults_(no_file_, host, ignored_) {
  find_used_names(master_cf);
}

// A name is used when a known parameter's value refers to it, or the value of a name that is used.
void Checker::find_used_names(const MasterCf& master_cf) {
  master_cf.for_each_name([&](std::string_view name) {
    if (!used_.emplace(name).second) return;
    if (const Entry* entry = main_cf_.find(name)) use_names_in(entry->value);
  });
  for (const Parameter& row : all_parameters())
    if (main_cf_.find(row.name) == nullptr) use_names_in(row.fallback);
  for (const Entry& entry : main_cf_.entries())
    if (find_parameter(entry.name) != nullptr || find_transport_parameter(entry.name))
      use_names_in(entry.value);
  for (const Word& word : values_.list("smtpd_restriction_classes").words) {
    used_.insert(word.text);
    if (const Entry* entry = main_cf_.find(word.text)) use_names_in(entry->value);
  }
}

void Checker::use_names_in(std::string_view text) {
  std::vector<std::string_view> open{text};
  while (!open.empty()) {
    const std::string_view next = open.back();
    open.pop_back();
    for_each_name(next, [&](std::string_view name) {
      if (!used_.emplace(name).second || find_parameter(name) != nullptr) return;
      if (const Entry* entry = main_cf_.find(name)) open.push_back(entry->value);
    });
  }
}

// The value that asks for nothing: the default, with what the file says of parameters that act or
// do nothing (local:$myhostname), and nothing of others (virtual_alias_maps = $virtual_maps).
std::string Checker::baseline(const Parameter& row) {
  const auto value =
      expand(row.fallback, [&](std::string_view name) -> std::optional<std::string_view> {
        const Parameter* other = find_parameter(name);
        if (other == nullptr || other->kind == Class::refused) return defaults_.raw(name);
        return values_.text(name);
      });
  return value.value_or(std::string());
}

bool Checker::asks_for_something(const Parameter& row) {
  const std::string value = values_.text(row.name);
  if (same_value(row, value, baseline(row))) return false;
  return std::ranges::none_of(harmless_values(row), [&](std::string_view harmless) {
    return same_value(row, value, harmless);
  });
}

Judgement Checker::judge_refused(const Parameter& row) {
  if (!asks_for_something(row)) return {Standing::refused_but_unset, std::string(row.reason)};
  std::string remedy;
  const auto values = harmless_values(row);
  const std::string_view harmless = values.empty() ? row.fallback : values.front();
  if (harmless.empty())
    remedy = "remove the line or leave the value empty";
  else
    remedy = fmt::format("remove the line or set it to {}", harmless);
  return {Standing::refused, fmt::format("{}; {}", row.reason, remedy)};
}

Judgement Checker::judge(const Entry& entry) {
  const Parameter* row = find_parameter(entry.name);
  std::optional<Parameter> made;
  if (row == nullptr && (made = find_transport_parameter(entry.name))) row = &*made;
  if (row != nullptr) {
    switch (row->kind) {
      case Class::acts:
        return {Standing::acts, {}};
      case Class::harmless:
        return {Standing::harmless, std::string(row->reason)};
      case Class::refused:
        return judge_refused(*row);
    }
  }
  if (used_.contains(entry.name)) return {Standing::custom, {}};
  if (const std::string_view nearest = nearest_parameter(entry.name); !nearest.empty())
    return {Standing::misspelt, fmt::format("unknown parameter; did you mean {}?", nearest)};
  return {Standing::unused,
          fmt::format("unused parameter: {}={}", printable(entry.name, shown_bytes_max),
                      printable(entry.value, shown_bytes_max))};
}

void Checker::report(Diagnostics& diagnostics) {
  for (const Entry& entry : main_cf_.entries()) {
    const Judgement judgement = judge(entry);
    const std::string name = printable(entry.name, shown_bytes_max);
    switch (judgement.standing) {
      case Standing::acts:
      case Standing::harmless:
      case Standing::refused_but_unset:
      case Standing::custom:
        break;
      case Standing::refused:
        diagnostics.push_back(
            {main_cf_.file(), entry.line, Severity::error,
             fmt::format("{} = {}: {}", name, printable(entry.value, shown_bytes_max),
                         judgement.text)});
        break;
      case Standing::misspelt:
        diagnostics.push_back({main_cf_.file(), entry.line, Severity::error,
                               fmt::format("{}: {}", name, judgement.text)});
        break;
      case Standing::unused:
        diagnostics.push_back({main_cf_.file(), entry.line, Severity::warning, judgement.text});
        break;
    }
  }
  for (const Parameter& row : all_parameters())
    if (row.kind == Class::refused && main_cf_.find(row.name) == nullptr)
      report_by_reference(row, diagnostics);
}

// A default such as virtual_alias_maps = $virtual_maps asks for something when what it names is
// set. When that is refused itself, once is enough.
void Checker::report_by_reference(const Parameter& row, Diagnostics& diagnostics) {
  if (row.fallback.find('$') == std::string_view::npos || !asks_for_something(row)) return;
  const Entry* cause = nullptr;
  for_each_name(row.fallback, [&](std::string_view name) {
    if (cause == nullptr) cause = main_cf_.find(name);
  });
  if (cause != nullptr && judge(*cause).standing == Standing::refused) return;
  diagnostics.push_back({main_cf_.file(), cause == nullptr ? 0 : cause->line, Severity::error,
                         fmt::format("{} = {}: {}", row.name, row.fallback, row.reason)});
}

}  // namespace mx::config
