// engine/policy/snapshot.h - everything that a configuration says, made ready and immutable: what
// sessions and deliveries look at. Built by the starting or reloading thread, published to the
// shards by pointer; a transaction keeps the one that it began with.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "engine/config/load.h"
#include "engine/policy/policy.h"

namespace mx::policy {

struct Snapshot {
  config::Settings settings;
  Policy policy;
};
using SnapshotPointer = std::shared_ptr<const Snapshot>;

struct SnapshotResult {
  SnapshotPointer snapshot;  // nullptr: errors say why
  config::Diagnostics errors, warnings;
};

// Reads DIRECTORY/main.cf and all tables that it names.
SnapshotResult load_snapshot(std::string_view directory, const config::FileReader& reader,
                             const config::HostFacts& host);

}  // namespace mx::policy
