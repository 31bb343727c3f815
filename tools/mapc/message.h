// tools/mapc/message.h - what mapc says on stderr, and a failure on its way there with the exit
// status (sysexits.h) that it means.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace mx::mapc {

struct Failure {
  int exit_status = 0;
  std::string text;
};
template <typename T = void>
using Result = std::expected<T, Failure>;

inline std::unexpected<Failure> failure(int exit_status, std::string text) {
  return std::unexpected(Failure{exit_status, std::move(text)});
}

void say(const std::string& text);   // "mapc: text"
void warn(const std::string& text);  // "mapc: warning: text"
void warn(const std::string& path, uint32_t line, const std::string& text);
int report(const Failure& failed);  // says it; gives its exit status

}  // namespace mx::mapc
