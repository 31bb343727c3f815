// engine/io/file.h - whole files: read into memory of our own, written so that a reader sees either
// the old or the new one. For start-up, reload and tools: these calls block.
//
// Files are read, not mapped: what an operator does to the file afterwards (cp, rsync, truncation)
// cannot reach a running process.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>

#include "proto/base/bytes.h"

namespace mx::io {

struct FileError {
  int error_number = 0;  // errno; EFBIG: over the limit; EAGAIN: the file changed while it was read
  std::string text;      // "open /path: No such file or directory"
};

// Anonymous memory aligned to 2 MiB when it is that large, so that the kernel can use huge pages.
// Move-only.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t size);  // zeroed; data() is nullptr when there is no memory
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  ~AlignedBuffer();

  std::byte* data() { return data_; }
  size_t size() const { return size_; }
  Bytes bytes() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
};

struct FileFacts {
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  mode_t mode = 0;
};
std::expected<FileFacts, FileError> file_facts(const std::string& path);

struct FileContent {
  AlignedBuffer buffer;
  FileFacts facts;
};
// Regular files only, of at most `bytes_max`.
std::expected<FileContent, FileError> read_file(const std::string& path, uint64_t bytes_max);

// Writes `path`.tmp.<pid>, syncs it, renames it over `path`, syncs the directory. On error `path`
// is as it was and the temporary file is gone.
std::expected<void, FileError> write_file_atomically(const std::string& path, Bytes content,
                                                     mode_t mode);

}  // namespace mx::io
