// master.cf from hostile bytes: whatever comes in ends in services whose places are in the file,
// and in warnings, never in an error.
#include <cstdint>
#include <string>

#include "engine/config/master_cf.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mx::config;
  const std::string text(reinterpret_cast<const char*>(data), size);
  Diagnostics said;
  const MasterCf master_cf = MasterCf::parse(text, "master.cf", said);
  report_master_cf(master_cf, said);
  size_t names = 0;
  master_cf.for_each_name([&](std::string_view) { ++names; });
  uint32_t line = 0;
  for (const Service& service : master_cf.services()) {
    MX_ASSERT(!service.name.empty() && !service.command.empty());
    MX_ASSERT(service.line > line);
    line = service.line;
    for (const Override& one : service.overrides) {
      MX_ASSERT(!one.name.empty());
      MX_ASSERT(one.line >= line);
      line = one.line;
    }
  }
  for (const Diagnostic& one : said) {
    MX_ASSERT(one.severity == Severity::warning);
    MX_ASSERT(to_string(one).find('\n') == std::string::npos);
  }
  return 0;
}
