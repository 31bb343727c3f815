// engine/relay/outbound.h - delivery: takes messages in order, gives each to a pooled connection to
// the next hop, and records what became of every recipient.
//
// A message is delivered from memory right after its 250, or read back from the journal. Its
// pending recipients are split by the recipient limit into transactions, made one after the other
// on one connection. What is delivered becomes a mark in the journal; what is not waits in the
// schedule. A connection serves many messages and is closed after a short idle time.
//
// A receive is always prepared on an open connection, also while a body is being sent, so that a
// reply that comes before the end of data is seen as what it is (V62). Owner and threads: one
// shard; the NextHop is shared.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/io/loop.h"
#include "engine/io/slot_pool.h"
#include "engine/observe/alarms.h"
#include "engine/observe/counters.h"
#include "engine/observe/log.h"
#include "engine/policy/snapshot.h"
#include "engine/relay/next_hop.h"
#include "engine/spool/spool.h"
#include "proto/smtp/client.h"
#include "queue/schedule.h"

namespace mx::relay {

// Completion and timer kinds of this folder.
inline constexpr uint8_t op_connect = 32;
inline constexpr uint8_t op_send = 33;
inline constexpr uint8_t op_reply = 34;  // receive
inline constexpr uint8_t op_read = 35;   // from the journal
constexpr bool is_relay_op(uint8_t kind) {
  return kind / 16 == 2;
}
inline constexpr uint8_t timer_connection = 32;
inline constexpr uint8_t timer_schedule = 33;

class Outbound {
 public:
  Outbound(io::Loop& loop, spool::Spool& spool, NextHop& next_hop, observe::LogStream& log,
           observe::Alarms& alarms, observe::Counters& counters, uint64_t seed);
  ~Outbound();

  void set_settings(policy::SettingsPointer settings);
  // A message that has just become durable; `message_slot` in Spool::messages() or UINT32_MAX.
  void add(queue::MessageId id, uint32_t message_slot) { fresh_.push_back({id, message_slot}); }
  // A message found by recovery.
  void restore(const queue::RecoveredMessage& message);
  // Everything deferred is tried now (mxq -f).
  void flush();

  void on_completion(const io::Completion& completion);
  void on_timer(io::Timer& timer);
  // End of turn: gives waiting messages to connections.
  void pump();

  // Memory for bodies is short: messages that wait are dropped from it (the journal has them).
  void shed_memory();

  // No new deliveries; those under way end.
  void begin_shutdown();
  uint32_t connections() const { return connections_.used(); }
  void end_all();
  uint32_t delivering() const { return delivering_; }
  size_t waiting() const {
    return fresh_.size() + schedule_.ready_count() + schedule_.deferred_count();
  }

 private:
  struct Connection;
  struct Fresh {
    queue::MessageId id;
    uint32_t message_slot;
  };

  // connections
  bool open_connection();
  void connect_next(Connection& c);
  void on_connected(Connection& c, int result);
  void on_sent(Connection& c, int result);
  void on_received(Connection& c, const io::Completion& completion);
  void advance(Connection& c);
  void session_over(Connection& c);
  void hop_failed(Connection& c, std::string_view why);
  void receive(Connection& c);
  void begin_close(Connection& c);
  void settle(Connection& c);
  Connection* take_idle();
  // work
  bool take_work(Fresh& work);
  bool work_waits();
  void assign(Connection& c);
  void begin_delivery(Connection& c, const Fresh& work);
  void read_record(Connection& c, const queue::Extent& extent);
  void on_read(Connection& c, int result);
  void damaged(Connection& c, std::string_view what);
  bool next_transaction(Connection& c);
  void send_body(Connection& c);
  void send_pieces(Connection& c, bool last);
  void transaction_over(Connection& c);
  void delivery_over(Connection& c);
  void record(Connection& c, uint32_t position);
  void release_message(Connection& c);
  void put_back(Connection& c);
  void arm_schedule();

  io::Loop& loop_;
  spool::Spool& spool_;
  NextHop& next_hop_;
  observe::LogStream& log_;
  observe::Alarms& alarms_;
  observe::Counters& counters_;
  policy::SettingsPointer settings_;
  queue::Schedule schedule_;
  std::deque<Fresh> fresh_;
  io::SlotPool<Connection> connections_;
  std::vector<uint32_t> idle_;
  io::Timer schedule_timer_;
  uint32_t opening_ = 0;  // connections that are not ready for their first message yet
  uint32_t delivering_ = 0;
  bool fresh_turn_ = true;
  bool shutting_down_ = false;
};

}  // namespace mx::relay
