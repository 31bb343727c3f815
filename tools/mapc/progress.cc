#include "tools/mapc/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "proto/base/text.h"

namespace mx::mapc {

namespace {

constexpr std::chrono::seconds silent_for{1};
constexpr std::chrono::milliseconds between{200};
constexpr uint64_t calls_between_looks = 4096;
constexpr size_t shown_path_bytes_max = 50;

// "10,000,000".
std::string grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

}  // namespace

Progress::Progress(std::string_view path)
    : path_(printable(path, shown_path_bytes_max)),
      is_terminal_(::isatty(STDERR_FILENO) == 1),
      due_(Clock::now() + silent_for) {}

void Progress::reading(uint64_t line) {
  if (!is_terminal_ || ++calls_ % calls_between_looks != 0) return;
  const Clock::time_point now = Clock::now();
  if (now < due_) return;
  due_ = now + between;
  show(grouped(line) + " lines read");
}

// Said once a build, before its one long step.
void Progress::building(uint64_t keys) {
  constexpr uint64_t few_keys = 1'000'000;  // built in less than the first second
  if (is_terminal_ && (keys >= few_keys || shown_ || Clock::now() >= due_))
    show("building, " + grouped(keys) + " keys");
}

void Progress::show(const std::string& what) {
  fmt::print(stderr, "\r\033[Kmapc: {}: {}", path_, what);
  std::fflush(stderr);
  shown_ = true;
}

void Progress::clear() {
  if (!shown_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace mx::mapc
