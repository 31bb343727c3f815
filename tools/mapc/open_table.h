// tools/mapc/open_table.h - a table of any type, opened as ringmx opens it: compiled ones from the
// file that the set record names, rules from their source, inline texts in memory.
#pragma once

#include <memory>
#include <string>

#include "engine/io/file.h"
#include "maps/any_table.h"
#include "maps/spec.h"
#include "tools/mapc/message.h"

namespace mx::mapc {

// The table owns what it needs. Warnings about rules are said.
Result<std::shared_ptr<const maps::AnyTable>> open_table(const maps::TableSpec& spec,
                                                         const std::string& directory);

// The bytes of a compiled table, checked by nobody yet.
Result<io::AlignedBuffer> read_compiled(const maps::TableSpec& spec, const std::string& directory,
                                        std::string& path);

}  // namespace mx::mapc
