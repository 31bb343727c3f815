// The DATA scanner: whatever comes in, however it is cut and whichever kernel looks at it, what an
// owner stores by the rules is the same and holds no end of data, no bare CR and no bare LF.
#include <cstdint>
#include <string>

#include "proto/base/assert.h"
#include "proto/smtp/data_scanner.h"

namespace {

using mx::smtp::DataScanner;

struct Stored {
  std::string bytes;
  uint64_t stuffed = 0;
  bool ended = false;
  size_t taken = 0;
  bool operator==(const Stored&) const = default;
};

// In calls of `chunk` new bytes each, with what was left untaken in front.
Stored run(std::string_view in, size_t chunk) {
  DataScanner scanner;
  Stored stored;
  size_t known = 0;
  while (true) {
    // A copy of its own, so that AddressSanitizer sees a read past the end.
    const std::string copy(in.substr(stored.taken, known - stored.taken));
    const DataScanner::Step step = scanner.scan(copy);
    MX_ASSERT(step.clean <= step.taken && step.taken <= copy.size());
    stored.bytes.append(copy, 0, step.clean);
    stored.taken += step.taken;
    stored.stuffed = scanner.stuffed_dots();
    if (step.event == DataScanner::Event::bare_lf) stored.bytes += "\r\n";
    if (step.event == DataScanner::Event::bare_cr) stored.bytes += ' ';
    if (step.event == DataScanner::Event::end) {
      stored.ended = true;
      return stored;
    }
    if (step.event != DataScanner::Event::more) continue;
    MX_ASSERT(known - stored.taken <= DataScanner::untaken_bytes_max);
    if (known == in.size()) return stored;
    known = in.size() - known < chunk ? in.size() : known + chunk;
  }
}

void check_invariant(const std::string& body) {
  const std::string bytes = "\r\n" + body;
  MX_ASSERT(bytes.find("\r\n.\r\n") == std::string::npos);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char next = i + 1 < bytes.size() ? bytes[i + 1] : '\0';
    MX_ASSERT((bytes[i] == '\r') == (next == '\n'));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  MX_ASSERT(DataScanner::force_kernel("scalar"));
  const Stored expected = run(in, size + 1);
  check_invariant(expected.bytes);
  for (const char* kernel : {"scalar", "sse2", "avx2", "avx512"}) {
    if (!DataScanner::force_kernel(kernel)) continue;
    for (const size_t chunk :
         {size + 1, size_t{1}, size / 2 + 1, size_t{63}, size_t{64}, size_t{65}})
      MX_ASSERT(run(in, chunk) == expected);
  }
  return 0;
}
