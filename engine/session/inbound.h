// engine/session/inbound.h - the SMTP sessions of a shard: drives the server machine over the ring.
//
// One thing at a time is under way in a session: while a reply is being sent nothing is processed,
// so the machine's output buffer is the send buffer. The next receive is prepared together with the
// send. A session that has to wait (for the journal's flush, for memory) is simply not advanced
// until then. Its slot is freed when its last operation has completed.
//
// Owner and threads: one shard. Limits: sessions_max slots; beyond it connections get a 421 and are
// closed.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/io/endpoint.h"
#include "engine/io/loop.h"
#include "engine/io/slot_pool.h"
#include "engine/observe/counters.h"
#include "engine/observe/log.h"
#include "engine/policy/decide.h"
#include "engine/policy/expand.h"
#include "engine/policy/snapshot.h"
#include "engine/relay/letters.h"
#include "engine/relay/next_hop.h"
#include "engine/session/client_table.h"
#include "engine/session/intake.h"
#include "engine/spool/spool.h"
#include "proto/mail/envelope.h"
#include "proto/smtp/server.h"

namespace mx::session {

// Completion and timer kinds of this folder.
inline constexpr uint8_t op_command = 16;  // receive of commands into a ring buffer
inline constexpr uint8_t op_body = 17;     // receive of a body into a block
inline constexpr uint8_t op_reply = 18;    // send
inline constexpr uint8_t op_close = 19;
constexpr bool is_session_op(uint8_t kind) {
  return kind / 16 == 1;
}
inline constexpr uint8_t timer_session = 16;

// A message that has become durable, for the relay.
struct Accepted {
  queue::MessageId id;
  uint32_t message_slot = UINT32_MAX;  // in Spool::messages(), when it is in memory
};

class Transcript;

class Inbound {
 public:
  Inbound(io::Loop& loop, spool::Spool& spool, observe::LogStream& log, observe::Counters& counters,
          ClientTable& clients, uint32_t sessions_max);
  ~Inbound();

  // `settings` are those of `snapshot`, under a count of their own: sessions hold them longer.
  void set_snapshot(policy::SnapshotPointer snapshot, policy::SettingsPointer settings);
  // Transactions that began with an older snapshot go on with the present one. Every answer of
  // policy is a function of its question alone, so that changes nothing but later answers.
  void renew_snapshots();
  // Where all mail goes, if it is one place: what its backends do not take is not offered.
  void set_next_hop(const relay::NextHop* next_hop) { next_hop_ = next_hop; }
  // Takes over an accepted socket.
  void adopt(io::Fd fd, const io::Endpoint& peer);
  void on_completion(const io::Completion& completion);
  void on_timer(io::Timer& timer);
  // A commit's result. On success the message is in `accepted` until taken.
  void on_commit(const queue::CommitResult& result);
  // End of turn: sessions that waited for memory or the journal go on.
  void resume_waiting();
  bool next_accepted(Accepted& accepted);
  // What the postmaster is to be told.
  bool next_letter(relay::Letter& letter);
  // ETRN has asked, since the last call, for what waits for a domain.
  bool take_queue_request() { return std::exchange(queue_requested_, false); }
  // A client was answered 452 since the last time.
  bool take_refused_for_space() { return std::exchange(refused_for_space_, false); }

  // Orderly end: no new transaction; idle sessions get 421 4.3.2 at once, the others at their next
  // command.
  void begin_shutdown();
  // The time is up: everybody gets 421 4.3.2.
  void end_all();
  uint32_t sessions() const { return sessions_.used(); }

 private:
  struct Session;

  void advance(Session& s);
  bool feed(Session& s);
  void begin(Session& s);
  void await_header(Session& s);
  void take_header(Session& s);
  void give_up_header(Session& s, std::string_view why);
  bool set_rights(Session& s, bool* may_xclient = nullptr);
  bool count_connection(Session& s, bool xclient);
  std::optional<smtp::Verdict> over_rate(Session& s, smtp::Stage stage);
  bool under_stress();
  void debug_lines(const Session& s, char direction, std::string_view text);
  void rename(Session& s, const smtp::ClientAttributes& attributes);
  void decide(Session& s);
  void begin_body(Session& s);
  void push_input(Session& s);
  bool advance_body(Session& s);
  bool advance_commit(Session& s);
  bool expand(Session& s);
  void discard(Session& s);
  void build_envelope(Session& s);
  uint32_t add_alias_notes(const Session& s);
  void refuse(Session& s, const smtp::Verdict& verdict);
  void log_verdict(Session& s, std::string_view kind, std::string_view text);
  void take_effects(Session& s, policy::Effects&& effects);
  void answer(Session& s, const smtp::Verdict& verdict);
  bool reserve_space(Session& s, smtp::Verdict& verdict);
  void send_replies(Session& s);
  void receive_command(Session& s, bool wait_first);
  bool receive_body(Session& s);
  void wait(Session& s);
  void begin_close(Session& s);
  void settle(Session& s);
  void on_command(Session& s, const io::Completion& completion);
  void on_body(Session& s, const io::Completion& completion);
  void lost(Session& s);
  void log_disconnect(Session& s);
  void transcribe(Session& s);
  bool begin_transcript(Session& s);
  void end_transcript(Session& s);
  bool may_notify();
  void notify(Session& s, const std::string& to);
  void log_accepted(Session& s, queue::MessageId id);
  void log_refused_body(Session& s);

  io::Loop& loop_;
  spool::Spool& spool_;
  observe::LogStream& log_;
  observe::Counters& counters_;
  ClientTable& clients_;
  policy::SnapshotPointer snapshot_;
  policy::SettingsPointer settings_;
  const relay::NextHop* next_hop_ = nullptr;
  io::SlotPool<Session> sessions_;
  mail::EnvelopeWriter envelope_;  // of the message at hand
  policy::Expansion expansion_;    // the same
  std::vector<uint32_t> waiting_;  // slots, in order of arrival
  std::vector<uint32_t> resuming_;
  std::vector<uint32_t> starved_;  // no receive buffer was free
  std::vector<Accepted> accepted_;
  size_t accepted_at_ = 0;
  std::vector<relay::Letter> letters_;
  uint32_t transcripts_ = 0;
  Instant notify_hour_;  // letters about errors: since when they are counted, and how many
  uint32_t notified_ = 0;
  bool refused_for_space_ = false;
  bool queue_requested_ = false;
  bool stressed_ = false;
  bool shutting_down_ = false;
  bool time_is_up_ = false;
};

}  // namespace mx::session
