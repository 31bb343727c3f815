// engine/policy/system_tables.h - unix:passwd.byname and unix:group.byname: the accounts of this
// machine, through the C library, so whatever nsswitch.conf names is asked.
//
// They are read once, when a snapshot is made, not at each look-up as Postfix does: a name service
// may take seconds. Values are Postfix's: `name:passwd:uid:gid:gecos:dir:shell` and
// `name:passwd:gid:member,member`. Look-ups are by folded keys, so a name with capital letters is
// never found, as in Postfix. Blocks; one thread at a time (getpwent(3)).
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mx::policy {

using SystemEntries = std::vector<std::pair<std::string, std::string>>;

// `name`: passwd.byname or group.byname. In the order of the name service; the error is a text.
std::expected<SystemEntries, std::string> read_system_table(std::string_view name);

// The sources of nsswitch.conf(5)'s text that may have accounts without listing them (sss, ldap,
// winbind: their enumeration is off as a rule), with blanks between them.
std::string unlisted_sources(std::string_view nsswitch, std::string_view name);

// The file whose change tells that the table may have changed.
std::string_view system_table_file(std::string_view name);

}  // namespace mx::policy
