// proto/smtp/onward.h - what the place that mail goes on to takes, as far as it is known: a server
// that relays offers no more than that.
#pragma once

#include <algorithm>
#include <cstdint>

namespace mx::smtp {

struct Onward {
  bool no_smtputf8 = false;
  uint64_t size_limit = 0;  // of a message; 0: none

  // The limit of a message's size where our own is `own`; 0: none.
  uint64_t size_within(uint64_t own) const {
    return own == 0 || size_limit == 0 ? std::max(own, size_limit) : std::min(own, size_limit);
  }
};

}  // namespace mx::smtp
