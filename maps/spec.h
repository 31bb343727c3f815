// maps/spec.h - the name of a table as the configuration writes it: `type:name`, with `proxy:` in
// front where a file asks Postfix for its proxymap server, which means nothing here (but see
// proxy_read_maps in config).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mx::maps {

inline constexpr std::string_view compiled_suffix = ".phm";

enum class TableKind : uint8_t {
  compiled,  // hash, btree, lmdb, cdb, texthash: one source syntax, one compiled form, path.phm
  cidr,      // read from their source: path, or the rules in braces
  regexp,
  pcre,
  inline_entries,  // inline:{key=value, …}
  constant,        // static:value
  failing,         // fail:text
  union_of,        // unionmap:{table, …}
  system,          // unix:passwd.byname, unix:group.byname
};

struct TableSpec {
  TableKind kind = TableKind::compiled;
  std::string type;      // as written: "hash"
  std::string name;      // what follows the colon, as written; the path of those that have one
  bool proxied = false;  // `proxy:` stands before it
  std::string source;    // rules given in braces (cidr, regexp, pcre), one a line
  std::string value;     // of static, without its braces
  // Of inline, in their order, each key once and in lower case.
  std::vector<std::pair<std::string, std::string>> entries;
  std::vector<TableSpec> parts;  // of unionmap

  // "type:name" without proxy:, nested names normalised: two specs with the same text are the same
  // table.
  std::string text() const;
  // Whether `name` is the path of a file (compiled: of its source).
  bool has_path() const;
  bool operator==(const TableSpec&) const = default;
};

// The error is what to tell the operator: no type, an unknown type with the list of those that
// work, a type that Postfix knows with the remedy (ldap, mysql, pgsql, …: export and compile with
// `mapc --stdin hash:/path`), an inline text that cannot be read.
std::expected<TableSpec, std::string> parse_table_spec(std::string_view text);

// Whether a match list takes `element` for a table: `type:name`, but not an address in brackets.
bool looks_like_table(std::string_view element);

}  // namespace mx::maps
