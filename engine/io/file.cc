#include "engine/io/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/io/fd.h"
#include "engine/io/privileged_reader.h"

namespace mx::io {

namespace {

constexpr size_t huge_page_bytes = 2UL << 20;

std::unexpected<FileError> failed(const char* what, const std::string& path, int error_number) {
  return std::unexpected(
      FileError{error_number, std::string(what) + " " + path + ": " + std::strerror(error_number)});
}

int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileFacts facts_of(const struct stat& status) {
  return {static_cast<uint64_t>(status.st_size),
          nanoseconds(status.st_mtim),
          nanoseconds(status.st_ctim),
          status.st_dev,
          status.st_ino,
          status.st_mode & 07777,
          status.st_uid,
          status.st_gid};
}

bool write_all(int fd, Bytes content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    content = content.subspan(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t size) {
  if (size == 0) return;
  const size_t alignment = size >= huge_page_bytes ? huge_page_bytes : 4096;
  const size_t rounded = (size + alignment - 1) / alignment * alignment;
  // One alignment more than needed; what lies before and after the aligned range is given back.
  const size_t reserved = alignment == huge_page_bytes ? rounded + alignment : rounded;
  void* const memory =
      ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  std::byte* const start = static_cast<std::byte*>(memory);
  const size_t before = (alignment - reinterpret_cast<uintptr_t>(start) % alignment) % alignment;
  if (before != 0) ::munmap(start, before);
  data_ = start + before;
  if (reserved - before > rounded) ::munmap(data_ + rounded, reserved - before - rounded);
  size_ = size;
  mapped_ = rounded;
  if (alignment == huge_page_bytes) ::madvise(data_, mapped_, MADV_HUGEPAGE);  // advice only
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

AlignedBuffer::~AlignedBuffer() {
  if (data_ != nullptr) ::munmap(data_, mapped_);
}

std::expected<FileFacts, FileError> file_facts(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) return facts_of(status);
  if (errno != EACCES) return failed("stat", path, errno);
  const auto fd = privileged_reader::open(path);
  if (!fd || ::fstat(fd->get(), &status) != 0) return failed("stat", path, EACCES);
  return facts_of(status);
}

std::expected<Fd, FileError> open_file(const std::string& path) {
  // O_NONBLOCK: a FIFO put in the file's place must not hang a start.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd) return fd;
  if (errno != EACCES) return failed("open", path, errno);
  auto opened = privileged_reader::open(path);
  if (!opened) return failed("open", path, opened.error());
  return std::move(*opened);
}

std::expected<FileContent, FileError> read_file(const std::string& path, uint64_t bytes_max) {
  const auto file = open_file(path);
  if (!file) return std::unexpected(file.error());
  return read_file(*file, path, bytes_max);
}

std::expected<FileContent, FileError> read_file(const Fd& fd, const std::string& path,
                                                uint64_t bytes_max) {
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return failed("stat", path, errno);
  if (S_ISDIR(status.st_mode)) return failed("read", path, EISDIR);
  if (!S_ISREG(status.st_mode)) return failed("read", path, EINVAL);
  const uint64_t size = static_cast<uint64_t>(status.st_size);
  if (size > bytes_max) return failed("read", path, EFBIG);

  FileContent content{AlignedBuffer(size), facts_of(status)};
  if (size != 0 && content.buffer.data() == nullptr) return failed("read", path, ENOMEM);
  uint64_t at = 0;
  while (true) {
    std::byte beyond{};  // one byte after the end shows a file that grew
    std::byte* const to = at < size ? content.buffer.data() + at : &beyond;
    const ssize_t taken = ::pread(fd.get(), to, at < size ? size - at : 1, static_cast<off_t>(at));
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) return failed("read", path, errno);
    if (taken == 0) break;
    at += static_cast<uint64_t>(taken);
    if (at > size) break;
  }
  if (at != size) return failed("read (it changed meanwhile)", path, EAGAIN);
  return content;
}

std::expected<void, FileError> write_new_file(const std::string& path, Bytes content, mode_t mode,
                                              const FileFacts* owned_as) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return failed("create", path, errno);
  const auto give_up = [&](const char* what, int error_number) {
    ::unlink(path.c_str());
    return failed(what, path, error_number);
  };
  if (!write_all(fd.get(), content)) return give_up("write", errno);
  if (owned_as != nullptr && ::geteuid() == 0 &&
      ::fchown(fd.get(), owned_as->owner, owned_as->group) != 0)
    return give_up("chown", errno);
  if (::fchmod(fd.get(), mode) != 0) return give_up("chmod", errno);
  if (::fsync(fd.get()) != 0) return give_up("sync", errno);
  if (::close(fd.release()) != 0) return give_up("close", errno);
  return {};
}

std::expected<void, FileError> rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename to", to, errno);
  return {};
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

std::expected<void, FileError> sync_directory_of(const std::string& path) {
  const std::string directory = directory_of(path);
  const Fd parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent) return failed("open", directory, errno);
  if (::fsync(parent.get()) != 0) return failed("sync", directory, errno);
  return {};
}

std::expected<void, FileError> write_file_atomically(const std::string& path, Bytes content,
                                                     mode_t mode) {
  const std::string temporary = path + ".tmp." + std::to_string(::getpid());
  ::unlink(temporary.c_str());  // of a run with this pid that was killed
  if (auto written = write_new_file(temporary, content, mode); !written) return written;
  if (auto renamed = rename_file(temporary, path); !renamed) {
    ::unlink(temporary.c_str());
    return renamed;
  }
  return sync_directory_of(path);
}

}  // namespace mx::io
