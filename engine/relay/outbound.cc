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

constexpr Duration idle_time = seconds(2);  // smtp_connection_cache_time_limit
constexpr uint32_t route_reads_max = 16;

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
      connections_(4096),
      route_reads_(route_reads_max),
      notices_(loop, spool, log, counters) {
  schedule_timer_.kind = timer_schedule;
  sweep_timer_.kind = timer_sweep;
  first_wall_ = loop_.wall();
  first_now_ = loop_.now();
}

Outbound::~Outbound() {
  loop_.timers.cancel(schedule_timer_);
  loop_.timers.cancel(sweep_timer_);
  connections_.each([&](uint32_t, Connection& c) { loop_.timers.cancel(c.timer); });
  route_reads_.each([](uint32_t, RouteRead& read) { std::free(read.window); });
}

// Gives work to idle connections, opens more while there is work for them, and sees to the timer.
void Outbound::pump() {
  notices_.pump();
  take_notices();
  if (!shutting_down_ && spool_.journal().accepting()) {
    route_waiting();
    for (const auto& d : destinations_) pump(*d);
  }
  arm_schedule();
}

void Outbound::pump(Destination& d) {
  while (work_waits(d)) {
    if (Connection* c = take_idle(d)) {
      assign(*c);
      advance(*c);
      settle(*c);
      continue;
    }
    // Retries that came due are counted as ready only when they are taken: one at least waits here.
    const size_t ready = takes_schedule(d) ? schedule_.ready_count() : 0;
    const size_t waiting = std::max<size_t>(1, d.fresh.size() + d.retries.size() + ready);
    if (d.opening >= waiting || !open_connection(d)) break;
  }
}

bool Outbound::open_connection(Destination& d) {
  if (connections_.used() == connections_.limit()) return false;
  const NextHop::Lease lease = d.hop.lease(loop_.now());
  if (lease == NextHop::Lease::none) return false;
  uint32_t slot = 0;
  Connection* c = connections_.make(&slot, connections_.next_slot(), d, settings_);
  MX_ASSERT(c != nullptr);
  c->probe = lease == NextHop::Lease::probe;
  c->candidates = d.hop.candidates();
  ++d.opening;
  counters_.backend_connections.set(connections_.used());
  connect_next(*c);
  settle(*c);
  return true;
}

void Outbound::connect_next(Connection& c) {
  const config::RelaySettings& relay = c.settings->relay;
  const auto unusable = [&] {
    const bool v6 = (*c.candidates)[c.candidate].endpoint.is_ipv6();
    return v6 ? !relay.ipv6 : !relay.ipv4;
  };
  while (c.candidate < c.candidates->size() && unusable()) ++c.candidate;
  if (c.candidate >= c.candidates->size()) {
    hop_failed(c, c.candidates->empty() ? "its address is not known yet" : "no address answers");
    return;
  }
  const Candidate& to = (*c.candidates)[c.candidate];
  auto fd = io::connecting_socket(to.endpoint);
  if (!fd) {
    hop_failed(c, fd.error());
    return;
  }
  if (!bind_source(fd->get(), to.endpoint, relay)) {
    hop_failed(c, "smtp_bind_address can't be used");
    return;
  }
  c.fd = std::move(*fd);
  c.connecting = true;
  ++c.in_flight;
  loop_.ring.connect(c.fd.get(), to.endpoint.raw(), to.endpoint.length,
                     connections_.op(op_connect, c.slot));
  const Duration timeout = c.settings->relay.connect_timeout;
  loop_.timers.arm(c.timer, loop_.now() + (timeout.us > 0 ? timeout : seconds(600)));
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
    c.connected = loop_.now();
    receive(c);
    loop_.timers.arm(c.timer, loop_.now() + c.client.timeout());
    return;
  }
  const char* why = result == -ECANCELED ? "Connection timed out" : std::strerror(-result);
  log_.line("smtp", "connect to {}: {}", c.where(), why);
  c.fd.reset();
  if (c.candidate + 1 < c.candidates->size()) {
    ++c.candidate;
    connect_next(c);
  } else {
    hop_failed(c, fmt::format("{}: {}", c.where(), why));
  }
}

// No address of the next hop could be used: it is down until its timer lets a probe through.
void Outbound::hop_failed(Connection& c, std::string_view why) {
  const auto lease = c.probe ? NextHop::Lease::probe : NextHop::Lease::connection;
  NextHop& hop = c.destination.hop;
  if (hop.failed(loop_.now(), lease)) {
    alarms_.raise(log_, alarm_of(c.destination),
                  fmt::format("{}: {}; mail waits in the queue", hop.name(), why));
    // Another shard may have reached it meanwhile.
    if (hop.up()) alarms_.clear(log_, alarm_of(c.destination));
  }
  begin_close(c);
}

void Outbound::receive(Connection& c) {
  if (c.receiving || c.closing || c.restarting) return;
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
    if (!c.closing && !c.restarting) c.client.connection_lost();
    return;
  }
  if (!c.closing && !c.restarting) {
    c.replied = true;
    c.client.feed(as_text(loop_.buffers->received(completion)));
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
  if (c.closing || c.restarting) return;
  if (!whole) {
    c.client.connection_lost();
    return;
  }
  if (std::exchange(c.last_piece, false) && c.client.need() == Need::body) {
    c.client.body_sent();
    c.client.out().clear();  // the final dot went out with the body
  }
}

// Runs the machine until it has to wait for something outside.
void Outbound::advance(Connection& c) {
  while (!c.closing && !c.connecting && !c.restarting) {
    if (c.client.need() == Need::closed) {
      session_over(c);
      return;
    }
    if (c.sending) break;
    if (!c.client.out().empty()) {
      const std::string_view out = c.client.out().text();
      c.pieces.push_back({const_cast<char*>(out.data()), out.size()});
      c.sending = true;
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
    if (!c.ready_once) {
      c.ready_once = true;
      --c.destination.opening;
      if (c.destination.hop.reached()) alarms_.clear(log_, alarm_of(c.destination));
    }
    if (!c.busy) assign(c);
    if (!c.busy || c.client.need() == Need::ready) break;  // idle, or reading back
  }
  if (c.closing || c.connecting || c.restarting) return;
  receive(c);
  Duration timeout = c.is_idle ? idle_time : c.client.timeout();
  if (timeout.us <= 0) timeout = seconds(60);  // reading back from the journal
  loop_.timers.arm(c.timer, loop_.now() + timeout);
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
    log_.line("smtp", "host {} refused to talk to me: {}", c.where(),
              observe::Peer{why.text.view()});
    if (c.candidate + 1 < c.candidates->size()) {
      c.restarting = true;  // settle() goes on with the next address
      if (c.in_flight > 0) loop_.ring.cancel_fd(c.fd.get(), {});
      return;
    }
    hop_failed(c, fmt::format("{}: {}", c.where(), why.text.view()));
    return;
  }
  begin_close(c);
}

Outbound::Connection* Outbound::take_idle(Destination& d) {
  while (!d.idle.empty()) {
    Connection* c = connections_.get(d.idle.back());
    d.idle.pop_back();
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
    std::erase(c.destination.idle, c.slot);
  }
  if (!c.ready_once) --c.destination.opening;
  if (c.fd && c.in_flight > 0) loop_.ring.cancel_fd(c.fd.get(), {});
}

// The end of every entry into a connection: frees it when it is over. It is not touched after this.
void Outbound::settle(Connection& c) {
  if (c.in_flight > 0) return;
  if (!c.closing && std::exchange(c.restarting, false)) {
    c.fd.reset();
    ++c.candidate;
    std::destroy_at(&c.client);
    std::construct_at(&c.client, c.settings->relay.client);
    connect_next(c);
  }
  if (!c.closing || c.in_flight > 0) return;
  loop_.timers.cancel(c.timer);
  if (c.fd) loop_.ring.close(c.fd.release(), {});
  c.destination.hop.give_back();
  connections_.free(c.slot);
  counters_.backend_connections.set(connections_.used());
}

// The usual next hop's alarm has a short name; those of others are told apart.
std::string Outbound::alarm_of(const Destination& d) const {
  return &d == relay_ ? "next-hop-down" : "next-hop-down " + d.hop.name();
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
  Connection& c = connections_.at(timer.slot);
  if (c.closing || c.restarting) return;
  if (c.connecting) {
    loop_.ring.cancel_fd(c.fd.get(), {});
    return;
  }
  if (c.is_idle) {
    c.is_idle = false;
    std::erase(c.destination.idle, c.slot);
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
      c.busy = false;
      --c.destination.delivering;
    }
    begin_close(c);
    settle(c);
  });
}

}  // namespace mx::relay
