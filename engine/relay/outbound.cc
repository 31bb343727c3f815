// The connections: opening, the dialogue's bytes, closing. What is delivered on them is in
// delivery.cc.

#include "engine/relay/outbound.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/relay/connection.h"
#include "proto/base/assert.h"

namespace mx::relay {
namespace {

using Need = smtp::Client::Need;

constexpr uint32_t route_reads_max = 16;
// A backend that has not greeted by then is passed over, if there is another.
constexpr Duration opening_patience = seconds(1);
// A connection is used for so long before it may have to go for a shard that has none.
constexpr Duration own_time = seconds(1);

}  // namespace

Outbound::Outbound(io::Loop& loop, spool::Spool& spool, NextHops& next_hops,
                   observe::LogStream& log, observe::Alarms& alarms, observe::Counters& counters,
                   uint64_t seed)
    : loop_(loop),
      spool_(spool),
      next_hops_(next_hops),
      log_(log),
      alarms_(alarms),
      counters_(counters),
      schedule_({}, seed),
      connections_(limits::connections_max),
      route_reads_(route_reads_max),
      notices_(loop, spool, next_hops, log, counters),
      letters_(loop, spool, log, counters) {
  schedule_timer_.kind = timer_schedule;
  sweep_timer_.kind = timer_sweep;
  health_timer_.kind = timer_health;
  idle_timer_.kind = timer_idle;
}

Outbound::~Outbound() {
  loop_.timers.cancel(schedule_timer_);
  loop_.timers.cancel(sweep_timer_);
  loop_.timers.cancel(health_timer_);
  loop_.timers.cancel(idle_timer_);
  connections_.each([&](uint32_t, Connection& c) { loop_.timers.cancel(c.timer); });
  route_reads_.each([](uint32_t, RouteRead& read) { std::free(read.window); });
}

// Gives work to idle connections, opens more while there is work for them, and sees to the timer.
void Outbound::pump() {
  notices_.pump();
  take_notices();
  if (!shutting_down_ && spool_.journal().keeps_marks()) {
    look_at_changes();
    look_at_hunger();
    decide();
    route_waiting();
    pump_active();
  }
  arm_schedule();
}

void Outbound::pump(Destination& d) {
  if (d.version != d.hop.version()) set_lanes(d);
  if (!d.fresh.empty() && !d.lanes.up()) let_wait(d);
  if (work_waits(d)) probe_due(d);
  if (!d.again.empty() && d.hop.next_delivery() <= loop_.now()) pump_again(d);
  bool scarce = false;
  // Another shard may say at any time that no marks are kept.
  while (work_waits(d) && spool_.journal().keeps_marks()) {
    Lane* warm = nullptr;
    if (Lane* lane = d.lanes.take_turn(&warm)) {
      if (warm != nullptr) open_connection(d, *warm);
      if (Connection* c = take_idle(*lane)) {
        assign(*c);
        advance(*c);
        settle(*c);
      }
      continue;
    }
    // Retries that came due are counted as ready only when they are taken: one at least waits here.
    const size_t ready = takes_schedule(d) ? schedule_.ready_count() : 0;
    const size_t waiting =
        std::max<size_t>(1, d.fresh.size() + d.waited.size() + d.retries.size() + ready);
    if (d.lanes.hopeful() >= waiting) break;
    scarce = !open_connection(d);
    if (scarce) break;
  }
  see_to_hunger(d, scarce);
}

// To the eligible backend with the fewest connections that has room.
bool Outbound::open_connection(Destination& d) {
  Lanes::Choice order;
  d.lanes.order_to_open(order);
  return std::ranges::any_of(order, [&](Lane* lane) { return open_connection(d, *lane); });
}

// A quarter is for our domains and for what a person named: a domain that bounces go to may greet
// and then let us wait.
bool Outbound::has_room(const Destination& d) const {
  return connections_.used() < (d.told ? connections_.limit() : connections_.limit() / 4 * 3);
}

bool Outbound::open_connection(Destination& d, Lane& lane) {
  if (!has_room(d) || !d.hop.lease(d.hungry)) return false;
  const std::optional<Backend::Period> period = lane.backend->lease();
  if (period) {
    if (d.hungry) d.hop.got_one();
    open(d, lane, *period, false);
  } else {
    d.hop.give_back();
  }
  return period.has_value();
}

// With the leases that it needs; a probe has none of the next hop's.
void Outbound::open(Destination& d, Lane& lane, Backend::Period period, bool probe) {
  static_assert(sizeof(Connection) <= limits::connection_bytes * 3 / 4);  // the rest: on the heap
  std::shared_ptr<Lane> shared;
  for (const auto& each : d.lanes.all())
    if (each.get() == &lane) shared = each;
  MX_ASSERT(shared != nullptr);
  uint32_t slot = 0;
  Connection* c =
      connections_.make(&slot, connections_.next_slot(), d, std::move(shared), settings_);
  MX_ASSERT(c != nullptr);
  c->period = period;
  c->probe = probe;
  c->counted = !probe;
  c->begun = loop_.now();
  ++d.connections;
  ++lane.opening;
  counters_.backend_connections.set(connections_.used());
  connect(*c);
  settle(*c);
}

void Outbound::connect(Connection& c) {
  const config::RelaySettings& relay = c.settings->relay;
  const io::Endpoint& to = c.lane->backend->endpoint();
  auto fd = io::connecting_socket(to);
  if (!fd) return open_failed(c, fd.error());
  if (!bind_source(fd->get(), to, relay)) return open_failed(c, "smtp_bind_address can't be used");
  c.fd = std::move(*fd);
  c.connecting = true;
  ++c.in_flight;
  loop_.ring.connect(c.fd.get(), to.raw(), to.length, connections_.op(op_connect, c.slot));
  arm_opening(c, relay.connect_timeout.us > 0 ? relay.connect_timeout : seconds(600));
}

// Where there is another backend, patience ends before the time-out does.
void Outbound::arm_opening(Connection& c, Duration timeout) {
  c.deadline = loop_.now() + timeout;
  const bool patient = c.stalled || c.probe || c.destination.lanes.all().size() == 1;
  loop_.timers.arm(c.timer,
                   patient ? c.deadline : std::min(c.deadline, c.begun + opening_patience));
}

// The timer of one that is being opened: true when it was only patience that ended.
bool Outbound::has_stalled(Connection& c) {
  if (c.ready_once || c.stalled || loop_.now() >= c.deadline) return false;
  c.stalled = true;
  ++c.lane->stalled;
  c.lane->backend->stalled(true);
  loop_.timers.arm(c.timer, c.deadline);
  return true;
}

// smtp_bind_address: without _enforce an address that can't be used is passed over, as in Postfix.
bool Outbound::bind_source(int fd, const io::Endpoint& to, const config::RelaySettings& relay) {
  const auto& source = to.is_ipv6() ? relay.bind_address6 : relay.bind_address;
  if (!source) return true;
  const auto from = io::parse_endpoint(to_string(*source), 0);
  if (from && ::bind(fd, from->raw(), from->length) == 0) return true;
  log_.line("smtp", "warning: smtp_bind_address: bind {}: {}", to_string(*source),
            from ? std::strerror(errno) : "bad address");
  return !relay.bind_address_enforce;
}

void Outbound::on_connected(Connection& c, int result) {
  c.connecting = false;
  if (c.closing) return;
  if (result == 0) {
    receive(c);
    arm_opening(c, c.client.timeout());
    return;
  }
  const char* why = result == -ECANCELED ? "Connection timed out" : std::strerror(-result);
  const std::string text = fmt::format("connect to {}: {}", c.where(), why);
  log_.line("smtp", "{}", text);
  open_failed(c, text);
}

// It did not get as far as EHLO.
void Outbound::open_failed(Connection& c, std::string_view why) {
  Backend& backend = *c.lane->backend;
  const bool down = backend.failed(loop_.now(), c.period, c.begun, this, why);
  if (!backend.up() && backend.is_timed_by(this)) arm_health(backend.probe_at());
  if (down) went_down(c.destination, backend, why);
  begin_close(c);
}

void Outbound::receive(Connection& c) {
  if (c.receiving || c.closing) return;
  c.receiving = true;
  ++c.in_flight;
  loop_.ring.recv_select(c.fd.get(), loop_.buffers->group(), true,
                         connections_.op(op_reply, c.slot));
}

void Outbound::on_received(Connection& c, const io::Completion& completion) {
  c.receiving = false;
  if (completion.result == -ENOBUFS) {
    counters_.receive_buffers_empty.add();
    receive(c);  // buffers come back within the turn that follows
    return;
  }
  if (completion.result <= 0) {
    if (completion.flags & IORING_CQE_F_BUFFER) loop_.buffers->drop(completion);
    if (!c.closing) c.client.connection_lost();
    return;
  }
  if (!c.closing) {
    c.client.feed(as_text(loop_.buffers->received(completion)));
    c.moved |= std::exchange(c.seen_replies, c.client.replies()) != c.client.replies();
  } else {
    loop_.buffers->received(completion);
  }
  loop_.buffers->release(completion);
}

void Outbound::on_sent(Connection& c, int result) {
  c.sending = false;
  size_t wanted = 0;
  for (const iovec& piece : c.pieces) wanted += piece.iov_len;
  const bool whole = result >= 0 && static_cast<size_t>(result) == wanted;
  c.pieces.clear();
  if (!std::exchange(c.sending_body, false)) c.client.out().clear();
  if (c.lingering_slot != UINT32_MAX) {  // given up while the kernel still had its bytes
    spool_.forget(std::exchange(c.lingering_slot, UINT32_MAX));
    c.window.reset();
  }
  if (c.closing) return;
  if (!whole) {
    c.client.connection_lost();
    return;
  }
  c.moved = true;
  if (c.client.quitting()) return begin_close(c);
  if (std::exchange(c.last_piece, false) && c.client.need() == Need::body) {
    c.client.body_sent();
    c.client.out().clear();  // the final dot went out with the body
  }
}

// Runs the machine until it has to wait for something outside.
void Outbound::advance(Connection& c) {
  while (!c.closing && !c.connecting) {
    if (c.client.need() == Need::closed) {
      session_over(c);
      return;
    }
    if (c.sending) break;
    if (!c.client.out().empty()) {
      const std::string_view out = c.client.out().text();
      c.pieces.push_back({const_cast<char*>(out.data()), out.size()});
      c.sending = c.moved = true;
      ++c.in_flight;
      loop_.ring.send(c.fd.get(), as_bytes(out), connections_.op(op_send, c.slot));
      break;
    }
    if (c.client.need() == Need::input) break;
    if (c.client.need() == Need::body) {
      send_body(c);
      break;
    }
    if (c.client.need() == Need::done) {
      transaction_over(c);
      continue;
    }
    MX_ASSERT(c.client.need() == Need::ready);
    if (!c.ready_once) became_ready(c);
    if (!c.busy) next_work(c);
    if (c.client.need() == Need::ready) break;  // idle, or reading back
  }
  if (c.closing || c.connecting) return;
  receive(c);
  if (!std::exchange(c.moved, false)) return;
  if (!c.ready_once) return arm_opening(c, c.client.timeout());
  const config::RelaySettings& relay = c.settings->relay;
  Duration timeout = c.client.timeout();
  if (timeout.us <= 0) timeout = seconds(60);  // reading back from the journal
  Instant until = loop_.now() + timeout;
  if (c.is_idle) until = std::min(loop_.now() + relay.idle_time, c.begun + relay.reuse_time);
  loop_.timers.arm(c.timer, until);
}

void Outbound::became_ready(Connection& c) {
  c.ready_once = true;
  --c.lane->opening;
  ++c.lane->ready;
  if (std::exchange(c.stalled, false)) {
    --c.lane->stalled;
    c.lane->backend->stalled(false);
  }
  if (c.destination.told && c.client.capabilities().eight_bit_mime)
    alarms_.clear(log_, eight_bit_alarm_of(*c.lane->backend));
  if (c.lane->backend->ready(loop_.now(), c.client.capabilities()))
    went_up(c.destination, *c.lane->backend);
}

// Free and ready: takes the next message, waits for one, or goes.
void Outbound::next_work(Connection& c) {
  Destination& d = c.destination;
  if (c.probe) {  // what it was opened for is done; mail is for it only if it is its turn
    const bool wanted = !shutting_down_ && work_waits(d) && d.lanes.is_eligible(*c.lane);
    if (!wanted || !d.hop.lease(d.hungry)) return c.client.quit();
    if (d.hungry) d.hop.got_one();
    c.probe = false;
    c.counted = true;
  }
  if (shutting_down_ || c.lane->retired || is_used_up(c)) return c.client.quit();
  const bool may = d.hop.next_delivery() <= loop_.now();
  if (may && !d.again.empty() && take_again(c)) return;
  if (may && d.lanes.is_eligible(*c.lane)) assign(c);
  if (c.busy || c.is_idle) return;
  c.is_idle = c.was_idle = c.moved = true;
  c.lane->idle.push_back(c.slot);
}

// Postfix counts reuses: N of them are N + 1 deliveries.
bool Outbound::is_used_up(Connection& c) {
  if (c.deliveries == 0) return false;
  const config::RelaySettings& relay = c.settings->relay;
  const Duration used = loop_.now() - c.begun;
  return !relay.reuse || c.lane->retired || used >= relay.reuse_time ||
         (relay.reuse_count > 0 && c.deliveries > relay.reuse_count) ||
         (c.destination.hop.is_full() && c.destination.lanes.has_too_many(*c.lane)) ||
         (used >= own_time && c.destination.hop.hand_over(c.destination.lanes.connections()));
}

// The machine is closed: what it knows of the delivery is recorded, the connection goes.
void Outbound::session_over(Connection& c) {
  if (c.busy && c.client.attempted()) {
    transaction_over(c);
    if (c.busy) delivery_over(c);
  } else if (c.busy) {
    put_back(c);  // lost while its message was read back: nothing was tried
  }
  if (!c.ready_once) {
    const smtp::Outcome& why = c.client.session_outcome();
    const std::string text =
        fmt::format("host {} refused to talk to me: {}", c.where(), observe::Peer{why.text.view()});
    log_.line("smtp", "{}", text);
    open_failed(c, text);
    return;
  }
  begin_close(c);
}

Outbound::Connection* Outbound::take_idle(Lane& lane) {
  while (!lane.idle.empty()) {
    Connection* c = connections_.get(lane.idle.back());
    lane.idle.pop_back();
    if (!c || !std::exchange(c->is_idle, false) || c->closing) continue;
    return c;
  }
  return nullptr;
}

void Outbound::begin_close(Connection& c) {
  if (c.closing) return;
  MX_ASSERT(!c.busy);
  c.closing = true;
  loop_.timers.cancel(c.timer);
  if (c.is_idle) {
    c.is_idle = false;
    std::erase(c.lane->idle, c.slot);
  }
  --(c.ready_once ? c.lane->ready : c.lane->opening);
  if (std::exchange(c.stalled, false)) {
    --c.lane->stalled;
    c.lane->backend->stalled(false);
  }
  if (c.fd && c.in_flight > 0) loop_.ring.cancel_fd(c.fd.get(), {});
}

// The end of every entry into a connection: frees it when it is over. It is not touched after this.
void Outbound::settle(Connection& c) {
  if (c.in_flight > 0) return;
  if (!c.closing) return;
  loop_.timers.cancel(c.timer);
  if (c.fd) loop_.ring.close(c.fd.release(), {});
  c.lane->backend->give_back(c.ready_once);
  if (c.counted) c.destination.hop.give_back();
  --c.destination.connections;
  activate(c.destination);
  connections_.free(c.slot);
  counters_.backend_connections.set(connections_.used());
}

void Outbound::on_completion(const io::Completion& completion) {
  if (completion.op.kind == op_route) return on_route_read(completion);
  if (completion.op.kind == op_notice_read) return notices_.on_read(completion);
  Connection* c = connections_.find(completion.op);
  MX_ASSERT(c != nullptr && c->in_flight > 0);
  --c->in_flight;
  switch (completion.op.kind) {
    case op_connect:
      on_connected(*c, completion.result);
      break;
    case op_send:
      on_sent(*c, completion.result);
      break;
    case op_reply:
      on_received(*c, completion);
      break;
    case op_read:
      on_read(*c, completion.result);
      break;
    default:
      MX_ASSERT(false);
  }
  advance(*c);
  settle(*c);
}

void Outbound::on_timer(io::Timer& timer) {
  if (timer.kind == timer_schedule) return;  // pump() follows in this turn
  if (timer.kind == timer_sweep) return sweep();
  if (timer.kind == timer_health) return look_after_backends();
  if (timer.kind == timer_idle) return look_at_idle();
  Connection& c = connections_.at(timer.slot);
  if (c.closing || has_stalled(c)) return;
  if (c.connecting) {
    loop_.ring.cancel_fd(c.fd.get(), {});
    return;
  }
  if (c.is_idle) {
    c.is_idle = false;
    std::erase(c.lane->idle, c.slot);
    c.client.quit();
    advance(c);
  } else if (c.reading) {
    loop_.timers.arm(c.timer,
                     loop_.now() + seconds(60));  // the disk is slow: not the server's fault
  } else {
    c.client.command_timeout();
    advance(c);
  }
  settle(c);
}

void Outbound::begin_shutdown() {
  shutting_down_ = true;
  connections_.each([&](uint32_t, Connection& c) {
    if (c.busy || c.closing) return;
    begin_close(c);
    settle(c);
  });
}

// Gives up what is under way: it is tried again after the next start.
void Outbound::end_all() {
  shutting_down_ = true;
  connections_.each([&](uint32_t, Connection& c) {
    if (c.closing) return;
    if (c.busy) {
      obey_wish(c.info);
      release_message(c);
      end_delivery(c);
    }
    begin_close(c);
    settle(c);
  });
}

}  // namespace mx::relay
