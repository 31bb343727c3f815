// engine/config/master_cf.h - Postfix's master.cf (master(5)), read for the report only: ringmx has
// no services of its own to configure, but a file that changes Postfix's answers must not be passed
// over in silence.
//
// What is there and not honoured (listeners, overrides, filters) becomes a warning with file and
// line; so does a line that cannot be read. Nothing in this file keeps ringmx from starting.
// Limits: config_bytes_max, config_entries_max services. Pure; cost: linear.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/diagnostic.h"
#include "engine/config/load.h"

namespace mx::config {

// -o name=value of a service.
struct Override {
  std::string name, value;  // unexpanded
  uint32_t line = 0;        // physical, from 1
};

struct Service {
  std::string name, type, command;  // "smtp", "inet", "smtpd"
  std::vector<Override> overrides;
  std::string arguments;  // all that follows the command, as written
  uint32_t line = 0;
};

class MasterCf {
 public:
  static MasterCf parse(std::string_view text, std::string file, Diagnostics& diagnostics);

  const std::vector<Service>& services() const { return services_; }
  const std::string& file() const { return file_; }
  // Calls `found` for each name that a parameter of main.cf is used by: $name in an argument.
  void for_each_name(const std::function<void(std::string_view)>& found) const;

 private:
  std::string file_;
  std::vector<Service> services_;
};

// DIRECTORY/master.cf. A directory without one gives no services.
MasterCf read_master_cf(std::string_view directory, const FileReader& reader,
                        Diagnostics& diagnostics);

// What of it ringmx does not do, as warnings.
void report_master_cf(const MasterCf& master_cf, Diagnostics& diagnostics);

}  // namespace mx::config
