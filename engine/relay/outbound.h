// engine/relay/outbound.h - delivery: takes messages in order, gives each to a pooled connection to
// the next hop, and records what became of every recipient.
//
// A message is delivered from memory right after its 250, or read back from the journal. Each
// recipient is routed anew at every attempt (policy/route.h). A message is in one place at a time:
// on a connection to one next hop, which gets the recipients that go there, split into transactions
// by the recipient limit and by envelope sender; then it goes on to the next hop that is left. What
// is delivered becomes a mark in the journal; what is not waits in the schedule. A connection
// serves many messages and is closed after a short idle time. Which backend of a next hop gets a
// message: lanes.h.
//
// A receive is always prepared on an open connection, also while a body is being sent, so that a
// reply that comes before the end of data is seen as what it is (V62). Owner and threads: one
// shard; the NextHop is shared.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/io/loop.h"
#include "engine/io/slot_pool.h"
#include "engine/observe/alarms.h"
#include "engine/observe/counters.h"
#include "engine/observe/log.h"
#include "engine/policy/route.h"
#include "engine/policy/snapshot.h"
#include "engine/relay/destination.h"
#include "engine/relay/letters.h"
#include "engine/relay/next_hops.h"
#include "engine/relay/notices.h"
#include "engine/spool/spool.h"
#include "proto/mail/envelope.h"
#include "proto/smtp/client.h"
#include "queue/schedule.h"

namespace mx::relay {

// Completion and timer kinds of this folder.
inline constexpr uint8_t op_connect = 32;
inline constexpr uint8_t op_send = 33;
inline constexpr uint8_t op_reply = 34;  // receive
inline constexpr uint8_t op_read = 35;   // from the journal
inline constexpr uint8_t op_route = 36;  // the same, to see where a message goes
constexpr bool is_relay_op(uint8_t kind) {
  return kind / 16 == 2;
}
inline constexpr uint8_t timer_connection = 32;
inline constexpr uint8_t timer_schedule = 33;
inline constexpr uint8_t timer_sweep = 34;
inline constexpr uint8_t timer_health = 35;
inline constexpr uint8_t timer_idle = 36;
constexpr bool is_relay_timer(uint8_t kind) {
  return kind >= timer_connection && kind <= timer_idle;
}

// Why a message is held: a person or a rule asked for it, or (what the next hop said follows) it
// was refused and ringmx_bounce is quarantine, or it is damaged and too old.
inline constexpr std::string_view held_reason = "held";
inline constexpr std::string_view refused_reason = "refused: ";
inline constexpr std::string_view damaged_reason =
    "damaged: its envelope can't be read back from the queue";

class Outbound final : public queue::Readers {
 public:
  Outbound(io::Loop& loop, spool::Spool& spool, NextHops& next_hops, observe::LogStream& log,
           observe::Alarms& alarms, observe::Counters& counters, uint64_t seed);
  ~Outbound();
  // queue::Readers: a message that is being tried may be read at any time.
  bool reads(queue::MessageId id) override { return is_being_tried(id); }

  void set_snapshot(policy::SnapshotPointer snapshot, policy::SettingsPointer settings);
  // Where all mail goes; nullptr when that depends on the recipient.
  const NextHop* only_next_hop() const { return single_ ? &relay_->hop : nullptr; }
  // A message that has just become durable; `message_slot` in Spool::messages() or UINT32_MAX.
  void add(queue::MessageId id, uint32_t message_slot) { incoming_.push_back({id, message_slot}); }
  // A message found by recovery.
  void restore(const queue::RecoveredMessage& message);
  // Everything deferred is tried now (mxq -f).
  void flush();
  // What an operator wants of one message.
  enum class Steer : uint8_t {
    hold,     // it waits for a person
    release,  // it waits no more
    requeue,  // it is tried now; held or not
    kick,     // it is tried now, unless it is held
    remove,   // it is thrown away, and counted
  };
  enum class Steered : uint8_t {
    done,
    after_attempt,  // it is on its way to a backend: done when that is over, if it is still there
    not_so,         // held already, or not held
    unknown,
  };
  Steered steer(Steer what, queue::MessageId id);

  void on_completion(const io::Completion& completion);
  // Of a message that this folder made: its cookie's kind says so.
  void on_commit(const queue::CommitResult& result);
  // A letter to the postmaster. False: it can't be taken now.
  [[nodiscard]] bool post(Letter letter) { return letters_.add(std::move(letter)); }
  void on_timer(io::Timer& timer);
  // End of turn: gives waiting messages to connections.
  void pump();

  // Memory for bodies is short: messages that wait are dropped from it (the journal has them).
  void shed_memory();

  // No new deliveries; those under way end.
  void begin_shutdown();
  // What must end before the shard's memory may go: connections, reads, commits.
  uint32_t under_way() const {
    return connections_.used() + route_reads_.used() + notices_.in_flight() +
           static_cast<uint32_t>(letters_.under_way());
  }
  void end_all();
  size_t waiting() const;

 private:
  struct Connection;
  // A message's commit being read back to route it.
  struct RouteRead {
    queue::MessageInfo info;
    std::byte* window = nullptr;
    uint32_t length = 0;
  };

  // connections
  bool open_connection(Destination& d);
  bool open_connection(Destination& d, Lane& lane);
  bool has_room(const Destination& d) const;
  void open(Destination& d, Lane& lane, Backend::Period period, bool probe);
  void connect(Connection& c);
  void arm_opening(Connection& c, Duration timeout);
  bool has_stalled(Connection& c);
  void on_connected(Connection& c, int result);
  void on_sent(Connection& c, int result);
  void on_received(Connection& c, const io::Completion& completion);
  void advance(Connection& c);
  void became_ready(Connection& c);
  void next_work(Connection& c);
  bool is_used_up(Connection& c);
  void session_over(Connection& c);
  void open_failed(Connection& c, std::string_view why);
  void receive(Connection& c);
  void begin_close(Connection& c);
  void settle(Connection& c);
  Connection* take_idle(Lane& lane);
  bool bind_source(int fd, const io::Endpoint& to, const config::RelaySettings& relay);
  // health of backends
  void set_lanes(Destination& d);
  void probe_due(Destination& d);
  void look_after_backends();
  void look_after(Destination& d, bool mail);
  void arm_health(Instant at);
  void no_backends(Destination& d);
  void went_down(Destination& d, const Backend& backend, std::string_view why);
  void went_up(Destination& d, const Backend& backend);
  std::string alarm_of(const Destination& d) const;
  static std::string alarm_of(const Backend& backend);
  static std::string eight_bit_alarm_of(const Backend& backend);
  void clear_alarms(const Backend& backend);
  void see_to_hunger(Destination& d, bool scarce);
  void look_at_hunger(), hand_over_idle(Destination& d);
  // destinations.cc: next hops that come and go
  void set_next_hops(bool others);
  Destination* destination(const std::vector<config::NextHop>& hosts, bool configured, bool ours);
  Destination* find(uint32_t number) const;
  enum class Unusable : uint8_t { domain, syntax, crowd };
  struct Named {
    Destination* to = nullptr;
    Unusable why = Unusable::syntax;  // while it is none
  };
  Destination* find_destination(const policy::Route& route, Unusable& why);
  Named name(const policy::Route& route, std::string_view key);
  void activate(Destination& d);
  bool is_awaited(const Destination& d) const {
    return !undecided_.empty() && d.awaited >= undecided_.front().number;
  }
  void look_at_changes();
  void pump_active();
  void look_at_idle();
  void drop_idle(bool all);
  void give_up_dead();
  void drop_ended();
  // routes
  void route_anew(Destination& d);
  void look_elsewhere(Destination& d);
  void end_attempt(const Work& work);
  policy::Route route_of(std::string_view address, Destination** to);
  void route_waiting();
  void decide();
  void read_to_route(const queue::Turn& turn);
  void on_route_read(const io::Completion& completion);
  void dispatch(const queue::MessageInfo& info, Work work, Bytes envelope);
  template <typename Visit>
  void each_pending(const queue::MessageInfo& info, mail::EnvelopeReader& envelope, Visit&& visit);
  Destination* choose(const queue::MessageInfo& info, const Places* visited,
                      mail::EnvelopeReader& envelope, bool& several);
  void await_any(const queue::MessageInfo& info, mail::EnvelopeReader& envelope);
  void settle_local(const queue::MessageInfo& info, uint32_t recipient, std::string_view address,
                    const policy::Route& route);
  // after an attempt
  void note_refused(const queue::MessageInfo& info, uint32_t recipient, smtp::EnhancedCode enhanced,
                    std::string_view remote, std::string_view text);
  void note_alias(const queue::MessageInfo& info, uint32_t recipient, mail::AliasNote note);
  void attempt_over(const queue::MessageInfo& info, std::string_view said, bool null_sender);
  Duration age(const queue::MessageInfo& info) const;
  bool is_expired(const queue::MessageInfo& info, bool null_sender) const;
  bool warning_is_due(const queue::MessageInfo& info) const;
  bool is_being_tried(queue::MessageId id);
  Duration sweep_interval() const;
  void sweep();
  void sweep(const queue::MessageInfo& info);
  void quarantine(const queue::MessageInfo& info, std::string_view why);
  void take_notices();
  void go_on(const queue::MessageInfo& info, std::string_view why);
  void hold(const queue::MessageInfo& info, std::string_view why = held_reason);
  void remove(const queue::MessageInfo& info);
  void try_now(const queue::MessageInfo& info);
  void probe_now();
  bool is_stale(queue::MessageId id, uint16_t attempts) const;
  void drop_stale_turns();
  bool obey_wish(const queue::MessageInfo& info);
  // work
  bool take_work(Destination& d, Work& work);
  void let_wait(Destination& d);
  bool is_current(queue::MessageId id, uint16_t attempts, queue::MessageInfo& info);
  bool work_waits(Destination& d);
  std::optional<Instant> due(Destination& d);
  bool takes_schedule(const Destination& d) const { return single_ && &d == relay_; }
  void pump(Destination& d);
  void pump_again(Destination& d);
  bool take_again(Connection& c);
  bool may_go_again(const Connection& c) const;
  bool is_noted(queue::MessageId id, uint32_t recipient) const;
  void assign(Connection& c);
  void begin_delivery(Connection& c, Work work);
  void read_record(Connection& c, const queue::Extent& extent);
  void on_read(Connection& c, int result);
  void damaged(Connection& c, std::string_view what);
  void damaged(const queue::MessageInfo& info, std::string_view what);
  void tell_damage(queue::MessageId id, std::string_view what);
  bool next_transaction(Connection& c);
  bool backend_takes_eight_bit(Connection& c, const mail::EnvelopeHead& head);
  void choose_recipients(Connection& c, mail::EnvelopeReader& envelope);
  void send_body(Connection& c);
  void send_pieces(Connection& c, bool last);
  void transaction_over(Connection& c);
  Destination* next_place(const Connection& c) const;
  void delivery_over(Connection& c);
  void record(Connection& c, uint32_t position);
  bool report_success(Connection& c, uint32_t position);
  void release_message(Connection& c);
  void put_back(Connection& c);
  void end_delivery(Connection& c);
  void arm_schedule();

  io::Loop& loop_;
  spool::Spool& spool_;
  NextHops& next_hops_;
  observe::LogStream& log_;
  observe::Alarms& alarms_;
  observe::Counters& counters_;
  policy::SnapshotPointer snapshot_;
  policy::SettingsPointer settings_;
  queue::Schedule schedule_;
  std::deque<Work> incoming_;  // not routed yet
  std::deque<Undecided> undecided_;
  uint64_t last_undecided_ = 0;
  bool may_decide_ = false;  // a next hop of some of them may be up now
  Instant next_decision_;
  std::vector<std::unique_ptr<Destination>> destinations_;
  std::vector<Destination*> active_;
  uint32_t last_number_ = 0;
  uint64_t seen_changes_ = 0, seen_hungers_ = 0;  // of next_hops_
  bool probe_all_ = false;
  uint32_t steered_ = 0;
  Instant dropped_, looked_after_;
  std::map<std::string, Named, std::less<>> named_;  // by what a route calls them
  Destination* relay_ = nullptr;                     // of class relay, and of all others;
  Destination* default_ = nullptr;                   // none: by the domain of each recipient
  bool single_ = true;                               // all mail goes to relay_
  io::SlotPool<Connection> connections_;
  io::SlotPool<RouteRead> route_reads_;
  Notices notices_;
  Letters letters_;
  std::map<queue::MessageId, Steer> wishes_;  // for messages that are being tried
  io::Timer schedule_timer_, sweep_timer_, health_timer_, idle_timer_;
  uint32_t sweep_cursor_ = 0;
  bool shutting_down_ = false;
};

}  // namespace mx::relay
