#include "engine/start_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "engine/config/load.h"
#include "engine/privileges.h"
#include "proto/base/text.h"

namespace mx {
namespace {

namespace fs = std::filesystem;
using config::Severity;
constexpr int links_max = 40;  // as the kernel has it

// Of the file or directory itself, wherever links lead, also if it is not there yet.
fs::path parent_of(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  std::error_code error;
  fs::path at = path;
  for (int links = 0; links < links_max && fs::is_symlink(at, error); ++links) {
    const fs::path to = fs::read_symlink(at, error);
    at = to.is_absolute() ? to : at.parent_path() / to;
  }
  const fs::path parent = at.parent_path();
  return parent.empty() ? "." : parent;
}

class MachineCheck {
 public:
  explicit MachineCheck(const config::Settings& settings)
      : settings_(settings), root_(::geteuid() == 0) {}
  config::Diagnostics run();

 private:
  void check_owner();
  void check_queue();
  void check_log();
  bool check_access(std::string_view name, const std::string& path, int mode);
  void check_reach(std::string_view name, const fs::path& directory);
  void say(std::string_view name, Severity severity, std::string_view text);

  const config::Settings& settings_;
  const bool root_;
  Owner owner_;
  config::Diagnostics found_;
};

void MachineCheck::say(std::string_view name, Severity severity, std::string_view text) {
  const auto line = settings_.lines.find(name);
  found_.push_back({config::main_cf_path(settings_.config_directory),
                    line == settings_.lines.end() ? 0 : line->second, severity,
                    std::string(name) + ": " + std::string(text)});
}

void MachineCheck::check_owner() {
  const std::string& name = settings_.mail_owner;
  if (name.empty()) return;
  owner_ = find_owner(name);
  if (owner_.name.empty())
    say("mail_owner", root_ ? Severity::error : Severity::warning,
        "there is no user \"" + printable(name) + "\"" +
            (root_ ? "" : ": root could not start it"));
  else if (owner_.uid == 0 && root_)
    say("mail_owner", Severity::warning, name + ": running with root's rights");
}

// What this process may not do. For another user than mail_owner that is no more than a hint: it
// may be root who starts it.
bool MachineCheck::check_access(std::string_view name, const std::string& path, int mode) {
  if (::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0) return true;
  const int error = errno;
  // Root without its rights over files (a container's, NFS): mail_owner may have them.
  if (error == EACCES && root_ && owner_.uid != 0 && access_as(owner_, path, mode) == 0)
    return true;
  const bool hint = error == EACCES && !root_ && ::geteuid() != owner_.uid;
  say(name, hint ? Severity::warning : Severity::error,
      path + ": " + std::strerror(error) + (hint ? " for this user" : ""));
  return false;
}

// Root gives the file or directory to mail_owner, who must get to it.
void MachineCheck::check_reach(std::string_view name, const fs::path& directory) {
  if (!root_ || owner_.uid == 0) return;
  if (const int error = access_as(owner_, directory, X_OK); error != 0)
    say(name, Severity::error,
        directory.string() + ": " + std::strerror(error) + " for mail_owner");
}

void MachineCheck::check_queue() {
  constexpr std::string_view name = "queue_directory";
  const std::string& queue = settings_.queue.directory;
  if (!queue.starts_with('/')) return;
  const fs::path parent = parent_of(queue);
  struct stat facts{};
  const bool there = ::stat(queue.c_str(), &facts) == 0;
  const bool missing = !there && errno == ENOENT;
  std::error_code error;
  std::string why;
  if (missing && fs::is_symlink(queue, error)) {
    why = queue + ": a link to nothing";
  } else if (missing) {
    // The start makes it.
    if (!check_access(name, parent, W_OK | X_OK)) return;
  } else if (root_ && owner_.uid != 0) {
    why = why_not_ours(queue, owner_);
  } else if (there && !S_ISDIR(facts.st_mode)) {
    why = queue + ": not a directory";
  } else if (!check_access(name, queue, R_OK | W_OK | X_OK)) {
    return;
  }
  if (!why.empty()) return say(name, Severity::error, why);
  check_reach(name, parent);
}

void MachineCheck::check_log() {
  constexpr std::string_view name = "maillog_file";
  const std::string& file = settings_.log.maillog_file;
  if (file.empty()) return;
  const fs::path parent = parent_of(file);
  struct stat facts{};
  const bool there = ::stat(file.c_str(), &facts) == 0;
  if (there && S_ISDIR(facts.st_mode))
    return say(name, Severity::error, file + ": " + std::strerror(EISDIR));
  if (there ? check_access(name, file, W_OK) : check_access(name, parent, W_OK | X_OK))
    check_reach(name, parent);
}

config::Diagnostics MachineCheck::run() {
  check_owner();
  check_queue();
  check_log();
  return std::move(found_);
}

}  // namespace

config::Diagnostics check_machine(const config::Settings& settings) {
  return MachineCheck(settings).run();
}

}  // namespace mx
