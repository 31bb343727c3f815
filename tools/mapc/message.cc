#include "tools/mapc/message.h"

#include <fmt/format.h>

#include <cstdio>

namespace mx::mapc {

void say(const std::string& text) {
  fmt::print(stderr, "mapc: {}\n", text);
}

void warn(const std::string& text) {
  say("warning: " + text);
}

void warn(const std::string& path, uint32_t line, const std::string& text) {
  warn(fmt::format("{}, line {}: {}", path, line, text));
}

int report(const Failure& failed) {
  say(failed.text);
  return failed.exit_status;
}

}  // namespace mx::mapc
