// maps/source.h - reads postmap source text: `key whitespace value` lines, as postmap(1) reads
// them.
//
// A key ends at the first white space outside double quotes; a backslash protects the byte after
// it; quotes and backslashes stay in the key. The key is folded to lower case (ASCII), the value
// kept as it is with blanks around it removed. Lines that postmap ignores are ignored, with its
// words; nothing else is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/logical_lines.h"

namespace mx::maps {

struct SourceEntry {
  std::string_view key, value;  // valid until the next call
  uint32_t line = 0;
};

enum class SourceFault : uint8_t {
  warning,  // the entry is used all the same
  ignored,  // the line gives no entry, as with postmap
  limit,    // over a limit of ours: the table must not be built, it would miss this entry
};

struct SourceDiagnostic {
  SourceFault fault = SourceFault::warning;
  uint32_t line = 0;
  std::string text;
};

class SourceReader {
 public:
  enum class Item : uint8_t { entry, diagnostic, end };

  // `text` must outlive the reader.
  explicit SourceReader(std::string_view text) : lines_(text) {}
  // The next entry or diagnostic in the order of lines (a warning comes before its entry).
  Item next();
  const SourceEntry& entry() const { return entry_; }
  const SourceDiagnostic& diagnostic() const { return diagnostic_; }

 private:
  Item complain(SourceFault fault, std::string text);
  Item split();

  LogicalLines lines_;
  LogicalLine line_;
  SourceEntry entry_;
  SourceDiagnostic diagnostic_;
  bool entry_pending_ = false;  // its warning was given first
};

// The words for an entry whose key came before: `duplicate entry: "key"`.
std::string duplicate_entry_text(std::string_view key);

}  // namespace mx::maps
