#include "maps/spec.h"

#include <algorithm>
#include <array>

namespace mx::maps {

namespace {

using namespace std::string_view_literals;

constexpr std::array compiled_types{"hash"sv, "btree"sv, "lmdb"sv, "cdb"sv, "texthash"sv};
constexpr std::array other_types{"cidr"sv,      "regexp"sv,  "pcre"sv,    "ldap"sv,    "mysql"sv,
                                 "pgsql"sv,     "sqlite"sv,  "nis"sv,     "nisplus"sv, "netinfo"sv,
                                 "unix"sv,      "environ"sv, "tcp"sv,     "static"sv,  "inline"sv,
                                 "internal"sv,  "fail"sv,    "dbm"sv,     "sdbm"sv,    "memcache"sv,
                                 "socketmap"sv, "pipemap"sv, "randmap"sv, "unionmap"sv};

template <typename Types>
bool contains(const Types& types, std::string_view type) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

}  // namespace

std::expected<TableSpec, std::string> parse_table_spec(std::string_view text) {
  TableSpec spec;
  std::string_view rest = text;
  if (rest.starts_with("proxy:")) {
    spec.proxied = true;
    rest.remove_prefix(6);
  }
  const size_t colon = rest.find(':');
  if (colon == std::string_view::npos || colon == 0)
    return std::unexpected("table \"" + std::string(text) + "\" has no type: write hash:/path");
  spec.type = rest.substr(0, colon);
  spec.name = rest.substr(colon + 1);
  if (contains(other_types, std::string_view(spec.type))) {
    return std::unexpected("table type \"" + std::string(spec.type) + "\" is not supported yet (" +
                           std::string(text) + ")");
  }
  if (!contains(compiled_types, std::string_view(spec.type))) {
    return std::unexpected("unknown table type \"" + std::string(spec.type) +
                           "\"; these work: hash, btree, lmdb, cdb, texthash");
  }
  if (spec.name.empty()) return std::unexpected("table \"" + std::string(text) + "\" has no path");
  return spec;
}

std::string TableSpec::text() const {
  return type + ":" + name;
}

bool looks_like_table(std::string_view element) {
  return !element.starts_with('[') && element.find(':') != std::string_view::npos;
}

}  // namespace mx::maps
