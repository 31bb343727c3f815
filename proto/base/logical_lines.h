// proto/base/logical_lines.h - Postfix's way from physical to logical lines: the one reader for
// main.cf, table sources, aliases and /file lists (postconf(5), "Postfix configuration file
// format").
//
// Empty lines and lines whose first non-blank is '#' are dropped before continuation is decided, so
// they neither end nor split a value. A line that begins with white space continues the line before
// it, joined without a newline. CR is white space and goes at the line end. There is no other
// continuation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mx {

struct LogicalLine {
  std::string text;   // no newline; leading blanks of continuations kept, trailing white space gone
  uint32_t line = 0;  // 1-based number of its first physical line
  uint32_t last_line = 0;  // of its last physical line
  enum class Fault : uint8_t {
    none,
    continuation_without_start,  // text is the ignored line
    nul_byte,                    // text has NULs in it
    too_long,                    // over limits::config_line_bytes_max; text is cut, do not use it
  } fault = Fault::none;
};

class LogicalLines {
 public:
  // `file` must outlive the reader.
  explicit LogicalLines(std::string_view file) : rest_(file) {}
  // Fills `out` with the next logical line; false at the end of the file. Cost: linear.
  bool next(LogicalLine& out);

 private:
  bool next_physical(std::string_view& out);  // skips blank and comment lines
  std::string_view rest_;
  uint32_t line_ = 0;
};

}  // namespace mx
