#include "proto/smtp/chunk_scanner.h"

namespace mx::smtp {

DataScanner::Step ChunkScanner::scan(std::string_view in) {
  using Event = DataScanner::Event;
  size_t at = 0;
  while (at < in.size()) {
    if (line_start_ && in[at] == '.') {
      line_start_ = false;
      ++stuffed_dots_;
      return {at, at + 1, Event::leading_dot};
    }
    const size_t line = at;
    while (at < in.size() && in[at] != '\r' && in[at] != '\n') ++at;
    if (at > line) line_start_ = false;
    if (at == in.size()) break;
    if (in[at] == '\n') {
      line_start_ = true;
      return {at, at + 1, Event::bare_lf};
    }
    if (at + 1 == in.size()) break;
    if (in[at + 1] != '\n') {
      line_start_ = false;
      return {at, at + 1, Event::bare_cr};
    }
    at += 2;
    line_start_ = true;
  }
  return {at, at, Event::more};
}

}  // namespace mx::smtp
