// proto/base/assert.h - asserts that stay on in release.
//
// MX_ASSERT states what must hold whatever a peer, a disk or an operator does; when it does not
// hold the process stops at once, the supervisor starts it again and the queue recovers. It is
// never used for conditions that input can bring about.
#pragma once

namespace mx {
// Prints "file:line: assertion failed: text" to stderr and aborts. Any thread; never returns.
[[noreturn]] void assert_failed(const char* text, const char* file, int line);
}  // namespace mx

#define MX_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::mx::assert_failed(#condition, __FILE__, __LINE__))
