#include "proto/base/logical_lines.h"

#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx {

bool LogicalLines::next_physical(std::string_view& out) {
  while (!rest_.empty()) {
    const size_t newline = rest_.find('\n');
    std::string_view line = rest_.substr(0, newline);
    rest_.remove_prefix(newline == std::string_view::npos ? rest_.size() : newline + 1);
    ++line_;
    const std::string_view body = trim_front(line);
    if (body.empty() || body.front() == '#') continue;
    while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
    out = line;
    return true;
  }
  return false;
}

bool LogicalLines::next(LogicalLine& out) {
  std::string_view physical;
  if (!next_physical(physical)) return false;
  out.text.assign(physical);
  out.line = out.last_line = line_;
  out.fault = LogicalLine::Fault::none;
  if (is_space(physical.front())) {
    out.fault = LogicalLine::Fault::continuation_without_start;
    return true;
  }
  // Look ahead: take continuations, leave the first line that starts a new one where it is.
  while (true) {
    const std::string_view rest = rest_;
    const uint32_t line = line_;
    if (!next_physical(physical)) break;
    if (!is_space(physical.front())) {
      rest_ = rest;
      line_ = line;
      break;
    }
    out.last_line = line_;
    if (out.text.size() + physical.size() > limits::config_line_bytes_max)
      out.fault = LogicalLine::Fault::too_long;
    else
      out.text.append(physical);
  }
  if (out.text.size() > limits::config_line_bytes_max) out.fault = LogicalLine::Fault::too_long;
  if (out.fault == LogicalLine::Fault::none && out.text.find('\0') != std::string::npos)
    out.fault = LogicalLine::Fault::nul_byte;
  return true;
}

}  // namespace mx
