// engine/observe/alarms.h - conditions that need a person: one log line when raised, one when
// cleared, and a row in `mxq --status` between the two. Rare events: a mutex is enough. Any thread.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/observe/log.h"

namespace mx::observe {

class Alarms {
 public:
  // Raises `name` or changes its text; logs only when something changed.
  void raise(LogStream& log, std::string_view name, std::string_view text) {
    {
      const std::lock_guard lock(mutex_);
      std::string& current = raised_[std::string(name)];
      if (current == text) return;
      current = text;
    }
    log.line("master", "warning: alarm {} raised: {}", name, Peer{text});
  }
  void clear(LogStream& log, std::string_view name) {
    {
      const std::lock_guard lock(mutex_);
      if (raised_.erase(std::string(name)) == 0) return;
    }
    log.line("master", "warning: alarm {} cleared", name);
  }
  bool is_raised(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    return raised_.contains(std::string(name));
  }
  std::vector<std::pair<std::string, std::string>> raised() const {
    const std::lock_guard lock(mutex_);
    return {raised_.begin(), raised_.end()};
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> raised_;
};

}  // namespace mx::observe
