// tools/mapc/query.h - `mapc -q` and `mapc -s`: what tables answer, and what is in one. Output is
// postmap's.
#pragma once

#include <string>
#include <vector>

#include "maps/spec.h"

namespace mx::mapc {

// The value of `key` in the first table that has it; "-": of each line of standard input, as `key
// TAB value`. Exit status 0: something was found, 1: nothing, 75: a table could not tell.
int query_tables(const std::vector<maps::TableSpec>& specs, const std::string& key,
                 const std::string& directory);

// Every entry as `key TAB value`, in the order of the source. Compiled tables and inline ones.
int dump_table(const maps::TableSpec& spec, const std::string& directory);

}  // namespace mx::mapc
