#include "tools/mapc/input.h"

#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "proto/base/limits.h"

namespace mx::mapc {

Result<std::string> read_stdin() {
  std::string text;
  std::vector<char> buffer(1 << 16);
  while (true) {
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size == 0) return text;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failure(EX_IOERR, fmt::format("stdin: {}", std::strerror(errno)));
    if (text.size() + static_cast<size_t>(size) > limits::table_source_bytes_max)
      return failure(EX_DATAERR,
                     fmt::format("stdin: more than {} bytes", limits::table_source_bytes_max));
    text.append(buffer.data(), static_cast<size_t>(size));
  }
}

Result<SourceText> read_source(const std::string& path) {
  auto file = io::read_file(path, limits::table_source_bytes_max);
  if (!file) return failure(EX_NOINPUT, file.error().text);
  return SourceText{std::move(file->buffer), {}, file->facts};
}

Result<SourceText> read_source_from_stdin() {
  auto text = read_stdin();
  if (!text) return std::unexpected(text.error());
  SourceText source;
  source.facts.size = text->size();
  source.stdin_text = std::move(*text);
  return source;
}

}  // namespace mx::mapc
