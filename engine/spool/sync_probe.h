// engine/spool/sync_probe.h - which way of making a write durable is the faster on this disk.
//
//   fdatasync   a write, then IORING_OP_FSYNC of data: two operations, one flush of the device
//   dsync       a write with RWF_DSYNC: one operation; where the device has FUA no flush at all
//
// The journal writes a batch and waits for it either way; both are as safe. And whether all shards
// flush together (flush_group.h), which pays where a flush takes long. `ringmx_queue_sync = auto`
// and `ringmx_queue_flush = auto` measure at start. Blocking, main thread, before the shards run.
#pragma once

#include <expected>
#include <string>

#include "engine/config/settings.h"
#include "engine/spool/segment_files.h"
#include "proto/base/time.h"

namespace mx::spool {

struct SyncProbe {
  Duration fdatasync, dsync;  // medians of a batch of 16 KiB
};

// Writes some batches each way, by turns, to a scratch file beside the segments. At most about a
// hundred flushes or two seconds.
std::expected<SyncProbe, std::string> probe_sync(const SegmentFiles& files);

struct SyncChoice {
  bool dsync = false;
  bool together = false;  // one flush for the journals of all shards
  std::string measured;   // for the log; empty when nothing had to be measured
};
// What the settings say, or the measurement: of dsync and fdatasync the one that needs fewer
// operations must also be clearly the faster; a flush that takes long is shared. What can't be
// measured is done the usual way, fdatasync by each. The error: a setting can't be followed here.
std::expected<SyncChoice, std::string> choose_sync(const SegmentFiles& files,
                                                   const config::QueueSettings& settings,
                                                   uint32_t shards);

}  // namespace mx::spool
