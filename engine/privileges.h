// engine/privileges.h - from root to mail_owner, with no way back.
//
// Threads: from the only one there is, at the start.
#pragma once

#include <sys/types.h>

#include <string>

namespace mx {

struct Owner {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Nobody of that name: an empty name.
Owner find_owner(const std::string& name);

// A directory is about to be given to `owner`: why not; empty: it may be, because it is theirs,
// empty, or a queue already. A slip (queue_directory = /var) must not give away what others have.
std::string why_not_ours(const std::string& directory, const Owner& owner);

// What keeps `owner` from `path`, as faccessat(2) with `mode` says: an errno; 0: nothing, or it
// can't be known. Asked by root, of a child that becomes them.
int access_as(const Owner& owner, const std::string& path, int mode);

// Takes the user's groups, group and id; checks that root's rights can't be had again. Empty, or
// why not: then the process must not go on.
std::string become(const Owner& owner);

// For any user: no capability stays, no program that is started could gain any, and nobody of the
// same user can look into the process or make it dump core (mail and keys are in its memory).
// Empty, or why not.
std::string give_up_privileges();

}  // namespace mx
