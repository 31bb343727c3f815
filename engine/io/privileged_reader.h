// engine/io/privileged_reader.h - a small process that stays root and opens files for the one that
// is not: what only root may read (private keys, a main.cf of mode 0600) can be read again at a
// reload.
//
// It is forked before anything is read, so it holds no table and no secret. It opens for reading,
// and nothing else, exactly the regular files on a list that it was given at the start; after
// seal() the list is closed. Only absolute paths are listed, and only where nobody but root can put
// another file, or a link to one, in their place: in directories that belong to root and that no
// group and no others may write to (or that are sticky). It keeps one capability (to read what
// others own), its system calls are limited by a seccomp filter, and it ends with the process that
// forked it. Two ways lead to it: reading a file (file.h) asks it when the kernel says EACCES.
//
// Threads: start() before there are any; open() from any, one at a time. Cost: two system calls and
// a switch of processes a file. Limits: paths of PATH_MAX, limits::privileged_paths_max of them.
#pragma once

#include <expected>
#include <string>

#include "engine/io/fd.h"

namespace mx::io {

namespace privileged_reader {

// As root only. The error is a text; without the process, nothing but the reading of such files
// is missing.
std::expected<void, std::string> start();
void allow(const std::string& path);
void seal();
// The descriptor, or an errno: EACCES when there is no such process or the path is not on the list.
std::expected<Fd, int> open(const std::string& path);
// Before the end, or in tests: the process ends.
void stop();

}  // namespace privileged_reader
}  // namespace mx::io
