// What becomes of BDAT chunks under arbitrary bytes in arbitrary cuts: the stored form does not
// depend on the cuts, holds no end of data and no bare CR or LF, and DATA would bring the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/assert.h"
#include "proto/base/prng.h"
#include "proto/smtp/chunk_scanner.h"

namespace {

using mx::smtp::ChunkScanner;
using mx::smtp::DataScanner;
using Event = DataScanner::Event;

std::string stored(std::string_view input, mx::Prng* cuts) {
  ChunkScanner scanner;
  std::string out, in;
  const auto scan = [&] {
    while (true) {
      const DataScanner::Step step = scanner.scan(in);
      MX_ASSERT(step.clean <= step.taken && step.taken <= in.size());
      out += in.substr(0, step.clean);
      in.erase(0, step.taken);
      if (step.event == Event::bare_lf) out += "\r\n";
      if (step.event == Event::bare_cr) out += " ";
      if (step.event == Event::leading_dot) out += "..";
      if (step.event == Event::more) break;
    }
    MX_ASSERT(in.empty() || in == "\r");
  };
  while (!input.empty()) {
    const size_t piece = cuts == nullptr ? input.size() : 1 + cuts->below(input.size());
    in += input.substr(0, piece);
    input.remove_prefix(piece);
    scan();
  }
  if (!in.empty()) out += " \r\n";
  if (in.empty() && !scanner.line_start()) out += "\r\n";
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = stored(input, nullptr);
  mx::Prng cuts(data[0]);
  MX_ASSERT(stored(input, &cuts) == whole);
  for (size_t i = 0; i < whole.size(); ++i) {
    MX_ASSERT(whole[i] != '\r' || (i + 1 < whole.size() && whole[i + 1] == '\n'));
    MX_ASSERT(whole[i] != '\n' || (i > 0 && whole[i - 1] == '\r'));
  }
  // As DATA it is clean up to its end, and only there is the end of data.
  DataScanner scanner;
  const std::string sent = whole + ".\r\n";
  const DataScanner::Step step = scanner.scan(sent);
  MX_ASSERT(step.event == Event::end && step.clean == whole.size() && step.taken == sent.size());
  return 0;
}
