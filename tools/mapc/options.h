// tools/mapc/options.h - what the command line asks for, and one table to compile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "maps/spec.h"

namespace mx::mapc {

struct Options {
  std::string directory = "/etc/ringmx";  // of main.cf and of the set record
  std::vector<std::string> tables;        // as given: type:path
  std::optional<std::string> query;
  std::optional<uint64_t> seed;
  std::optional<uint32_t> max_shrink_percent;  // 0..100
  bool all = false, from_stdin = false, strict = false, aliases = false, dump = false, stat = false;
};

// A table of the run. `place`: what of the configuration names it, "/etc/ringmx/main.cf:7:
// relay_domains: ", for messages; empty for one of the command line.
struct Job {
  maps::TableSpec spec;
  bool is_aliases = false;
  std::string place;
};

}  // namespace mx::mapc
