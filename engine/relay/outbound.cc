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
constexpr std::string_view down_alarm = "next-hop-down";

}  // namespace

Outbound::Outbound(io::Loop& loop, spool::Spool& spool, NextHop& next_hop, observe::LogStream& log,
                   observe::Alarms& alarms, observe::Counters& counters, uint64_t seed)
    : loop_(loop),
      spool_(spool),
      next_hop_(next_hop),
      log_(log),
      alarms_(alarms),
      counters_(counters),
      schedule_({}, seed),
      connections_(4096) {
  schedule_timer_.kind = timer_schedule;
}

Outbound::~Outbound() {
  loop_.timers.cancel(schedule_timer_);
  connections_.each([&](uint32_t, Connection& c) { loop_.timers.cancel(c.timer); });
}

void Outbound::set_settings(policy::SettingsPointer settings) {
  settings_ = std::move(settings);
  schedule_.set_backoff({settings_->queue.minimal_backoff, settings_->queue.maximal_backoff});
}

// Gives work to idle connections, opens more while there is work for them, and sees to the timer.
void Outbound::pump() {
  const bool stopped = shutting_down_ || !spool_.journal().accepting();
  while (!stopped && work_waits()) {
    if (Connection* c = take_idle()) {
      assign(*c);
      advance(*c);
      settle(*c);
      continue;
    }
    // Retries that came due are counted as ready only when they are taken: one at least waits here.
    const size_t waiting = std::max<size_t>(1, fresh_.size() + schedule_.ready_count());
    if (opening_ >= waiting || !open_connection()) break;
  }
  arm_schedule();
}

bool Outbound::open_connection() {
  if (connections_.used() == connections_.limit()) return false;
  const NextHop::Lease lease = next_hop_.lease(loop_.now());
  if (lease == NextHop::Lease::none) return false;
  uint32_t slot = 0;
  Connection* c = connections_.make(&slot, connections_.next_slot(), settings_);
  MX_ASSERT(c != nullptr);
  c->probe = lease == NextHop::Lease::probe;
  c->candidates = next_hop_.candidates();
  ++opening_;
  counters_.backend_connections.set(connections_.used());
  connect_next(*c);
  settle(*c);
  return true;
}

void Outbound::connect_next(Connection& c) {
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
  c.fd = std::move(*fd);
  c.connecting = true;
  ++c.in_flight;
  loop_.ring.connect(c.fd.get(), to.endpoint.raw(), to.endpoint.length,
                     connections_.op(op_connect, c.slot));
  const Duration timeout = c.settings->relay.connect_timeout;
  loop_.timers.arm(c.timer, loop_.now() + (timeout.us > 0 ? timeout : seconds(600)));
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
  if (next_hop_.failed(loop_.now(), lease)) {
    alarms_.raise(log_, down_alarm,
                  fmt::format("{}: {}; mail waits in the queue", next_hop_.name(), why));
    if (next_hop_.up()) alarms_.clear(log_, down_alarm);  // another shard has reached it meanwhile
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
      --opening_;
      if (next_hop_.reached()) alarms_.clear(log_, down_alarm);
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

Outbound::Connection* Outbound::take_idle() {
  while (!idle_.empty()) {
    Connection* c = connections_.get(idle_.back());
    idle_.pop_back();
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
    std::erase(idle_, c.slot);
  }
  if (!c.ready_once) --opening_;
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
  next_hop_.give_back();
  connections_.free(c.slot);
  counters_.backend_connections.set(connections_.used());
}

void Outbound::on_completion(const io::Completion& completion) {
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
  Connection& c = connections_.at(timer.slot);
  if (c.closing || c.restarting) return;
  if (c.connecting) {
    loop_.ring.cancel_fd(c.fd.get(), {});
    return;
  }
  if (c.is_idle) {
    c.is_idle = false;
    std::erase(idle_, c.slot);
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
      release_message(c);
      c.busy = false;
      --delivering_;
    }
    begin_close(c);
    settle(c);
  });
}

}  // namespace mx::relay
