// tools/mapc/compile.h - sources to tables: one run over all jobs, all or nothing.
//
// Every source is read whole, its lines are reported as postmap does, then the table is built in
// memory and handed to the run (table_run.h). Memory: the largest of the tables, its source while
// it is read, 40 bytes a key. A failure lets the rest be read for what there is to say about it,
// and nothing becomes visible.
#pragma once

#include <vector>

#include "tools/mapc/options.h"

namespace mx::mapc {

// The exit status. Members of unions stand for themselves; tables that are read from their source
// (cidr, regexp, pcre) are parsed only; others have nothing to compile.
int compile_tables(const std::vector<Job>& jobs, const Options& options);

}  // namespace mx::mapc
