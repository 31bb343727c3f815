// engine/observe/counters.h - what a shard has counted: written by its thread only, read by any
// (mxq
// --status, the load balancing between shards). Plain relaxed stores: no locked instruction on the
// hot path.
#pragma once

#include <atomic>
#include <cstdint>

namespace mx::observe {

class Counter {
 public:
  void add(uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// One row a counter: name, what it counts. The X-macro keeps the struct and its printed form the
// same.
#define MX_COUNTERS(X)                                                            \
  X(connections, "sessions accepted")                                             \
  X(sessions, "sessions open now")                                                \
  X(connections_refused, "connections turned away: no room")                      \
  X(clients_over_limit, "connections, MAIL and RCPT over a client's limit")       \
  X(messages_accepted, "messages acknowledged with 250 after the flush")          \
  X(recipients_accepted, "recipients of those messages")                          \
  X(bytes_accepted, "body bytes of those messages, unstuffed")                    \
  X(rejects, "refusals by policy (one a NOQUEUE: reject line)")                   \
  X(messages_refused, "messages refused after the final dot")                     \
  X(messages_discarded, "messages thrown away as policy says (DISCARD)")          \
  X(recipients_sent, "recipients delivered to the backend")                       \
  X(recipients_deferred, "delivery attempts of a recipient that were put off")    \
  X(recipients_bounced, "recipients given up, their senders told if they want")   \
  X(messages_quarantined, "messages held instead of bounced (ringmx_bounce)")     \
  X(recipients_expanded, "aliases whose expansion was told to who asked")         \
  X(error_notices_left_out, "sessions with errors that no letter was sent about") \
  X(recipients_generated, "recipients of notices that were made")                 \
  X(recipients_recovered, "recipients found in the queue at the start")           \
  X(recipients_deleted, "recipients deleted by the operator (mxq -d)")            \
  X(recipients_queued, "recipients in the queue now, those held included")        \
  X(recipients_held, "recipients held now")                                       \
  X(recipients_discarded, "recipients thrown away by a rule")                     \
  X(eight_bit_unannounced, "8-bit messages for a backend without 8BITMIME")       \
  X(outcome_unknown, "connections lost between the final dot and its reply")      \
  X(messages_done, "messages with no recipient left")                             \
  X(queued, "messages in the queue now")                                          \
  X(backend_connections, "connections to the backend open now")                   \
  X(receive_buffers_empty, "receives put off because no buffer was free")         \
  X(journal_batches, "batches written to the journal")                            \
  X(journal_flushes, "flushes of the journal")                                    \
  X(journal_bytes, "bytes written to the journal")                                \
  X(compacted_messages, "messages moved out of segments that were mostly dead")   \
  X(compacted_bytes, "bytes of those messages")                                   \
  X(compacted_segments, "segments emptied by that")                               \
  X(loop_turns, "turns of the shard's loop (io_uring_enter)")                     \
  X(completions, "completions reaped")

struct Counters {
#define X(name, text) Counter name;
  MX_COUNTERS(X)
#undef X
};

// visit(name, text, counter) for each.
template <typename Visit>
void each_counter(const Counters& counters, Visit&& visit) {
#define X(name, text) visit(#name, text, counters.name.get());
  MX_COUNTERS(X)
#undef X
}

}  // namespace mx::observe
