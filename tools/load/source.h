// tools/load/source.h - mxload's engine: parallel SMTP sessions over one ring, one thread.
//
// Each session takes the next message from a common count, sends it and waits for the answer: a
// closed loop. With a rate the loop is open: messages fall due at random moments (Poisson),
// whatever the server does, and wait for a free session; how long they did is a result of its own,
// so that a slow server can't hide behind the load that it held up. A message that is refused is
// counted and the session goes on; a session that fails (connection lost, nonsense, 421) is counted
// as an error and not started again, so that what was in flight at the failure is known. Every
// message carries its own X-Mxload-Id; the ledger gets that id once the server's 250 is there,
// never before.
//
// Cost: the messages of a session share one body in memory; a message is a header of some 250
// bytes, and four exchanges with the server, or two when pipelined.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <string>

#include "engine/io/endpoint.h"
#include "engine/io/ring.h"
#include "engine/io/slot_pool.h"
#include "proto/base/prng.h"
#include "tools/load/histogram.h"
#include "tools/load/ledger.h"
#include "tools/load/source_session.h"

namespace mx::load {

struct SourceOptions {
  io::Endpoint server;
  uint32_t sessions = 1;
  uint64_t messages = 1;
  uint64_t body_bytes = 1024;
  uint32_t recipients = 1;
  uint32_t domains = 0;  // see Dialogue
  uint32_t rate = 0;     // messages a second over all sessions; 0: as fast as they are answered
  bool keep_connection = false;
  bool pipeline = false;
  bool declare_size = false;  // SIZE= in MAIL
  bool progress = false;      // a line that follows the count, on stderr
  std::string sender, recipient, helo;
  std::string ledger;  // file; empty: none
  Duration reply_timeout = seconds(300);
};

struct SourceTotals {
  uint64_t sent = 0;      // messages whose final dot was sent
  uint64_t accepted = 0;  // … and answered with 2xx
  uint64_t refused = 0;   // answered with 4xx or 5xx, at any stage
  uint64_t errors = 0;    // sessions that failed
  uint64_t connections = 0;
  Duration elapsed;
  Histogram connect;  // connect to banner
  Histogram commit;   // final dot to its answer
  Histogram late;     // with a rate: from the moment at which a message was due to its MAIL
  std::string first_error;
};

class Source {
 public:
  static std::expected<Source, std::string> create(const SourceOptions& options);
  // Sends everything; returns when all sessions have ended.
  const SourceTotals& run();

 private:
  enum Kind : uint8_t { op_connect = 1, op_receive, op_send };

  Source(const SourceOptions& options, io::Ring ring);
  void start_session();
  void handle(const io::Completion& completion);
  void proceed(uint32_t slot, SourceSession& session);
  void answer(uint32_t slot, SourceSession& session, const ReplyLine& line);
  void begin_message(uint32_t slot, SourceSession& session);
  void begin_due();
  Duration until_due() const;
  void send(uint32_t slot, SourceSession& session);
  void fail(SourceSession& session, const std::string& why);
  void release(uint32_t slot, SourceSession& session);
  void check_timeouts();
  void show_progress();
  std::string id_of(uint64_t message) const { return run_id_ + "." + std::to_string(message); }

  SourceOptions options_;
  io::Ring ring_;
  io::SlotPool<SourceSession> sessions_;
  Dialogue dialogue_;
  std::string body_;
  Ledger ledger_;
  SourceTotals totals_;
  std::string run_id_;  // the first part of every id of this run
  std::string date_;
  uint64_t begun_ = 0;  // messages taken from the common count
  // With a rate: sessions that wait for the next message, the longest waiting first.
  std::deque<io::Op> parked_;
  Prng prng_;
  Instant next_due_;
  Instant now_, started_, next_look_;
};

}  // namespace mx::load
