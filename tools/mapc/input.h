// tools/mapc/input.h - a whole file or standard input, with a limit.
#pragma once

#include <string>
#include <string_view>

#include "engine/io/file.h"
#include "tools/mapc/message.h"

namespace mx::mapc {

// Standard input to its end.
Result<std::string> read_stdin();

// The text of a source with its facts; owns its memory.
struct SourceText {
  io::AlignedBuffer file;
  std::string stdin_text;
  io::FileFacts facts;
  std::string_view text() const { return file.size() != 0 ? as_text(file.bytes()) : stdin_text; }
};
Result<SourceText> read_source(const std::string& path);
// Facts of no file: time 0, so that the same text gives the same table.
Result<SourceText> read_source_from_stdin();

}  // namespace mx::mapc
