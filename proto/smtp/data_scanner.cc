#include "proto/smtp/data_scanner.h"

#include <atomic>

#include "proto/base/assert.h"
#include "proto/smtp/data_scanner_kernels.h"

namespace mx::smtp {

FoundStop find_stop_scalar(const char* bytes, size_t size, bool line_start) {
  FoundStop found{0, 0};
  size_t& at = found.clean;
  while (at < size) {
    if (bytes[at] == '\r') {
      if (at + 1 == size || bytes[at + 1] != '\n') break;
      at += 2;
      line_start = true;
      continue;
    }
    if (bytes[at] == '\n') break;
    if (bytes[at] == '.' && line_start) {
      if (at + 1 == size || bytes[at + 1] == '\r' || bytes[at + 1] == '\n') break;
      ++found.stuffed;
    }
    line_start = false;
    ++at;
  }
  return found;
}

namespace {

struct Kernel {
  std::string_view name;
  FindStop find_stop;
  bool (*supported)();
};

bool always() {
  return true;
}
#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("popcnt");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512bw");
}
#endif

// Best first.
constexpr Kernel kernels[] = {
#if defined(__x86_64__)
    {"avx512", find_stop_avx512, has_avx512},
    {"avx2", find_stop_avx2, has_avx2},
    {"sse2", find_stop_sse2, always},
#endif
    {"scalar", find_stop_scalar, always},
};

// Written once; threads that race for the first use write the same value.
constinit std::atomic<const Kernel*> chosen = nullptr;

const Kernel& kernel() {
  const Kernel* known = chosen.load(std::memory_order_relaxed);
  if (known != nullptr) [[likely]]
    return *known;
  for (const Kernel& candidate : kernels) {
    if (!candidate.supported()) continue;
    chosen.store(&candidate, std::memory_order_relaxed);
    return candidate;
  }
  MX_ASSERT(false);
}

}  // namespace

std::string_view DataScanner::kernel_name() {
  return kernel().name;
}

bool DataScanner::force_kernel(std::string_view name) {
  for (const Kernel& candidate : kernels) {
    if (candidate.name != name || !candidate.supported()) continue;
    chosen.store(&candidate, std::memory_order_relaxed);
    return true;
  }
  return false;
}

DataScanner::Step DataScanner::scan(std::string_view in) {
  const FindStop find_stop = kernel().find_stop;
  size_t at = 0;
  while (true) {
    const FoundStop found = find_stop(in.data() + at, in.size() - at, line_start_);
    stuffed_dots_ += found.stuffed;
    if (found.clean > 0) {
      at += found.clean;
      line_start_ = in[at - 1] == '\n';  // the LF of a pair: a bare one would have been the stop
      after_bare_lf_ = false;
    }
    if (at == in.size()) return {at, at, Event::more};

    switch (in[at]) {
      case '\r':
        if (at + 1 == in.size()) return {at, at, Event::more};
        MX_ASSERT(in[at + 1] != '\n');
        line_start_ = false;
        return {at, at + 1, Event::bare_cr};
      case '\n':
        line_start_ = true;
        after_bare_lf_ = true;
        return {at, at + 1, Event::bare_lf};
      default:
        break;
    }
    const Step step = at_dot(in, at);
    if (step.event != Event::more || step.taken == at) return step;
    at = step.taken;
  }
}

// `in[at]` is a dot at a line start. Event::more with the dot taken: it is ordinary text.
DataScanner::Step DataScanner::at_dot(std::string_view in, size_t at) {
  MX_ASSERT(in[at] == '.' && line_start_);
  const std::string_view after = in.substr(at + 1, 2);
  const bool undecided = after.empty() || after == "\r";
  if (undecided) return {at, at, Event::more};
  if (after == "\r\n" && !after_bare_lf_) return {at, at + 3, Event::end};
  // With nothing stored for the dot this is still a line start; what follows is a line end.
  if (after == "\r\n" || after[0] == '\n') return {at, at + 1, Event::lone_dot};
  ++stuffed_dots_;
  line_start_ = false;
  return {at, at + 1, Event::more};
}

}  // namespace mx::smtp
