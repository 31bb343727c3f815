// engine/policy/snapshot.h - everything that a configuration says, made ready and immutable: what
// sessions and deliveries look at. Built by the starting or reloading thread, published to the
// shards by pointer (publisher.h); a transaction keeps the one that it began with.
//
// Settings and tables change at different times: HUP makes new settings, a new table only a new
// snapshot around the settings there are. So who needs settings only (a backend connection, an idle
// session) holds those, and no tables.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/load.h"
#include "engine/policy/policy.h"
#include "engine/policy/tables.h"

namespace mx::policy {

using SettingsPointer = std::shared_ptr<const config::Settings>;

struct Snapshot {
  SettingsPointer settings;  // never nullptr
  Policy policy;
  std::vector<TablePointer> tables;  // all, members of unions too
};
using SnapshotPointer = std::shared_ptr<const Snapshot>;

struct SnapshotResult {
  std::unique_ptr<const Snapshot> snapshot;  // nullptr: errors say why
  config::Diagnostics errors, warnings;
  // As far as main.cf says; also when it is refused. nullptr: it can't be read.
  SettingsPointer settings;
  std::vector<TableFile> files;  // that were read
  uint64_t run = 0;              // of mapc, that the tables are of
};

// Reads DIRECTORY/main.cf and all tables that it names. Tables of `previous` whose files have the
// same contents are used again.
SnapshotResult load_snapshot(std::string_view directory, const config::FileReader& reader,
                             const config::HostFacts& host,
                             const std::vector<TablePointer>& previous = {});

// `old`, which is of mapc's `run`, with the tables read again whose file is in `changed` or that a
// new run made. A table that can't be read stays as it is, and with it all others of the new run;
// `files` says why. Without any table that changed there is no snapshot, and no error.
SnapshotResult refresh_snapshot(const Snapshot& old, uint64_t run,
                                const std::set<std::string>& changed);

}  // namespace mx::policy
