// The PROXY header under arbitrary bytes: what is decided on a part of them is decided for good,
// and nothing is decided on more bytes than the limit.
#include <cstdint>
#include <string_view>

#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/proxy/proxy_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using mx::proxy::Header;
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  const Header whole = mx::proxy::parse_header(in);
  bool decided = false;
  for (size_t cut = 0; cut <= in.size(); ++cut) {
    const Header part = mx::proxy::parse_header(in.substr(0, cut));
    MX_ASSERT(!decided || part.state != Header::State::incomplete);
    if (part.state == Header::State::incomplete) {
      MX_ASSERT(cut < mx::limits::proxy_header_bytes_max);
      continue;
    }
    decided = true;
    MX_ASSERT(part.state == whole.state && part.bytes == whole.bytes && part.bytes <= cut);
    MX_ASSERT(part.source == whole.source && part.source_port == whole.source_port);
    MX_ASSERT((part.state == Header::State::bad) == !part.error.empty());
    if (cut > mx::limits::proxy_header_bytes_max) break;
  }
  return 0;
}
