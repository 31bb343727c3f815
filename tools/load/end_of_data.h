// tools/load/end_of_data.h - finds CR LF '.' CR LF in the pieces in which a message arrives.
//
// Not the scanner of the server that is measured: what checks a program must not share its
// mistakes.
#pragma once

#include <cstddef>
#include <string_view>

namespace mx::load {

class EndOfData {
 public:
  static constexpr size_t none = static_cast<size_t>(-1);

  // A new message: its first line counts as preceded by CR LF.
  void begin() { matched_ = 2; }
  // The number of bytes of `piece` up to and with the end, or `none`: then all of it belongs to the
  // message.
  size_t find(std::string_view piece);

 private:
  size_t matched_ = 2;  // bytes of the mark at the end of what came before
};

}  // namespace mx::load
