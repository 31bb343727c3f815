#include "engine/policy/system_tables.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proto/base/limits.h"
#include "proto/base/logical_lines.h"
#include "proto/base/text.h"

namespace mx::policy {

namespace {

std::string text_of(const char* text) {
  return text == nullptr ? "" : text;
}

bool can_be_key(std::string_view name) {
  return !name.empty() && name.size() <= limits::table_key_bytes_max &&
         std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

// False when the table has more than it may.
bool add(SystemEntries& entries, const char* name, std::string value) {
  if (!can_be_key(text_of(name))) return true;
  if (entries.size() == limits::table_system_entries_max) return false;
  if (value.size() <= limits::table_value_bytes_max) entries.emplace_back(name, std::move(value));
  return true;
}

std::string passwd_value(const passwd& user) {
  return text_of(user.pw_name) + ":" + text_of(user.pw_passwd) + ":" + std::to_string(user.pw_uid) +
         ":" + std::to_string(user.pw_gid) + ":" + text_of(user.pw_gecos) + ":" +
         text_of(user.pw_dir) + ":" + text_of(user.pw_shell);
}

std::string group_value(const group& one) {
  std::string value =
      text_of(one.gr_name) + ":" + text_of(one.gr_passwd) + ":" + std::to_string(one.gr_gid) + ":";
  for (char** member = one.gr_mem; member != nullptr && *member != nullptr; ++member)
    value += (member == one.gr_mem ? "" : ",") + std::string(*member);
  return value;
}

}  // namespace

std::expected<SystemEntries, std::string> read_system_table(std::string_view name) {
  SystemEntries entries;
  bool fits = true;
  int failure = 0;
  if (name == "passwd.byname") {
    ::setpwent();
    errno = 0;
    while (const passwd* user = fits ? ::getpwent() : nullptr) {
      fits = add(entries, user->pw_name, passwd_value(*user));
      errno = 0;
    }
    failure = errno;
    ::endpwent();
  } else {
    ::setgrent();
    errno = 0;
    while (const group* one = fits ? ::getgrent() : nullptr) {
      fits = add(entries, one->gr_name, group_value(*one));
      errno = 0;
    }
    failure = errno;
    ::endgrent();
  }
  if (!fits) return std::unexpected("too many accounts");
  // ENOENT: the end of the list, for some name services.
  if (failure != 0 && failure != ENOENT) return std::unexpected(std::strerror(failure));
  return entries;
}

std::string unlisted_sources(std::string_view nsswitch, std::string_view name) {
  const std::string database = name == "group.byname" ? "group:" : "passwd:";
  LogicalLines lines(nsswitch);
  std::string out;
  for (LogicalLine line; lines.next(line);) {
    std::string_view rest = trim(line.text);
    if (!rest.starts_with(database)) continue;
    rest.remove_prefix(database.size());
    rest = rest.substr(0, rest.find('#'));
    for (auto word = take_word(rest, " \t"); !word.empty(); word = take_word(rest, " \t")) {
      if (word.starts_with('[') || word.ends_with(']')) continue;  // [NOTFOUND=return]
      if (word == "files" || word == "systemd" || word == "compat" || word == "db") continue;
      out += (out.empty() ? "" : " ") + std::string(word);
    }
  }
  return out;
}

std::string_view system_table_file(std::string_view name) {
  return name == "group.byname" ? "/etc/group" : "/etc/passwd";
}

}  // namespace mx::policy
