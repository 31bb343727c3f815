// proto/smtp/data_scanner_kernels.h - the part of the DATA scanner that touches every byte. A
// kernel skips clean text and stops at the first byte that needs a decision; the decision itself
// (data_scanner.cc) is made by the same code whatever the kernel, so kernels may differ only in
// speed. Inside proto/smtp only.
//
// A kernel stops at a CR that is not followed by LF, at a LF that is not preceded by CR, and at a
// dot at a line start that CR or LF may follow. It counts the other dots at line starts. A byte
// whose successor is not in `bytes` counts as undecided. It may stop early at a dot at a line
// start, never late.
//
// The SIMD kernels turn 64 bytes into three bit masks (CR, LF, dot). LF ^ (CR << 1) is zero exactly
// when every CR LF is a pair; dot & (LF << 1) has the dots at line starts. Both are zero for almost
// every block, whatever the length of its lines, which is why this does not slow down on short
// lines as a memchr() for each line does.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mx::smtp {

struct FoundStop {
  size_t clean;      // bytes before the one that needs a decision; `size` when there is none
  uint64_t stuffed;  // dots at line starts among them
};

// `line_start`: bytes[0] begins a line. REQUIRES: bytes[0] is not the LF of a pair that began
// before it.
using FindStop = FoundStop (*)(const char* bytes, size_t size, bool line_start);

FoundStop find_stop_scalar(const char* bytes, size_t size, bool line_start);
#if defined(__x86_64__)
FoundStop find_stop_sse2(const char* bytes, size_t size, bool line_start);
FoundStop find_stop_avx2(const char* bytes, size_t size, bool line_start);
FoundStop find_stop_avx512(const char* bytes, size_t size, bool line_start);
#endif

}  // namespace mx::smtp
