#include "engine/config/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace mx::config {

std::string to_string(const Diagnostic& diagnostic) {
  const std::string place = diagnostic.line == 0
                                ? diagnostic.file
                                : fmt::format("{}:{}", diagnostic.file, diagnostic.line);
  const char* const kind = diagnostic.severity == Severity::warning ? "warning: " : "";
  return fmt::format("{}: {}{}", place, kind, diagnostic.text);
}

void sort_by_place(Diagnostics& diagnostics) {
  std::ranges::stable_sort(diagnostics, {}, [](const Diagnostic& one) {
    return std::pair<std::string_view, uint32_t>(one.file, one.line);
  });
}

}  // namespace mx::config
