// The DATA scanner's kernels on text in cache: mail as it usually is, short lines, and the worst
// cases.
#include <benchmark/benchmark.h>

#include <string>

#include "proto/base/assert.h"
#include "proto/smtp/data_scanner.h"

namespace {

using mx::smtp::DataScanner;

std::string lines(size_t bytes, const std::string& line) {
  std::string text;
  while (text.size() + line.size() <= bytes) text += line;
  return text;
}

struct Text {
  const char* name;
  std::string line;
};

const Text texts[] = {
    {"lines_78", std::string(76, 'x') + "\r\n"},
    {"lines_8", "abcdef\r\n"},
    {"dotted_78", ".." + std::string(74, 'x') + "\r\n"},
    {"bare_lf_78", std::string(77, 'x') + "\n"},
};

size_t events(std::string_view text) {
  DataScanner scanner;
  size_t count = 0;
  while (true) {
    const DataScanner::Step step = scanner.scan(text);
    text.remove_prefix(step.taken);
    if (step.event == DataScanner::Event::end) return count;
    MX_ASSERT(step.event != DataScanner::Event::more);
    ++count;
  }
}

void scan(benchmark::State& state, const char* kernel, const Text& text) {
  MX_ASSERT(DataScanner::force_kernel("scalar"));
  const std::string body = lines(static_cast<size_t>(state.range(0)), text.line) + "\r\n.\r\n";
  const size_t expected = events(body);
  MX_ASSERT(DataScanner::force_kernel(kernel));
  MX_ASSERT(events(body) == expected);
  for (auto _ : state) benchmark::DoNotOptimize(events(body));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}

}  // namespace

int main(int argc, char** argv) {
  for (const char* kernel : {"scalar", "sse2", "avx2", "avx512"}) {
    if (!DataScanner::force_kernel(kernel)) continue;
    for (const Text& text : texts) {
      const std::string name = std::string(kernel) + "/" + text.name;
      benchmark::RegisterBenchmark(name.c_str(), scan, kernel, text)->Arg(4 << 10)->Arg(64 << 10);
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
