// engine/spool/sync_probe.h - which way of making a write durable is the faster on this disk.
//
//   fdatasync   a write, then IORING_OP_FSYNC of data: two operations, one flush of the device
//   dsync       a write with RWF_DSYNC: one operation; where the device has FUA no flush at all
//
// The journal writes a batch and waits for it either way; both are as safe. `ringmx_queue_sync =
// auto` measures at start. Blocking, main thread, before the shards run.
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

// By the measured times: what needs fewer operations must also be the faster, clearly.
config::QueueSync choose_sync(const SyncProbe& probe);

}  // namespace mx::spool
