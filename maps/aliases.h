// maps/aliases.h - reads aliases(5) source text, `name: value, value...`, as postalias(1) reads it.
//
// A line is taken apart into RFC 822 words, operators and comments. The name is kept without its
// quotes and in lower case (ASCII): it is a local part, in the form in which it is looked up. The
// value is written again from its words, quoted where they need it, with postalias's spacing: equal
// bytes, so that either table can stand for the other. What a value asks for (an address, a file, a
// command, :include:) is for who expands it. postalias's own entries (@, YP_LAST_MODIFIED,
// YP_MASTER_NAME) are not made. No I/O; one thread; time and memory linear in the longest line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "maps/source.h"
#include "proto/base/logical_lines.h"

namespace mx::maps {

class AliasReader {
 public:
  using Item = SourceReader::Item;

  // `text` must outlive the reader.
  explicit AliasReader(std::string_view text) : lines_(text) {}
  // The next entry or diagnostic in the order of lines.
  Item next();
  const SourceEntry& entry() const { return entry_; }
  const SourceDiagnostic& diagnostic() const { return diagnostic_; }

 private:
  Item complain(SourceFault fault, std::string text);
  Item split();

  LogicalLines lines_;
  LogicalLine line_;
  std::string key_, value_;
  SourceEntry entry_;
  SourceDiagnostic diagnostic_;
};

}  // namespace mx::maps
