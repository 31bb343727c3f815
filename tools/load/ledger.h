// tools/load/ledger.h - a file of lines that says what happened, for a test to compare afterwards.
//
// Lines are collected and written once a turn, before anything that the peer sees of them is sent
// (mxsink) and after the reply that they record has arrived (mxload). A ledger that can't be
// written is worthless, so a failed write ends the program.
#pragma once

#include <string>
#include <string_view>

#include "engine/io/fd.h"

namespace mx::load {

class Ledger {
 public:
  // Creates the file, or appends to it. False when that is impossible; errno says why.
  [[nodiscard]] bool open(const std::string& path);
  bool is_open() const { return static_cast<bool>(file_); }
  void add(std::string_view line);  // without its newline
  void flush();

 private:
  io::Fd file_;
  std::string pending_;
};

// Writes all of `bytes` to a descriptor; false on an error.
bool write_all(int fd, std::string_view bytes);

// Appends `text` as a JSON string with its quotes. Bytes above 127 are escaped one by one.
void append_json_string(std::string& out, std::string_view text);

}  // namespace mx::load
