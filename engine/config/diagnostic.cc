#include "engine/config/diagnostic.h"

#include <fmt/format.h>

namespace mx::config {

std::string to_string(const Diagnostic& diagnostic) {
  const std::string place = diagnostic.line == 0
                                ? diagnostic.file
                                : fmt::format("{}:{}", diagnostic.file, diagnostic.line);
  const char* const kind = diagnostic.severity == Severity::warning ? "warning: " : "";
  return fmt::format("{}: {}{}", place, kind, diagnostic.text);
}

}  // namespace mx::config
