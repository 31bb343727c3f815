// tools/load/sink.h - mxsink's engine: an SMTP server that accepts everything and counts it, over
// one ring, one thread. It answers as a good backend does, and on request as a bad one (--fail).
//
// What a message was is written to the ledger before its 250 is sent: a message that the other side
// knows to be delivered is in the ledger, also when mxsink is killed. Bytes are received into
// shared buffers, so idle connections hold none.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/io/buffer_ring.h"
#include "engine/io/endpoint.h"
#include "engine/io/ring.h"
#include "engine/io/slot_pool.h"
#include "tools/load/ledger.h"
#include "tools/load/sink_session.h"

namespace mx::load {

struct SinkOptions {
  io::Endpoint listen;
  int backlog = 1024;
  std::string ledger;  // file; empty: none
  std::string store;   // folder; empty: messages are thrown away
  std::vector<Fault> faults;
  uint64_t seed = 1;
  uint64_t bytes_a_second = 0;  // that are received, over all sessions; 0: as they come
};

struct SinkTotals {
  uint64_t connections = 0, messages = 0, recipients = 0, bytes = 0, faults = 0;
};

class Sink {
 public:
  static std::expected<std::unique_ptr<Sink>, std::string> create(const SinkOptions& options);
  io::Endpoint local() const { return io::local_endpoint(listener_.get()); }
  // Serves until `stop` becomes readable (a signalfd).
  const SinkTotals& run(int stop);

 private:
  enum Kind : uint8_t { op_accept = 1, op_receive, op_send, op_stop };

  Sink(const SinkOptions& options, io::Ring ring, io::Fd listener);
  void accept();
  void accepted(int result);
  void handle(const io::Completion& completion);
  void received(SinkSession& session, const io::Completion& completion);
  void deliver(SinkSession& session);
  void store(const SinkSession& session, const std::string& path);
  void proceed(uint32_t slot, SinkSession& session);
  void refill();
  void stop();

  SinkOptions options_;
  io::Ring ring_;
  std::optional<io::BufferRing> buffers_;  // always there after create()
  io::Fd listener_;
  io::SlotPool<SinkSession> sessions_;
  FaultPlan faults_;
  Ledger ledger_;
  SinkTotals totals_;
  int accepts_ = 0;  // in flight
  // With a rate: what may still be received, and the sessions that wait for more.
  int64_t allowance_ = 0;
  Instant refilled_;
  std::vector<io::Op> parked_;
  bool stopping_ = false;
};

}  // namespace mx::load
