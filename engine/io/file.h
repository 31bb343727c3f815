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

#include "engine/io/fd.h"
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

// Two readings that agree in all of them are of one file that nobody wrote to in between, as far as
// the file system's clock can tell.
struct FileFacts {
  uint64_t size = 0;
  int64_t mtime_ns = 0, ctime_ns = 0;
  uint64_t device = 0, inode = 0;
  mode_t mode = 0;
  uid_t owner = 0;
  gid_t group = 0;
  bool operator==(const FileFacts&) const = default;
};
std::expected<FileFacts, FileError> file_facts(const std::string& path);

struct FileContent {
  AlignedBuffer buffer;
  FileFacts facts;
};
// Regular files only, of at most `bytes_max`. What only root may read is asked of the privileged
// reader (privileged_reader.h), which has its list.
std::expected<FileContent, FileError> read_file(const std::string& path, uint64_t bytes_max);
// The same in two steps, for files that belong together: what is opened stays what it is when
// another file is renamed over it. `path` is for the error's text.
std::expected<Fd, FileError> open_file(const std::string& path);
std::expected<FileContent, FileError> read_file(const Fd& file, const std::string& path,
                                                uint64_t bytes_max);

// The steps of an atomic write by themselves, for tables that become visible together. The new file
// must not be there; on error it is not.
std::expected<void, FileError> write_new_file(const std::string& path, Bytes content, mode_t mode,
                                              const FileFacts* owned_as = nullptr);
std::expected<void, FileError> rename_file(const std::string& from, const std::string& to);
// The directory that `path` is in.
std::expected<void, FileError> sync_directory_of(const std::string& path);
std::string directory_of(const std::string& path);  // "/etc/" of "/etc/x", "." of "x"

// Writes `path`.tmp.<pid>, syncs it, renames it over `path`, syncs the directory. On error `path`
// is as it was and the temporary file is gone.
std::expected<void, FileError> write_file_atomically(const std::string& path, Bytes content,
                                                     mode_t mode);

}  // namespace mx::io
