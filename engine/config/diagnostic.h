// engine/config/diagnostic.h - one thing to say about a configuration, with its place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mx::config {

enum class Severity : uint8_t { error, warning };

struct Diagnostic {
  std::string file;
  uint32_t line = 0;  // 0: the file as a whole, or a default
  Severity severity = Severity::error;
  std::string text;
};
using Diagnostics = std::vector<Diagnostic>;

// "file:line: text", "file:line: warning: text"; without ":line" when it is 0.
std::string to_string(const Diagnostic& diagnostic);

// By file and line; what is said of one place stays in its order.
void sort_by_place(Diagnostics& diagnostics);

}  // namespace mx::config
