#include "maps/spec.h"

#include <array>
#include <unordered_map>

#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::maps {

namespace {

using Result = std::expected<TableSpec, std::string>;
using Complaint = std::expected<void, std::string>;

constexpr size_t shown_bytes_max = 200;
constexpr std::string_view separators = ", \t\r\n";
constexpr std::string_view proxy = "proxy:";

struct KnownType {
  std::string_view name;
  TableKind kind;
};
constexpr KnownType known_types[] = {
    {"hash", TableKind::compiled},         {"btree", TableKind::compiled},
    {"lmdb", TableKind::compiled},         {"cdb", TableKind::compiled},
    {"texthash", TableKind::compiled},     {"cidr", TableKind::cidr},
    {"regexp", TableKind::regexp},         {"pcre", TableKind::pcre},
    {"inline", TableKind::inline_entries}, {"static", TableKind::constant},
    {"unionmap", TableKind::union_of},     {"fail", TableKind::failing},
    {"unix", TableKind::system},
};

// Types that Postfix knows beside those, with a command that writes their entries as `key value`
// lines; without one there is nothing to export.
struct OtherType {
  std::string_view name, export_command;
};
constexpr OtherType other_types[] = {
    {"ldap", "ldapsearch ... | awk ..."},
    {"mysql", "mysql -BN -e 'SELECT key, value ...'"},
    {"pgsql", "psql -At -F ' ' -c 'SELECT key, value ...'"},
    {"sqlite", "sqlite3 -separator ' ' FILE 'SELECT key, value ...'"},
    {"mongodb", "mongosh --quiet --eval ..."},
    {"nis", "ypcat -k MAP"},
    {"nisplus", "niscat TABLE"},
    {"netinfo", ""},
    {"dbm", "postmap -s dbm:FILE"},
    {"sdbm", "postmap -s sdbm:FILE"},
    {"memcache", ""},
    {"tcp", ""},
    {"socketmap", ""},
    {"pipemap", ""},
    {"randmap", ""},
    {"environ", ""},
    {"internal", ""},
};

std::string shown(std::string_view text) {
  return "\"" + printable(text, shown_bytes_max) + "\"";
}

std::string working_types() {
  std::string out = "these work: ";
  for (const KnownType& type : known_types) {
    if (&type != known_types) out += ", ";
    out += type.name;
  }
  return out;
}

std::string unknown_type(std::string_view type, std::string_view text) {
  for (const OtherType& other : other_types) {
    if (other.name != type) continue;
    if (other.export_command.empty())
      return "table type \"" + std::string(type) + "\" is not supported (" +
             printable(text, shown_bytes_max) + "); " + working_types();
    return "table " + shown(text) + ": type \"" + std::string(type) +
           "\" is not read here: export it and compile: " + std::string(other.export_command) +
           " | mapc --stdin hash:/path";
  }
  return "unknown table type " + shown(type) + "; " + working_types();
}

// Length of the text in braces at the front of `text`, with them; 0 when they are not closed.
size_t braced_size(std::string_view text) {
  size_t depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i + 1;
    if (depth == 0) return 0;
  }
  return 0;
}

// What is between the braces that enclose the whole of `text`.
std::expected<std::string_view, std::string> inside_braces(std::string_view text) {
  if (!text.starts_with('{')) return std::unexpected("no '{' at start of " + shown(text));
  const size_t size = braced_size(text);
  if (size == 0) return std::unexpected("missing '}' in " + shown(text));
  if (size != text.size()) return std::unexpected("syntax error after '}' in " + shown(text));
  return text.substr(1, size - 2);
}

// The next element of a list, empty at its end. Separators inside braces separate nothing.
std::string_view take_element(std::string_view& rest) {
  const size_t start = rest.find_first_not_of(separators);
  if (start == std::string_view::npos) return rest = {};
  rest.remove_prefix(start);
  size_t size = 0, depth = 0;
  for (; size < rest.size(); ++size) {
    if (rest[size] == '{') {
      ++depth;
    } else if (rest[size] == '}') {
      if (depth > 0) --depth;
    } else if (depth == 0 && separators.find(rest[size]) != std::string_view::npos) {
      break;
    }
  }
  const std::string_view element = rest.substr(0, size);
  rest.remove_prefix(size);
  return element;
}

// `key = value`. Quotes and backslashes protect what ends a key, and stay in it.
std::expected<std::pair<std::string, std::string>, std::string> key_and_value(
    std::string_view text) {
  text = trim(text);
  if (text.empty()) return std::unexpected("no key found; expected format: key = value");
  bool quoted = false;
  size_t end = 0;
  for (; end < text.size(); ++end) {
    if (text[end] == '\\') {
      if (++end == text.size()) break;
    } else if (text[end] == '"') {
      quoted = !quoted;
    } else if (!quoted && (text[end] == '=' || is_space(text[end]))) {
      break;
    }
  }
  if (quoted) return std::unexpected("unbalanced '\"' in " + shown(text));
  const std::string_view rest = trim_front(text.substr(end));
  if (!rest.starts_with('=')) return std::unexpected("missing '=' after attribute name");
  // Postfix takes an empty key, which nothing is ever looked up by.
  if (end == 0) return std::unexpected("no key before '=' in " + shown(text));
  if (end > limits::table_key_bytes_max) return std::unexpected("a key is too long");
  return std::pair(lower(text.substr(0, end)), std::string(trim(rest.substr(1))));
}

// As with Postfix the last of several values of a key counts.
Complaint read_entries(TableSpec& spec) {
  const auto inside = inside_braces(spec.name);
  if (!inside) return std::unexpected(inside.error());
  std::unordered_map<std::string, size_t> places;
  std::string_view rest = *inside;
  for (std::string_view element; !(element = take_element(rest)).empty();) {
    if (element.starts_with('{')) {
      const auto bare = inside_braces(element);
      if (!bare) return std::unexpected(bare.error());
      element = *bare;
    }
    auto entry = key_and_value(element);
    if (!entry) return std::unexpected(entry.error());
    const auto [place, is_new] = places.emplace(entry->first, spec.entries.size());
    if (is_new)
      spec.entries.push_back(std::move(*entry));
    else
      spec.entries[place->second].second = std::move(entry->second);
  }
  if (spec.entries.empty()) return std::unexpected("empty table");
  return {};
}

// `{{rule}, {rule}}` becomes the text of a file with these lines; else the name is a path.
Complaint read_rules(TableSpec& spec) {
  if (!spec.name.starts_with('{')) return {};
  const auto inside = inside_braces(spec.name);
  if (!inside) return std::unexpected(inside.error());
  std::string_view rest = *inside;
  for (std::string_view element; !(element = take_element(rest)).empty();) {
    const auto rule = inside_braces(element);
    if (!rule) return std::unexpected(rule.error());
    spec.source += trim(*rule);
    spec.source += '\n';
  }
  return {};
}

Complaint read_constant(TableSpec& spec) {
  spec.value = spec.name;
  if (!spec.name.starts_with('{')) return {};
  const auto inside = inside_braces(spec.name);
  if (!inside) return std::unexpected(inside.error());
  spec.value = trim(*inside);
  return {};
}

Complaint check_system_name(const TableSpec& spec) {
  if (spec.name == "passwd.byname" || spec.name == "group.byname") return {};
  return std::unexpected("unknown table; these work: unix:passwd.byname, unix:group.byname");
}

class SpecParser {
 public:
  Result parse(std::string_view text, uint32_t depth);

 private:
  Complaint read_parts(TableSpec& spec, uint32_t depth);
  Complaint read_name(TableSpec& spec, uint32_t depth);

  uint32_t parts_left_ = limits::table_spec_parts_max;
};

Complaint SpecParser::read_parts(TableSpec& spec, uint32_t depth) {
  if (depth >= limits::table_spec_depth_max) return std::unexpected("unions are nested too deep");
  const auto inside = inside_braces(spec.name);
  if (!inside) return std::unexpected(inside.error());
  std::string_view rest = *inside;
  for (std::string_view element; !(element = take_element(rest)).empty();) {
    if (parts_left_ == 0) return std::unexpected("too many tables in one name");
    --parts_left_;
    auto part = parse(element, depth + 1);
    if (!part) return std::unexpected(part.error());
    spec.parts.push_back(std::move(*part));
  }
  if (spec.parts.empty()) return std::unexpected("no table in it; need unionmap:{type:name, ...}");
  return {};
}

Complaint SpecParser::read_name(TableSpec& spec, uint32_t depth) {
  switch (spec.kind) {
    case TableKind::compiled:
    case TableKind::failing:
      return {};
    case TableKind::cidr:
    case TableKind::regexp:
    case TableKind::pcre:
      return read_rules(spec);
    case TableKind::inline_entries:
      return read_entries(spec);
    case TableKind::constant:
      return read_constant(spec);
    case TableKind::union_of:
      return read_parts(spec, depth);
    case TableKind::system:
      return check_system_name(spec);
  }
  return {};
}

Result SpecParser::parse(std::string_view text, uint32_t depth) {
  TableSpec spec;
  std::string_view rest = text;
  if (rest.starts_with(proxy)) {
    spec.proxied = true;
    rest.remove_prefix(proxy.size());
    if (rest.starts_with(proxy))
      return std::unexpected("table " + shown(text) + ": proxy: stands twice");
  }
  const size_t colon = rest.find(':');
  if (colon == std::string_view::npos || colon == 0)
    return std::unexpected("table " + shown(text) + " has no type: write hash:/path");
  spec.type = rest.substr(0, colon);
  spec.name = rest.substr(colon + 1);
  const KnownType* known = nullptr;
  for (const KnownType& type : known_types)
    if (type.name == spec.type) known = &type;
  if (known == nullptr) return std::unexpected(unknown_type(spec.type, text));
  spec.kind = known->kind;
  if (spec.name.empty())
    return std::unexpected("table " + shown(text) +
                           (spec.has_path() ? " has no path" : " has no name"));
  if (spec.name.find('\0') != std::string::npos)
    return std::unexpected("table " + shown(text) + " has a NUL byte in its name");
  if (const auto read = read_name(spec, depth); !read) {
    // Of what is wrong inside a union the innermost table was named already.
    if (read.error().starts_with("table ") || read.error().starts_with("unknown table type"))
      return std::unexpected(read.error());
    return std::unexpected("table " + shown(text) + ": " + read.error());
  }
  return spec;
}

}  // namespace

std::expected<TableSpec, std::string> parse_table_spec(std::string_view text) {
  return SpecParser().parse(text, 0);
}

bool TableSpec::has_path() const {
  if (kind == TableKind::compiled) return true;
  const bool has_rules =
      kind == TableKind::cidr || kind == TableKind::regexp || kind == TableKind::pcre;
  return has_rules && !name.starts_with('{');
}

std::string TableSpec::text() const {
  if (kind != TableKind::union_of) return type + ":" + name;
  std::string out = type + ":{";
  for (const TableSpec& part : parts) {
    if (&part != parts.data()) out += ',';
    out += part.text();
  }
  return out + "}";
}

bool looks_like_table(std::string_view element) {
  return !element.starts_with('[') && element.find(':') != std::string_view::npos;
}

}  // namespace mx::maps
