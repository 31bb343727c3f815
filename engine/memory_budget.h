// engine/memory_budget.h - how much memory ringmx takes at most, as a formula of its settings; said
// at the start and by --check.
//
// What is counted is what the process holds (RSS). Every part is a pool with a limit; a full one is
// a 421, a 452 or waiting, never growth. Only what depends on the number of queued messages is
// apart, since the disk is its limit. Held by tests/e2e/memory_stays_in_its_budget.py, plus a tenth
// for the allocator.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "engine/config/settings.h"
#include "engine/spool/message.h"
#include "proto/base/limits.h"

namespace mx {

struct MemoryBudget {
  uint64_t program = 32U << 20;  // code, libraries, configuration, threads' stacks and heaps
  uint64_t buffers = 0;          // rings, receive buffers, batches, logs
  uint64_t bodies = 0;           // ringmx_body_cache of all shards, with what belongs to a message
  uint64_t sessions = 0;         // ringmx_max_sessions
  uint64_t connections = 0;      // ringmx_backend_connections, to one next hop
  uint64_t next_hops = 0;        // where mail goes by the domain of each recipient
  uint64_t notices = 0;          // bounces being written, and what was said in sessions
  uint64_t tables = 0;           // compiled tables, and their next version while it is read
  uint64_t queue_index = 0;      // without the messages

  // Beside the sum:
  uint64_t transaction = 0;  // more for a session with as many recipients as are allowed

  uint64_t sum() const {
    return program + buffers + bodies + sessions + connections + next_hops + notices + tables +
           queue_index;
  }
};

inline MemoryBudget memory_budget(const config::Settings& settings, uint64_t table_bytes) {
  const config::ResourceSettings& r = settings.resources;
  const uint64_t shards = r.shards;
  constexpr uint64_t rings = 2U << 20, client_entry = 64, buckets = 2 * sizeof(uint32_t);
  MemoryBudget budget;
  const uint64_t batch =
      std::min<uint64_t>(settings.queue.segment_size / 4, limits::journal_batch_bytes_max);
  budget.buffers =
      shards * (rings + uint64_t{limits::receive_buffers} * limits::receive_buffer_bytes +
                7 * batch + limits::journal_chunk_bytes_max +  // the last: what compaction reads
                limits::log_stream_bytes) +
      (3 + limits::lookup_threads) * limits::log_stream_bytes;  // the other threads'
  const uint64_t blocks = r.body_cache_bytes / limits::body_block_bytes;
  budget.bodies = shards * (r.body_cache_bytes + blocks * (sizeof(spool::Message) + 64));
  budget.sessions = r.sessions_max * (limits::session_bytes + 4 * client_entry);
  constexpr uint64_t each_connection =
      limits::connection_bytes + limits::journal_chunk_bytes_max + sizeof(spool::Message);
  budget.connections = settings.relay.backend_connections * each_connection;
  // The usual few are in the program's part. By domain there may be any number of connections.
  if (settings.relay.relay_hosts.empty() || settings.relay.default_hosts.empty()) {
    budget.next_hops = uint64_t{limits::next_hops_max} *
                       (limits::next_hop_bytes + shards * limits::destination_bytes);
    budget.connections = shards * limits::connections_max * each_connection;
  }
  budget.notices = shards * limits::notice_jobs_max *
                   (3 * settings.bounces.size_limit + limits::journal_chunk_bytes_max);
  if (settings.bounces.notify_errors != smtp::ErrorClasses{})
    budget.notices += shards * limits::transcripts_max * limits::transcript_bytes_max;
  budget.tables = 2 * table_bytes;
  budget.queue_index = shards * limits::queued_messages_max * buckets +
                       2 * settings.queue.size_limit / settings.queue.segment_size *
                           settings.queue.size_limit / settings.queue.segment_size / 8;
  budget.transaction = uint64_t{settings.server.recipient_limit} * limits::session_recipient_bytes;
  return budget;
}

inline std::string to_string(const MemoryBudget& b) {
  const auto mib = [](uint64_t bytes) { return (bytes + (1U << 20) - 1) >> 20; };
  return fmt::format(
      "at most {} MiB (program {}, bodies {}, sessions {}, buffers {}, connections {}{}, next hops "
      "{}, notices {}, tables {}, queue index {}), and {} bytes a queued message, {} KiB "
      "a session in a transaction with as many recipients as are allowed",
      mib(b.sum()), mib(b.program), mib(b.bodies), mib(b.sessions), mib(b.buffers),
      mib(b.connections), b.next_hops > 0 ? "" : " a next hop", mib(b.next_hops), mib(b.notices),
      mib(b.tables), mib(b.queue_index), limits::queued_message_bytes, b.transaction >> 10);
}

}  // namespace mx
