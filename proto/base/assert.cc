#include "proto/base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace mx {

void assert_failed(const char* text, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, text);
  std::fflush(stderr);
  std::abort();
}

}  // namespace mx
