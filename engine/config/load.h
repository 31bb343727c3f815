// engine/config/load.h - from a directory with main.cf to typed Settings, or to the list of all
// reasons why not.
//
// load() is pure: files come in through a FileReader, the machine through HostFacts; so tests need
// neither. Everything that is wrong is collected, with `file:line:`, before it gives up: an
// operator sees all of it at once. Owner: the thread that starts or reloads; cost: milliseconds.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/diagnostic.h"
#include "engine/config/host_facts.h"
#include "engine/config/settings.h"

namespace mx::config {

// Gives a file's bytes, or the reason (strerror text) why it cannot.
using FileReader = std::function<std::expected<std::string, std::string>(std::string_view path)>;

// Reads from disk, at most limits::config_bytes_max bytes.
FileReader disk_reader();

struct LoadResult {
  std::expected<Settings, Diagnostics>
      settings;          // on failure every error and warning, in file order
  Diagnostics warnings;  // on success
  // On failure, when main.cf could be read: all the same, with what is wrong as if it were empty,
  // so that further errors can be looked for. Never to be put in service.
  std::optional<Settings> refused;
};

std::string main_cf_path(std::string_view directory);

// Reads DIRECTORY/main.cf, and DIRECTORY/master.cf for what is to be said of it.
LoadResult load(std::string_view directory, const FileReader& reader, const HostFacts& host);

}  // namespace mx::config
