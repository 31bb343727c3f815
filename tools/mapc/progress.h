// tools/mapc/progress.h - a line on the terminal that says how far a long build is; nothing in its
// first second, and nothing when stderr is no terminal. The line is gone before anything else is
// said: call clear() first.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace mx::mapc {

class Progress {
 public:
  explicit Progress(std::string_view path);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void reading(uint64_t line);  // cheap: looks at the clock every few thousand calls
  void building(uint64_t keys);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void show(const std::string& what);

  std::string path_;
  bool is_terminal_;
  bool shown_ = false;
  uint64_t calls_ = 0;
  Clock::time_point due_;
};

}  // namespace mx::mapc
