#include "maps/source.h"

#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::maps {

namespace {

constexpr size_t quoted_text_max = 200;  // of a line in a diagnostic

// Length of the key: up to the first white space that nothing protects. `balanced`: quotes are
// closed.
size_t key_size(std::string_view line, bool& balanced) {
  bool quoted = false;
  size_t i = 0;
  for (; i < line.size(); ++i) {
    if (line[i] == '\\') {
      if (++i == line.size()) break;
    } else if (is_space(line[i])) {
      if (!quoted) break;
    } else if (line[i] == '"') {
      quoted = !quoted;
    }
  }
  balanced = !quoted;
  return i;
}

}  // namespace

std::string duplicate_entry_text(std::string_view key) {
  return "duplicate entry: \"" + printable(key) + "\"";
}

SourceReader::Item SourceReader::complain(SourceFault fault, std::string text) {
  diagnostic_ = {fault, line_.line, std::move(text)};
  return Item::diagnostic;
}

SourceReader::Item SourceReader::split() {
  std::string& text = line_.text;
  bool balanced = true;
  const size_t size = key_size(text, balanced);
  if (!balanced) {
    return complain(
        SourceFault::ignored,
        "unbalanced '\"' in '" + printable(text, quoted_text_max) + "' -- ignoring this line");
  }
  const std::string_view value = trim(std::string_view(text).substr(size));
  if (size == 0 || value.empty())
    return complain(SourceFault::ignored, "expected format: key whitespace value");
  if (size > limits::table_key_bytes_max)
    return complain(SourceFault::limit, "key of " + std::to_string(size) + " bytes; at most " +
                                            std::to_string(limits::table_key_bytes_max));
  for (size_t i = 0; i < size; ++i) text[i] = to_lower(text[i]);
  entry_ = {std::string_view(text).substr(0, size), value, line_.line};
  if (text[size - 1] == ':') {
    entry_pending_ = true;
    return complain(SourceFault::warning,
                    "record is in \"key: value\" format; is this an alias file?");
  }
  return Item::entry;
}

SourceReader::Item SourceReader::next() {
  if (entry_pending_) {
    entry_pending_ = false;
    return Item::entry;
  }
  if (!lines_.next(line_)) return Item::end;
  switch (line_.fault) {
    case LogicalLine::Fault::none:
      return split();
    case LogicalLine::Fault::continuation_without_start:
      return complain(SourceFault::ignored, "logical line must not start with whitespace: \"" +
                                                printable(line_.text, quoted_text_max) + "\"");
    case LogicalLine::Fault::nul_byte:
      return complain(SourceFault::ignored, "NUL byte in the line -- ignoring this line");
    case LogicalLine::Fault::too_long:
      return complain(
          SourceFault::limit,
          "line longer than " + std::to_string(limits::config_line_bytes_max) + " bytes");
  }
  return Item::end;
}

}  // namespace mx::maps
