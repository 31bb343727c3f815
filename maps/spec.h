// maps/spec.h - the name of a table as the configuration writes it: `type:path`, with `proxy:` in
// front where a file asks Postfix for its proxymap server, which means nothing here.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace mx::maps {

inline constexpr std::string_view compiled_suffix = ".phm";

struct TableSpec {
  std::string_view type, path;  // views of the text given
  bool proxied = false;
  bool operator==(const TableSpec&) const = default;
};

// A spec that names a compiled table (hash, btree, lmdb, cdb, texthash: one source syntax, one
// compiled form). Otherwise what to tell the operator: a type that Postfix knows and this program
// does not yet, or an unknown one with the list of those that work.
std::expected<TableSpec, std::string> parse_table_spec(std::string_view text);

// Whether a match list takes `element` for a table: `type:name`, but not an address in brackets.
bool looks_like_table(std::string_view element);

}  // namespace mx::maps
