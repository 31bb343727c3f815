#include "engine/io/watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace mx::io {

namespace {

constexpr uint32_t interesting =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR;

DirectoryWatch::Change change_of(uint32_t mask) {
  if ((mask & IN_CLOSE_WRITE) != 0) return DirectoryWatch::Change::written;
  if ((mask & IN_CREATE) != 0) return DirectoryWatch::Change::created;
  return DirectoryWatch::Change::moved;
}

}  // namespace

std::string DirectoryWatch::open() {
  inotify_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  return inotify_ ? "" : std::string("inotify: ") + std::strerror(errno);
}

std::string DirectoryWatch::add(const std::string& directory) {
  if (!inotify_) return "";  // open() said why
  const int watch = ::inotify_add_watch(inotify_.get(), directory.c_str(), interesting);
  if (watch < 0) return "inotify: " + directory + ": " + std::strerror(errno);
  const auto [at, is_new] = watches_.try_emplace(directory, watch);
  const int before = std::exchange(at->second, watch);
  const auto is_before = [&](const auto& each) { return each.second == before; };
  if (std::ranges::none_of(watches_, is_before))  // of the directory that was here before
    ::inotify_rm_watch(inotify_.get(), before);
  return "";
}

void DirectoryWatch::take(const std::function<void(const std::string&, Change)>& on) {
  alignas(inotify_event) std::array<char, 16384> buffer;
  while (inotify_) {
    const ssize_t got = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (got <= 0) return;
    for (size_t at = 0; at + sizeof(inotify_event) <= static_cast<size_t>(got);) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* const name = buffer.data() + at + sizeof event;
      at += sizeof event + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) on("", Change::lost);
      if ((event.mask & IN_IGNORED) != 0)
        std::erase_if(watches_, [wd = event.wd](const auto& each) { return each.second == wd; });
      if (event.len == 0) continue;
      for (const auto& [directory, watch] : watches_)
        if (watch == event.wd)
          on(directory + (directory.ends_with('/') ? "" : "/") + name, change_of(event.mask));
    }
  }
}

}  // namespace mx::io
