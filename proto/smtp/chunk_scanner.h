// proto/smtp/chunk_scanner.h - finds in the bytes of BDAT chunks (RFC 3030) what has to change on
// the way to the form in which DATA brings a message: every line ends in CR LF, and a line that
// begins with a dot has one more in front.
//
// So a message is stored, and later sent, in one form however it came. Chunks are counted, not
// delimited: nothing in them ends the message, a lone dot is content like all else. One scanner
// serves all chunks of a message; a line, and even a CR LF, may be cut by their border.
//
// Invariant: if the owner stores the clean bytes and does what each event says, and completes a
// last line without end, what it has stored holds no CR LF '.' CR LF, every CR in it is followed by
// LF and every LF preceded by CR. It does not depend on how the bytes were cut.
//
// Owner and threads: one session. Cost: one pass, a byte at a time; each event costs one return.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/smtp/data_scanner.h"

namespace mx::smtp {

class ChunkScanner {
 public:
  // Events are more (all is taken, but for a CR at the end, which must be given again with what
  // follows), bare_lf, bare_cr and leading_dot.
  DataScanner::Step scan(std::string_view in);

  // Nothing, or a whole line, was taken last.
  bool line_start() const { return line_start_; }
  // Dots that were added.
  uint64_t stuffed_dots() const { return stuffed_dots_; }

 private:
  bool line_start_ = true;
  uint64_t stuffed_dots_ = 0;
};

}  // namespace mx::smtp
