#include "engine/privileges.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "engine/sandbox.h"

namespace mx {
namespace {

std::string failed(const char* what) {
  return std::string(what) + ": " + std::strerror(errno);
}

}  // namespace

Owner find_owner(const std::string& name) {
  const passwd* found = ::getpwnam(name.c_str());
  if (found == nullptr) return {};
  return {name, found->pw_uid, found->pw_gid};
}

std::string why_not_ours(const std::string& directory, const Owner& owner) {
  namespace fs = std::filesystem;
  struct stat now{};
  std::error_code error;
  if (::stat(directory.c_str(), &now) != 0) return directory + ": " + std::strerror(errno);
  if (!S_ISDIR(now.st_mode)) return directory + ": not a directory";
  if (now.st_uid == owner.uid) return {};
  size_t others = 0;
  for (const fs::directory_entry& each : fs::directory_iterator(directory, error))
    others += each.path().filename() != "lost+found" ? 1U : 0U;
  if (!error && (others == 0 || fs::is_directory(directory + "/segments", error))) return {};
  return directory + " is not " + owner.name +
         "'s, and holds other things than a queue of ringmx: give it a directory of its own";
}

int access_as(const Owner& owner, const std::string& path, int mode) {
  // Ignored by who started us, it would take the answer away.
  ::signal(SIGCHLD, SIG_DFL);
  const pid_t child = ::fork();
  if (child < 0) return 0;
  if (child == 0) {
    if (!become(owner).empty()) ::_exit(0);
    ::_exit(::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0 ? 0 : errno);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

std::string become(const Owner& owner) {
  if (::initgroups(owner.name.c_str(), owner.gid) != 0) return failed("initgroups");
  if (::setresgid(owner.gid, owner.gid, owner.gid) != 0) return failed("setresgid");
  if (::setresuid(owner.uid, owner.uid, owner.uid) != 0) return failed("setresuid");
  if (owner.uid != 0 && (::setuid(0) == 0 || ::seteuid(0) == 0))
    return "root's rights could be had again";
  return {};
}

std::string give_up_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("no_new_privs");
  // Ambient capabilities go with those that are permitted.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) return failed("capset");
  // The leak checker of a build with sanitizers looks into its own process.
  if (::prctl(PR_SET_DUMPABLE, built_with_sanitizers() ? 1 : 0) != 0) return failed("dumpable");
  return {};
}

}  // namespace mx
