#include "engine/shard/shard.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/io/buffer_ring.h"
#include "engine/io/crash_point.h"
#include "engine/policy/publisher.h"
#include "proto/base/assert.h"

namespace mx::shard {
namespace {

// The index has room for so many more than recovery found.
constexpr uint32_t adopted_margin = 1000;

constexpr uint32_t accepts_outstanding = 16;  // on each listener
constexpr uint16_t buffer_group = 1;
constexpr Duration idle_turn = seconds(60);
constexpr Duration accept_retry = milliseconds(200);
// Descriptors are not scarce any more when none was missing for so long.
constexpr Duration accept_calm = seconds(5);

struct Acceptor {
  int fd = -1;
  io::Endpoint peer;
  bool armed = false;
};

}  // namespace

// Everything that lives on the shard's thread, in the order in which it is built.
struct Shard::Runtime {
  Runtime(Shard& owner, io::Ring&& ring) : shard(owner), loop(std::move(ring), nullptr) {}
  ~Runtime() {
    for (io::Timer* timer : {&journal_timer, &accept_timer, &shutdown_timer})
      loop.timers.cancel(*timer);
  }

  std::string start();
  void run();
  void arm_accepts();
  void on_accept(const io::Completion& completion);
  void arm_wake();
  void watch_space();
  void run_mailbox();
  void begin_shutdown();
  bool finished();

  // Handler of the loop.
  void on_completion(const io::Completion& completion);
  void on_timer(io::Timer& timer);
  void end_of_turn();

  Shard& shard;
  io::Loop loop;
  std::unique_ptr<io::BufferRing> buffers;
  std::unique_ptr<spool::Spool> spool;
  std::unique_ptr<session::Inbound> inbound;
  std::unique_ptr<relay::Outbound> outbound;
  std::vector<Acceptor> acceptors;
  io::Timer journal_timer, accept_timer, shutdown_timer;
  uint64_t wake_value = 0;
  uint32_t accepts_in_flight = 0;
  bool wake_armed = false;
  bool accept_paused = false;
  bool shutting_down = false, ended = false;
  bool queue_full = false;  // the alarm is raised
  bool time_is_up = false;
};

std::string Shard::Runtime::start() {
  auto made = io::BufferRing::create(loop.ring, buffer_group, limits::receive_buffers,
                                     limits::receive_buffer_bytes);
  if (!made) return made.error();
  buffers = std::make_unique<io::BufferRing>(std::move(*made));
  loop.buffers = buffers.get();
  const config::Settings& settings = *shard.snapshot_->settings;
  spool::SpoolSettings spool_settings;
  spool_settings.journal.shard = static_cast<uint16_t>(shard.number_);
  spool_settings.journal.epoch = shard.shared_.epoch;
  spool_settings.journal.largest_known_id = shard.shared_.largest_known_id;
  spool_settings.body_memory_bytes = settings.resources.body_cache_bytes;
  // What was accepted has room, also when fewer shards share it than before.
  spool_settings.index_capacity = std::max(
      limits::queued_messages_max, static_cast<uint32_t>(shard.messages_.size()) + adopted_margin);
  spool_settings.dsync = shard.shared_.dsync;
  spool_settings.flushes = shard.shared_.flushes;
  spool_settings.wake = [&shard = shard] { shard.wake(); };
  spool_settings.batch_bytes = static_cast<uint32_t>(
      std::clamp<uint64_t>(settings.queue.segment_size / 4, limits::journal_buffer_bytes_min,
                           limits::journal_batch_bytes_max));
  spool =
      std::make_unique<spool::Spool>(spool_settings, loop, shard.shared_.files, shard.shared_.pool,
                                     shard.log_, shard.shared_.alarms, shard.counters_);
  const uint32_t sessions =
      std::max(1U, settings.resources.sessions_max / settings.resources.shards);
  inbound = std::make_unique<session::Inbound>(loop, *spool, shard.log_, shard.counters_,
                                               shard.shared_.clients, sessions);
  outbound = std::make_unique<relay::Outbound>(loop, *spool, shard.shared_.next_hops, shard.log_,
                                               shard.shared_.alarms, shard.counters_,
                                               shard.shared_.epoch + shard.number_);
  spool->use_readers(*outbound);
  shard.publish(shard.snapshot_);
  for (const queue::RecoveredMessage* message : shard.messages_) {
    if (!spool->journal().adopt(*message)) return "too many queued messages for one shard";
    outbound->restore(*message);
  }
  shard.messages_ = {};
  shard.counters_.recipients_recovered.add(spool->index().pending_recipients());
  journal_timer.kind = timer_journal;
  accept_timer.kind = timer_accept;
  shutdown_timer.kind = timer_shutdown;
  for (const io::Fd& listener : shard.listeners_)
    for (uint32_t i = 0; i < accepts_outstanding; ++i)
      acceptors.push_back({listener.get(), {}, false});
  arm_wake();
  arm_accepts();
  loop.run_again();  // recovered mail does not wait for the first event
  return "";
}

void Shard::Runtime::arm_wake() {
  wake_armed = true;
  loop.ring.read(shard.wake_.get(), {reinterpret_cast<std::byte*>(&wake_value), sizeof wake_value},
                 0, {op_wake, 0, 0});
}

void Shard::Runtime::arm_accepts() {
  if (accept_paused || shutting_down) return;
  for (uint32_t i = 0; i < acceptors.size(); ++i) {
    Acceptor& a = acceptors[i];
    if (a.armed) continue;
    a.armed = true;
    ++accepts_in_flight;
    a.peer.length = sizeof a.peer.address;
    loop.ring.accept(a.fd, a.peer.raw(), &a.peer.length, {op_accept, 0, i});
  }
}

void Shard::Runtime::on_accept(const io::Completion& completion) {
  Acceptor& a = acceptors[completion.op.slot];
  a.armed = false;
  --accepts_in_flight;
  const int result = completion.result;
  if (result >= 0) {
    inbound->adopt(io::Fd(result), a.peer);
  } else if (result == -EMFILE || result == -ENFILE || result == -ENOBUFS || result == -ENOMEM) {
    // No descriptor is left: those who wait in the listen queue wait on, sessions go on.
    shard.shared_.alarms.raise(shard.log_, "no-descriptors",
                               std::string("accept: ") + std::strerror(-result) +
                                   "; raise the limit of open files (LimitNOFILE)");
    accept_paused = true;
    loop.timers.arm(accept_timer, loop.now() + accept_retry);
  }
}

void Shard::Runtime::on_completion(const io::Completion& completion) {
  const uint8_t kind = completion.op.kind;
  if (session::is_session_op(kind)) {
    inbound->on_completion(completion);
  } else if (relay::is_relay_op(kind)) {
    outbound->on_completion(completion);
  } else if (spool::is_spool_op(kind)) {
    spool->on_completion(completion);
  } else if (kind == op_accept) {
    on_accept(completion);
  } else {
    MX_ASSERT(kind == op_wake);
    wake_armed = false;
    spool->take_flushes();
    run_mailbox();
    arm_wake();
  }
}

void Shard::Runtime::on_timer(io::Timer& timer) {
  if (timer.kind == session::timer_session) {
    inbound->on_timer(timer);
  } else if (relay::is_relay_timer(timer.kind)) {
    outbound->on_timer(timer);
  } else if (timer.kind == timer_accept) {
    if (!std::exchange(accept_paused, false))
      return shard.shared_.alarms.clear(shard.log_, "no-descriptors");
    loop.timers.arm(accept_timer, loop.now() + accept_calm);
  } else if (timer.kind == timer_shutdown) {
    time_is_up = true;
    inbound->end_all();
    outbound->end_all();
  }
  // timer_journal: the pump at the end of the turn does it.
}

void Shard::Runtime::end_of_turn() {
  queue::CommitResult result;
  while (spool->journal().next_result(result)) {
    if (relay::is_relay_op(io::Op::unpack(result.cookie).kind))
      outbound->on_commit(result);
    else
      inbound->on_commit(result);
  }
  inbound->resume_waiting();
  session::Accepted accepted;
  while (inbound->next_accepted(accepted)) outbound->add(accepted.id, accepted.message_slot);
  relay::Letter letter;
  while (inbound->next_letter(letter))
    if (!outbound->post(std::move(letter))) shard.counters_.error_notices_left_out.add();
  if (inbound->take_queue_request()) shard.shared_.request_queue_run();
  outbound->pump();
  watch_space();
  if (!spool->blocks().plenty()) outbound->shed_memory();
  if (shutting_down) {
    io::crash_point(io::CrashPoint::shutdown_drain);
    if (inbound->sessions() == 0 && outbound->under_way() == 0 && !ended) {
      ended = true;
      spool->journal().end_segments();
    }
    spool->journal().hurry();
  }
  spool->pump();
  arm_accepts();
  if (spool->journal().has_results()) loop.run_again();
  // While the journal is busy its completion leads here again; what it could not write now is tried
  // later. After a failure it must not wait for a completion for too long.
  const queue::Journal& journal = spool->journal();
  if (const auto deadline = spool->deadline(); deadline && (!journal.busy() || journal.failed()))
    loop.timers.arm(journal_timer, std::max(*deadline, loop.now() + milliseconds(100)));
  shard.counters_.queued.set(spool->index().unfinished());
  shard.counters_.recipients_queued.set(spool->index().pending_recipients());
  shard.counters_.recipients_held.set(spool->index().held_recipients());
  shard.counters_.loop_turns.set(loop.ring.stats().turns);
  shard.counters_.completions.set(loop.ring.stats().completions);
}

// The answer to the client says it to one; the alarm says it to the operator.
void Shard::Runtime::watch_space() {
  const queue::SegmentPool& pool = shard.shared_.pool;
  const uint64_t segment = pool.geometry().segment_bytes;
  if (inbound->take_refused_for_space() && pool.free_bytes() < segment) {
    queue_full = true;
    shard.shared_.alarms.raise(
        shard.log_, "queue-full",
        fmt::format(
            "new mail is refused (452): ringmx_queue_size_limit = {} is in use, but for the "
            "reserve that lets it drain",
            pool.geometry().segment_count * segment));
  } else if (queue_full && pool.free_bytes() >= 2 * segment) {
    queue_full = false;
    shard.shared_.alarms.clear(shard.log_, "queue-full");
  }
}

void Shard::Runtime::run_mailbox() {
  std::vector<std::function<void(Shard&)>> tasks;
  {
    const std::lock_guard lock(shard.mailbox_mutex_);
    tasks.swap(shard.mailbox_);
  }
  for (const auto& task : tasks) task(shard);
}

void Shard::Runtime::begin_shutdown() {
  if (shutting_down) return;
  shutting_down = true;
  for (const io::Fd& listener : shard.listeners_) {
    ::shutdown(listener.get(), SHUT_RDWR);  // else late clients would wait in the listen queue
    loop.ring.cancel_fd(listener.get(), {});
  }
  loop.timers.cancel(accept_timer);
  inbound->begin_shutdown();
  outbound->begin_shutdown();
  spool->begin_shutdown();
  loop.timers.arm(shutdown_timer,
                  loop.now() + shard.snapshot_->settings->resources.shutdown_timeout);
}

// Everything has ended in order, or the time is up and what is durable is durable.
bool Shard::Runtime::finished() {
  if (!shutting_down || accepts_in_flight > 0) return false;
  return inbound->sessions() == 0 && outbound->under_way() == 0 && spool->journal().idle() &&
         !spool->busy();
}

void Shard::Runtime::run() {
  while (!finished()) loop.turn(*this, idle_turn);
  loop.ring.cancel({op_wake, 0, 0}, {});
  while (wake_armed) {  // the kernel still has our memory
    struct Drain {
      bool& armed;
      void on_completion(const io::Completion& c) { armed = armed && c.op.kind != op_wake; }
      void on_timer(io::Timer&) {}
      void end_of_turn() {}
    } drain{wake_armed};
    loop.turn(drain, seconds(1));
  }
}

Shard::Shard(uint32_t number, const Shared& shared, policy::SnapshotPointer snapshot,
             std::vector<io::Fd> listeners, std::vector<const queue::RecoveredMessage*> messages)
    : number_(number),
      shared_(shared),
      log_(shared.log.make_stream()),
      snapshot_(std::move(snapshot)),
      listeners_(std::move(listeners)),
      messages_(std::move(messages)),
      wake_(::eventfd(0, EFD_CLOEXEC)) {
  MX_ASSERT(static_cast<bool>(wake_));
}

Shard::~Shard() = default;

void Shard::run(const std::function<void(std::string)>& ready) {
  auto ring = io::Ring::create();
  if (!ring) {
    ready(ring.error());
    return;
  }
  runtime_ = std::make_unique<Runtime>(*this, std::move(*ring));
  const std::string error = runtime_->start();
  ready(error);
  if (error.empty()) runtime_->run();
  const std::lock_guard lock(mailbox_mutex_);
  ended_ = true;
  mailbox_.clear();
  runtime_.reset();
}

bool Shard::post(std::function<void(Shard&)> task) {
  {
    const std::lock_guard lock(mailbox_mutex_);
    if (ended_) return false;
    mailbox_.push_back(std::move(task));
  }
  wake();
  return true;
}

void Shard::wake() {
  const uint64_t one = 1;
  const ssize_t written = ::write(wake_.get(), &one, sizeof one);
  MX_ASSERT(written == sizeof one);
}

// Counts of the shard's own: with those of all, every MAIL of every shard would write to one cache
// line.
void Shard::publish(const policy::SnapshotPointer& snapshot) {
  snapshot_ = policy::with_own_count(snapshot);
  const policy::SettingsPointer settings = policy::with_own_count(snapshot_->settings);
  runtime_->inbound->set_snapshot(snapshot_, settings);
  runtime_->outbound->set_snapshot(snapshot_, settings);
  runtime_->inbound->set_next_hop(runtime_->outbound->only_next_hop());
}

void Shard::renew_snapshots() {
  runtime_->inbound->renew_snapshots();
}

void Shard::begin_shutdown() {
  runtime_->begin_shutdown();
}

void Shard::flush_queue() {
  runtime_->outbound->flush();
}

relay::Outbound::Steered Shard::steer(relay::Outbound::Steer what, queue::MessageId id) {
  return runtime_->outbound->steer(what, id);
}

bool Shard::post_letter(relay::Letter letter) {
  return runtime_->outbound->post(std::move(letter));
}

queue::Index& Shard::index() {
  return runtime_->spool->index();
}

}  // namespace mx::shard
