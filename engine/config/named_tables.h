// engine/config/named_tables.h - every table that main.cf names, in whatever parameter: what
// `mapc --all` compiles.
//
// Only main.cf's syntax and its $name are evaluated, so that the tables of a configuration that
// ringmx refuses can be compiled all the same. Looked at are the parameters that main.cf sets,
// restriction classes and /file elements of match lists, behind `!` and `proxy:` and inside
// unionmap:{…}. Not a use: proxy_read_maps and proxy_write_maps (they authorise), and the caches
// that Postfix writes itself. A name of the operator's own that other lines use as $name counts
// where it is used. Blocks on reading files; cost: milliseconds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/diagnostic.h"
#include "engine/config/host_facts.h"
#include "engine/config/load.h"
#include "maps/spec.h"

namespace mx::config {

struct NamedTable {
  maps::TableSpec spec;  // never a union: its members stand for it
  std::string parameter;
  std::string file;  // of the element: main.cf or a /file
  uint32_t line = 0;
  bool is_aliases =
      false;  // alias_maps or alias_database name it: its source is in aliases(5) form
};

struct NamedTables {
  std::vector<NamedTable> tables;  // each once, at its first place
  // An error: tables may have been missed. A warning: this table can not be compiled.
  Diagnostics diagnostics;
};

NamedTables find_tables(std::string_view directory, const FileReader& reader,
                        const HostFacts& host);

}  // namespace mx::config
