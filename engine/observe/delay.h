// engine/observe/delay.h - a delay in seconds as Postfix logs it (delay=, delays=): two digits that
// count, no more than two behind the point, no zeros at the end, and never an exponent: 450, 4.5,
// 0.45, 0.05, 0.
#pragma once

#include <fmt/format.h>

#include <algorithm>

#include "proto/base/assert.h"
#include "proto/base/fixed_text.h"
#include "proto/base/time.h"

namespace mx::observe {

inline FixedText<24> delay_text(Duration delay) {
  const double seconds = std::max(0.0, delay.seconds());
  const int digits = seconds >= 9.95 ? 0 : seconds >= 0.995 ? 1 : 2;
  char text[32];
  char* end = fmt::format_to_n(text, sizeof text, "{:.{}f}", seconds, digits).out;
  while (digits > 0 && end[-1] == '0') --end;
  if (end[-1] == '.') --end;
  FixedText<24> out;
  const bool fits = out.assign({text, static_cast<size_t>(end - text)});
  MX_ASSERT(fits);
  return out;
}

}  // namespace mx::observe
