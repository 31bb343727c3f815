// tools/load/reply_lines.h - SMTP replies out of the bytes that a server sends, a line at a time,
// in a buffer of fixed size that the kernel receives into.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "proto/base/bytes.h"
#include "proto/base/text.h"

namespace mx::load {

struct ReplyLine {
  int code = 0;       // 0: not a reply
  bool last = false;  // of a reply of several lines
  std::string_view text;
};

class ReplyLines {
 public:
  // Where the next bytes go, and how many came. Empty when a line does not fit: not a server to
  // talk to.
  MutableBytes room() {
    return {reinterpret_cast<std::byte*>(bytes_.data()) + used_, bytes_.size() - used_};
  }
  void received(size_t count) { used_ += count; }
  bool empty() const { return used_ == taken_; }

  // The next whole line; its text is valid until compact().
  bool next(ReplyLine& out) {
    const std::string_view rest(bytes_.data() + taken_, used_ - taken_);
    const size_t end = rest.find('\n');
    if (end == rest.npos) return false;
    taken_ += end + 1;
    std::string_view line = rest.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto code = line.size() >= 3 ? parse_decimal(line.substr(0, 3)) : std::nullopt;
    out.code = code && (line.size() == 3 || line[3] == ' ' || line[3] == '-')
                   ? static_cast<int>(*code)
                   : 0;
    out.last = line.size() == 3 || line[3] != '-';
    out.text = line.size() > 4 ? line.substr(4) : std::string_view();
    return true;
  }
  // Makes room again; after all whole lines are taken.
  void compact() {
    std::memmove(bytes_.data(), bytes_.data() + taken_, used_ - taken_);
    used_ -= taken_;
    taken_ = 0;
  }

 private:
  size_t used_ = 0, taken_ = 0;
  std::array<char, 1024> bytes_;
};

}  // namespace mx::load
