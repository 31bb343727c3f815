// engine/io/watch.h - notices what happens to files in some directories (inotify(7)), by name: so
// also when a file is replaced, removed and made again.
//
// What it can't see: changes on a network file system made elsewhere, and a symbolic link's target
// in another directory. Who needs those looks at the files from time to time as well. Owner and
// threads: one thread. Cost: one descriptor, one kernel watch a directory.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "engine/io/fd.h"

namespace mx::io {

class DirectoryWatch {
 public:
  enum class Change : uint8_t {
    written,  // closed after writing
    moved,    // renamed to this name, linked, or gone
    created,  // there is a new name; its content may still be to come
    lost,     // events were lost: anything may have changed; path is empty
  };

  // Empty, or why not.
  std::string open();
  int fd() const { return inotify_.get(); }  // readable: take() has something
  // Watches `directory`, also again when another one has taken its place. Empty, or why not.
  std::string add(const std::string& directory);
  // Hands on(path, change) what happened so far; does not wait.
  void take(const std::function<void(const std::string& path, Change change)>& on);

 private:
  Fd inotify_;
  // Watch descriptors by directory as it was given; two names of one directory have the same.
  std::map<std::string, int> watches_;
};

}  // namespace mx::io
