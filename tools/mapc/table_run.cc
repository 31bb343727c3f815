#include "tools/mapc/table_run.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "engine/io/file.h"
#include "proto/base/limits.h"

namespace mx::mapc {

namespace {

std::string inside(const std::string& directory, std::string_view name) {
  return fmt::format("{}{}{}", directory, directory.ends_with('/') ? "" : "/", name);
}

uint64_t random_run() {
  uint64_t run = 0;
  while (run == 0)
    if (::getrandom(&run, sizeof run, 0) != sizeof run) run = static_cast<uint64_t>(::getpid());
  return run;
}

Result<> sync_directories(const std::vector<std::string>& paths) {
  std::set<std::string> synced;
  for (const std::string& path : paths) {
    if (!synced.insert(io::directory_of(path)).second) continue;
    if (const auto done = io::sync_directory_of(path); !done)
      return failure(EX_CANTCREAT, done.error().text);
  }
  return {};
}

bool not_for_us(int error_number) {
  return error_number == EACCES || error_number == EPERM || error_number == EROFS ||
         error_number == ENOENT || error_number == ENOTDIR;
}

}  // namespace

Result<maps::SetRecord> read_set_record(const std::string& directory) {
  const std::string path = inside(directory, maps::set_record_name);
  const auto file = io::read_file(path, limits::table_set_bytes_max);
  if (!file) {
    if (not_for_us(file.error().error_number)) return maps::SetRecord{};
    return failure(EX_NOINPUT, file.error().text);
  }
  auto record = maps::SetRecord::parse(as_text(file->buffer.bytes()));
  if (record) return std::move(*record);
  warn(fmt::format("{} is {}: not used", path, describe(record.error())));
  return maps::SetRecord{};
}

TableRun::TableRun(std::string directory, std::vector<std::string> compiled_paths)
    : directory_(std::move(directory)), paths_(std::move(compiled_paths)), run_(random_run()) {}

TableRun::~TableRun() {
  if (committed_) return;
  for (const std::string& path : added_) ::unlink(maps::pending_path(path, run_).c_str());
}

bool TableRun::is_ours(const std::string& path) const {
  return std::ranges::find(paths_, path) != paths_.end();
}

Result<> TableRun::begin() {
  const bool together = paths_.size() > 1;
  if (paths_.size() > limits::table_set_paths_max)
    return failure(EX_USAGE,
                   fmt::format("more than {} tables in one run", limits::table_set_paths_max));
  for (const std::string& path : paths_)
    if (together && !maps::SetRecord::can_hold(path))
      return failure(EX_USAGE, path + ": a newline in the path, or a path that is too long");
  if (auto locked = take_lock(); !locked) return locked;
  if (auto finished = finish_committed(); !finished) return finished;
  if (lock_) remove_left_overs();
  return {};
}

Result<> TableRun::take_lock() {
  const std::string path = inside(directory_, maps::set_lock_name);
  lock_ = io::Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock_) {
    if (!not_for_us(errno))
      return failure(EX_CANTCREAT, fmt::format("open {}: {}", path, std::strerror(errno)));
    if (paths_.size() > 1)
      warn(fmt::format("{}: {}: the tables become visible one by one", path, std::strerror(errno)));
    return {};
  }
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  if (errno == EWOULDBLOCK && ::isatty(STDERR_FILENO) == 1)
    say(fmt::format("another mapc holds {}: waiting", path));
  while (::flock(lock_.get(), LOCK_EX) != 0)
    if (errno != EINTR)
      return failure(EX_CANTCREAT, fmt::format("lock {}: {}", path, std::strerror(errno)));
  return {};
}

// A table that is still pending would be read in place of what this run writes, and renamed over it
// later: where it can't be finished, nothing may be written.
Result<> TableRun::finish_committed() {
  const auto record = read_set_record(directory_);
  if (!record) return std::unexpected(record.error());
  std::vector<std::string> renamed;
  for (const std::string& path : record->paths) {
    const std::string pending = maps::pending_path(path, record->run);
    if (::access(pending.c_str(), F_OK) != 0) continue;
    const auto done = io::rename_file(pending, path);
    if (done) {
      renamed.push_back(path);
    } else if (lock_ || is_ours(path)) {
      return failure(EX_CANTCREAT,
                     fmt::format("{} (of an earlier run that was not finished; nothing written)",
                                 done.error().text));
    }
  }
  return sync_directories(renamed);
}

void TableRun::remove_left_overs() const {
  std::set<std::string> directories;
  for (const std::string& path : paths_) directories.insert(io::directory_of(path));
  for (const std::string& directory : directories) {
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory.c_str()), ::closedir);
    if (!entries) continue;
    while (const dirent* entry = ::readdir(entries.get())) {
      const std::string_view name = entry->d_name;
      const std::string_view compiled = name.substr(0, name.rfind(maps::pending_infix));
      if (maps::is_pending_name(name, compiled) && is_ours(inside(directory, compiled)))
        ::unlink(inside(directory, name).c_str());
    }
  }
}

Result<> TableRun::add(const std::string& compiled_path, Bytes content, const io::FileFacts& like) {
  const std::string pending = maps::pending_path(compiled_path, run_);
  if (const auto written = io::write_new_file(pending, content, like.mode & 0666, &like); !written)
    return failure(EX_CANTCREAT, written.error().text);
  added_.push_back(compiled_path);
  return {};
}

Result<> TableRun::commit() {
  // The names must be on disk before a record points to them.
  if (auto synced = sync_directories(added_); !synced) return synced;
  if (added_.size() > 1 && lock_) {
    const auto recorded = write_record();
    if (!recorded) return std::unexpected(recorded.error());
    committed_ = *recorded;
  }
  return rename_all();
}

// False, after saying so, when the directory takes no record.
Result<bool> TableRun::write_record() {
  const std::string path = inside(directory_, maps::set_record_name);
  const std::string text = maps::SetRecord{run_, added_}.format();
  const auto written = io::write_file_atomically(path, as_bytes(text), 0644);
  if (written) return true;
  // Renamed, and then the directory's sync failed: readers see it, so it counts.
  if (const auto now = read_set_record(directory_); now && now->run == run_) {
    warn(written.error().text);
    return true;
  }
  if (!not_for_us(written.error().error_number))
    return failure(EX_CANTCREAT, written.error().text + " (nothing written)");
  warn(written.error().text + ": the tables become visible one by one");
  return false;
}

Result<> TableRun::rename_all() {
  const std::vector<std::string> all = added_;
  for (const std::string& path : all) {
    if (const auto done = io::rename_file(maps::pending_path(path, run_), path); !done)
      return failure(EX_CANTCREAT,
                     done.error().text + (committed_ ? " (the tables are in use all the same; the "
                                                       "next run finishes this one)"
                                                     : ""));
    std::erase(added_, path);
  }
  return sync_directories(all);
}

}  // namespace mx::mapc
