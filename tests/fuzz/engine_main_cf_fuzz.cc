// main.cf from hostile bytes: the grammar, expansion, lists with /file elements, every typed value.
// Whatever comes in ends in Settings or in diagnostics that can be printed; what is accepted keeps
// its promises.
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/config/addresses.h"
#include "engine/config/load.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"

namespace {

using namespace mx::config;

void check(const Settings& settings) {
  MX_ASSERT(!settings.listen.empty());
  for (const auto* hosts : {&settings.relay.relay_hosts, &settings.relay.default_hosts})
    for (const NextHop& hop : *hosts) MX_ASSERT(!hop.text.empty());
  MX_ASSERT(is_valid_hostname(settings.hostname));
  MX_ASSERT(settings.server.recipient_limit >= 1);
  MX_ASSERT(settings.server.recipient_limit <= mx::limits::recipients_max);
  MX_ASSERT(settings.server.line_length_limit <= mx::limits::command_line_bytes_max);
  MX_ASSERT(settings.queue.minimal_backoff <= settings.queue.maximal_backoff);
  MX_ASSERT(settings.resources.shards >= 1);
  for (const Word& word : settings.domains.relay_domains.words) MX_ASSERT(!word.text.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  // Every file is the input itself: a list can name a file that names a file.
  const FileReader reader = [&](std::string_view) { return text; };
  HostFacts host;
  host.hostname = "host";
  host.interfaces = {{*parse_address("192.0.2.2"), 24, false}, {*parse_address("::1"), 128, true}};
  const LoadResult result = load("/etc/ringmx", reader, host);
  if (result.settings) check(*result.settings);
  const Diagnostics& said = result.settings ? result.warnings : result.settings.error();
  for (const Diagnostic& one : said) MX_ASSERT(!to_string(one).empty());
  return 0;
}
