#include "engine/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "engine/io/clock.h"
#include "engine/io/crash_point.h"
#include "engine/io/endpoint.h"
#include "engine/io/privileged_reader.h"
#include "engine/io/ring.h"
#include "engine/memory_budget.h"
#include "engine/observe/alarms.h"
#include "engine/observe/log.h"
#include "engine/policy/publisher.h"
#include "engine/policy/snapshot.h"
#include "engine/privileges.h"
#include "engine/relay/lookups.h"
#include "engine/reload.h"
#include "engine/sandbox.h"
#include "engine/shard/control.h"
#include "engine/shard/digest.h"
#include "engine/shard/shard.h"
#include "engine/spool/segment_files.h"
#include "engine/spool/sync_probe.h"
#include "engine/start_check.h"
#include "queue/recovery.h"

namespace mx {
namespace {

constexpr int listen_backlog = 4096;
constexpr Duration port_patience = seconds(5);  // with one whose owner was killed a moment ago
// Pre-written before the first banner; the rest of the queue follows in the background.
constexpr uint64_t first_segments_bytes = 1ULL << 30;
constexpr Duration queue_run_interval = seconds(60);
constexpr auto segment_retry = std::chrono::seconds(1);
constexpr const char* crash_warning =
    "this is a test: ringmx will end there at once, as if by kill -9";

// What a step of the start ends with when it can't go on.
struct Failure {
  int code = 0;
  std::string text;
};

struct Listeners {
  std::vector<std::vector<io::Fd>> of_shard;
};

class Daemon {
 public:
  explicit Daemon(const DaemonOptions& options) : options_(options) {}
  int run();

 private:
  bool arm_crash_point();
  bool load();
  void raise_limits();
  bool listen();
  void start_reader();
  bool drop_privileges();
  bool become_owner();
  bool open_log();
  bool open_queue();
  bool decide_sync();
  bool recover();
  bool open_control();
  bool start_shards();
  void serve();
  void stop();
  void run_queue();
  void wake_shards();
  void start_digest();
  void make_segments();
  MemoryBudget budget() const;
  void say_memory();
  void start_reloader();
  void close_sandbox();
  bool fail(int code, const std::string& text) {
    failure_ = {code, text};
    return false;
  }
  const config::Settings& settings() const { return *settings_; }

  DaemonOptions options_;
  Failure failure_;
  config::HostFacts host_;
  policy::SettingsPointer settings_;  // of the start
  policy::Publisher publisher_;
  std::vector<policy::TableFile> table_files_;
  uint64_t table_run_ = 0;
  Listeners listeners_;
  std::unique_ptr<observe::Log> log_;
  observe::LogStream* stream_ = nullptr;  // the main thread's
  observe::Alarms alarms_;
  std::unique_ptr<spool::SegmentFiles> files_;
  std::unique_ptr<queue::SegmentPool> pool_;
  queue::Recovered recovered_;
  bool dsync_ = false;
  std::unique_ptr<spool::FlushGroup> flushes_;  // none: each journal flushes for itself
  std::unique_ptr<relay::NextHops> next_hops_;
  std::vector<std::unique_ptr<relay::Lookups>> lookups_;
  std::unique_ptr<session::ClientTable> clients_;
  std::vector<std::unique_ptr<shard::Shard>> shards_;
  std::atomic<bool> all_shards_run_ = false;    // shards_ is complete
  std::atomic<int64_t> next_queue_run_us_ = 0;  // that ETRN may ask for
  std::vector<std::thread> threads_;
  std::unique_ptr<Reloader> reloader_;
  std::unique_ptr<shard::Control> control_;
  std::unique_ptr<shard::Digest> digest_;
  std::thread segment_maker_;
  std::atomic<bool> stopping_{false};
};

void print(const config::Diagnostics& diagnostics) {
  for (const config::Diagnostic& d : diagnostics)
    std::fprintf(stderr, "%s\n", config::to_string(d).c_str());
}

uint64_t random_u64() {
  uint64_t value = 0;
  const ssize_t n = ::getrandom(&value, sizeof value, 0);
  MX_ASSERT(n == sizeof value);
  return value;
}

// For tests (engine/io/crash_point.h). Nobody is to be surprised by it.
bool Daemon::arm_crash_point() {
  const char* wanted = ::getenv("RINGMX_CRASH_AT");
  if (!wanted) return true;
  if (auto armed = io::arm_crash_point(wanted); !armed) {
    std::fprintf(stderr, "ringmx: fatal: %s\n", armed.error().c_str());
    return fail(EX_USAGE, armed.error());
  }
  if (io::crash_armed(io::CrashPoint::none)) return true;
  std::fprintf(stderr, "ringmx: warning: RINGMX_CRASH_AT=%s: %s\n", wanted, crash_warning);
  return true;
}

bool Daemon::load() {
  host_ = config::read_host_facts();
  policy::SnapshotResult result =
      policy::load_snapshot(options_.config_directory, config::disk_reader(), host_);
  bool usable = result.snapshot != nullptr;
  if (result.settings) {
    for (config::Diagnostic& one : check_machine(*result.settings)) {
      usable &= one.severity != config::Severity::error;
      result.errors.push_back(std::move(one));
    }
    config::sort_by_place(result.errors);
  }
  print(result.warnings);
  print(result.errors);
  if (!usable) return fail(EX_CONFIG, "the configuration is refused; nothing was started");
  settings_ = result.snapshot->settings;
  table_files_ = std::move(result.files);
  table_run_ = result.run;
  publisher_.publish(std::move(result.snapshot));
  return true;
}

// As far as we may: sessions, backend connections and segments each need a descriptor, and since
// Linux 6.14 a ring counts as its user's locked memory (8 MiB are enough for 25).
void Daemon::raise_limits() {
  rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0 && ::getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_MEMLOCK, &limit);
  }
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const uint64_t wanted = uint64_t{settings().resources.sessions_max} +
                          settings().relay.backend_connections +
                          settings().queue.size_limit / settings().queue.segment_size + 64;
  if (limit.rlim_max < wanted)
    std::fprintf(stderr,
                 "ringmx: warning: at most %llu open files are allowed, ringmx_max_sessions = %u "
                 "asks for %llu: "
                 "further clients will wait (raise LimitNOFILE)\n",
                 static_cast<unsigned long long>(limit.rlim_max), settings().resources.sessions_max,
                 static_cast<unsigned long long>(wanted));
}

bool Daemon::listen() {
  std::vector<io::Endpoint> endpoints;
  for (const config::ListenAddress& at : settings().listen) {
    io::Endpoint& endpoint = endpoints.emplace_back();
    if (at.address.v6) {
      auto* in6 = reinterpret_cast<sockaddr_in6*>(&endpoint.address);
      in6->sin6_family = AF_INET6;
      in6->sin6_port = htons(at.port);
      std::memcpy(&in6->sin6_addr, at.address.bytes.data(), 16);
      endpoint.length = sizeof *in6;
    } else {
      auto* in = reinterpret_cast<sockaddr_in*>(&endpoint.address);
      in->sin_family = AF_INET;
      in->sin_port = htons(at.port);
      std::memcpy(&in->sin_addr, at.address.bytes.data(), 4);
      endpoint.length = sizeof *in;
    }
    const Instant until = io::now() + port_patience;
    std::string why = io::why_taken(endpoint);
    for (; !why.empty() && io::now() < until; why = io::why_taken(endpoint)) ::usleep(50'000);
    if (!why.empty()) return fail(EX_OSERR, why);
  }
  listeners_.of_shard.resize(settings().resources.shards);
  for (const io::Endpoint& endpoint : endpoints)
    for (auto& fds : listeners_.of_shard) {
      auto fd = io::listen_on(endpoint, listen_backlog);
      if (!fd) return fail(EX_OSERR, fd.error());
      fds.push_back(std::move(*fd));
    }
  return true;
}

// What only root can read stays within reach of a reload, by a process that does nothing else.
// Before load(), so that it holds nothing of what is read.
void Daemon::start_reader() {
  if (::geteuid() != 0) return;
  if (auto started = io::privileged_reader::start(); !started)
    std::fprintf(stderr, "ringmx: warning: %s: a reload can't read what only root can\n",
                 started.error().c_str());
}

// Started as root: the rest of the life is mail_owner's.
bool Daemon::drop_privileges() {
  if (::geteuid() == 0 && !become_owner()) return false;
  const std::string error = give_up_privileges();
  return error.empty() || fail(EX_OSERR, "giving up privileges: " + error);
}

bool Daemon::become_owner() {
  const std::string& name = settings().mail_owner;
  const Owner owner = find_owner(name);
  if (owner.name.empty()) return fail(EX_CONFIG, "mail_owner: there is no user " + name);
  io::privileged_reader::allow(config::main_cf_path(options_.config_directory));
  for (const std::string& path : settings().key_files) io::privileged_reader::allow(path);
  io::privileged_reader::seal();
  if (owner.uid == 0) return true;
  const std::string& queue = settings().queue.directory;
  if (::mkdir(queue.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(EX_CANTCREAT, queue + ": " + std::strerror(errno));
  if (const std::string why = why_not_ours(queue, owner); !why.empty())
    return fail(EX_CONFIG, "queue_directory: " + why);  // since check_machine()
  if (::chown(queue.c_str(), owner.uid, owner.gid) != 0)
    return fail(EX_NOPERM, queue + ": chown to " + name + ": " + std::strerror(errno));
  const std::string& file = settings().log.maillog_file;
  if (!file.empty()) {
    const io::Fd made(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (made && ::fchown(made.get(), owner.uid, owner.gid) != 0)
      return fail(EX_NOPERM, file + ": chown to " + name + ": " + std::strerror(errno));
  }
  const std::string error = become(owner);
  return error.empty() || fail(EX_OSERR, "becoming " + name + ": " + error);
}

bool Daemon::open_log() {
  const std::string& name = settings().hostname;
  log_ = std::make_unique<observe::Log>(name.substr(0, name.find('.')), settings().log.syslog_name,
                                        settings().log.maillog_file);
  observe::LogStream& writers = log_->make_stream();
  log_->on_trouble([this, &writers](const std::string& why) {
    if (why.empty()) return alarms_.clear(writers, "log");
    std::fprintf(stderr, "ringmx: warning: the log can't be written: %s\n", why.c_str());
    alarms_.raise(writers, "log", why + ": lines wait, and are lost when there are too many");
  });
  const std::string error = log_->start();
  if (!error.empty()) return fail(EX_CANTCREAT, error);
  stream_ = &log_->make_stream();
  if (!io::crash_armed(io::CrashPoint::none))
    stream_->line("master", "warning: armed: crash point {}: {}",
                  io::name_of(io::armed_crash_point()), crash_warning);
  return true;
}

bool Daemon::open_queue() {
  const config::QueueSettings& queue = settings().queue;
  const queue::Geometry geometry{static_cast<uint32_t>(queue.segment_size),
                                 static_cast<uint32_t>(queue.size_limit / queue.segment_size)};
  const uint32_t shards = settings().resources.shards;
  const uint32_t reserve = queue::SegmentPool::reserve_min(shards);
  MX_ASSERT(queue::is_valid(geometry));  // load() has seen to it
  files_ = std::make_unique<spool::SegmentFiles>(queue.directory, geometry);
  if (auto opened = files_->open(spool::SegmentFiles::Access::create); !opened)
    return fail(EX_CANTCREAT, opened.error());
  const auto first = static_cast<uint32_t>(
      std::clamp<uint64_t>(first_segments_bytes / geometry.segment_bytes,
                           queue::SegmentPool::segments_min(shards), geometry.segment_count));
  if (files_->existing() < first) {
    stream_->line("master", "making {} queue segments of {} bytes", first - files_->existing(),
                  geometry.segment_bytes);
    if (auto made = files_->make(first); !made) return fail(EX_CANTCREAT, made.error());
  }
  if (!files_->direct())
    stream_->line("master",
                  "warning: {} has no O_DIRECT: the queue is written through the page cache, with "
                  "fdatasync",
                  files_->directory());
  if (!decide_sync()) return false;
  pool_ = std::make_unique<queue::SegmentPool>(geometry, shards, reserve);
  return true;
}

bool Daemon::decide_sync() {
  const auto choice = spool::choose_sync(*files_, settings().queue, settings().resources.shards);
  if (!choice)
    return fail(EX_CONFIG,
                fmt::format("{}/main.cf: {}", options_.config_directory, choice.error()));
  dsync_ = choice->dsync;
  if (choice->together) flushes_ = std::make_unique<spool::FlushGroup>();
  stream_->line("master", "queue: batches are made durable by {}{}{}",
                dsync_ ? "RWF_DSYNC" : "fdatasync", flushes_ ? ", one for all threads" : "",
                choice->measured);
  return true;
}

bool Daemon::recover() {
  const Instant begin = io::now();
  recovered_ = queue::recover(*files_, files_->geometry());
  const Duration took = io::now() - begin;
  if (!recovered_.refusal.empty())
    return fail(EX_DATAERR,
                files_->path_of(recovered_.refused_segment) + ": " + recovered_.refusal);
  io::crash_point(io::CrashPoint::recovered);
  queue::adopt(recovered_, *pool_);
  stream_->line(
      "master",
      "queue recovered: {} messages, {} records, {} unfinished batch ends, {} damaged places, {} "
      "segments by footer, {} ms",
      recovered_.messages.size(), recovered_.records, recovered_.torn_tails,
      recovered_.damage_count, recovered_.segments_by_footer, took.us / 1000);
  for (const queue::Damage& damage : recovered_.damage)
    if (!damage.torn_tail)
      stream_->line("master", "warning: queue segment {} offset {}: {}", damage.segment,
                    damage.offset, damage.text);
  if (recovered_.damage_count > 0)
    alarms_.raise(*stream_, "queue-damaged",
                  fmt::format("{} damaged places, {} messages lost; the rest was recovered",
                              recovered_.damage_count, recovered_.messages_lost));
  return true;
}

bool Daemon::open_control() {
  const config::RelaySettings& relay = settings().relay;
  next_hops_ = std::make_unique<relay::NextHops>(
      relay,
      relay::Self{settings().hostname, settings().listen, settings().domains.own_addresses,
                  relay.default_port},
      random_u64());
  next_hops_->on_change([this] { wake_shards(); });
  for (const auto* hosts : {&relay.relay_hosts, &relay.default_hosts})
    if (!hosts->empty()) next_hops_->get(*hosts, true);
  for (uint32_t i = 0; i < limits::lookup_threads; ++i)
    lookups_.push_back(std::make_unique<relay::Lookups>(*next_hops_, log_->make_stream()));
  control_ = std::make_unique<shard::Control>(settings().queue.directory, *log_, alarms_, *files_,
                                              *pool_, *next_hops_, publisher_, shards_);
  const std::string error = control_->bind();
  if (!error.empty()) alarms_.raise(*stream_, "control", error + ": mxq can't be used");
  return true;
}

bool Daemon::start_shards() {
  clients_ =
      std::make_unique<session::ClientTable>(settings().resources.sessions_max, random_u64());
  const shard::Shared shared{*log_,
                             alarms_,
                             *next_hops_,
                             *clients_,
                             *pool_,
                             *files_,
                             dsync_,
                             flushes_.get(),
                             random_u64(),
                             recovered_.largest_id,
                             [this] { run_queue(); }};
  std::vector<std::vector<const queue::RecoveredMessage*>> dealt(settings().resources.shards);
  for (const queue::RecoveredMessage& message : recovered_.messages)
    dealt[pool_->owner(message.commit.segment)].push_back(&message);
  std::mutex mutex;
  std::condition_variable told;
  size_t ready = 0;
  std::string error;
  for (uint32_t i = 0; i < settings().resources.shards; ++i) {
    shards_.push_back(std::make_unique<shard::Shard>(
        i, shared, publisher_.newest(), std::move(listeners_.of_shard[i]), std::move(dealt[i])));
    threads_.emplace_back([&, shard = shards_.back().get()] {
      shard->run([&](std::string why) {
        const std::lock_guard lock(mutex);
        ++ready;
        if (error.empty()) error = std::move(why);
        told.notify_all();
      });
    });
  }
  std::unique_lock lock(mutex);
  told.wait(lock, [&] { return ready == shards_.size(); });
  if (!error.empty()) return fail(EX_OSERR, error);
  recovered_ = {};
  if (options_.give_back_memory != nullptr) options_.give_back_memory();
  all_shards_run_ = true;
  return true;
}

void Daemon::start_digest() {
  digest_ = std::make_unique<shard::Digest>(settings().queue.directory, log_->make_stream(),
                                            *files_, *pool_, publisher_, shards_);
  digest_->start();
}

// ETRN costs its sender nothing: once in a while is enough for all of them together.
void Daemon::run_queue() {
  const int64_t now = io::now().us;
  int64_t next = next_queue_run_us_;
  if (!all_shards_run_ || now < next) return;
  if (!next_queue_run_us_.compare_exchange_strong(next, now + queue_run_interval.us)) return;
  for (auto& shard : shards_) shard->post([](shard::Shard& s) { s.flush_queue(); });
}

// Mail that waits may go now. From any shard's thread; one that is just starting looks by itself.
void Daemon::wake_shards() {
  if (!all_shards_run_) return;
  for (auto& shard : shards_) shard->post([](shard::Shard&) {});
}

// The body of the background thread that brings the queue to its full size. What fails (the disk is
// full) is tried again.
void Daemon::make_segments() {
  observe::LogStream& log = log_->make_stream();
  std::string why;
  while (!stopping_ && (files_->make_next(*pool_, &why) || !why.empty())) {
    if (why.empty()) {
      alarms_.clear(log, "queue-size");
      continue;
    }
    alarms_.raise(log, "queue-size", "the queue can't grow to ringmx_queue_size_limit: " + why);
    why.clear();
    std::this_thread::sleep_for(segment_retry);
  }
}

MemoryBudget Daemon::budget() const {
  uint64_t table_bytes = 0;
  for (const policy::TableFile& file : table_files_)
    if (file.seen) table_bytes += file.seen->size;
  return memory_budget(settings(), table_bytes);
}

void Daemon::say_memory() {
  const config::ResourceSettings& r = settings().resources;
  stream_->line("master",
                "daemon started: {} shards, at most {} sessions, {} backend connections; body "
                "memory {} MiB a "
                "shard; queue {} MiB in segments of {} MiB",
                r.shards, r.sessions_max, settings().relay.backend_connections,
                r.body_cache_bytes >> 20, settings().queue.size_limit >> 20,
                settings().queue.segment_size >> 20);
  stream_->line("master", "memory: {}", to_string(budget()));
  for (const config::ListenAddress& at : settings().listen)
    stream_->line("master", "listening on {}", at.text);
}

void Daemon::start_reloader() {
  const auto is_pattern = [](const policy::TablePointer& table) {
    const maps::TableKind kind = table->facts().spec.kind;
    return kind == maps::TableKind::regexp || kind == maps::TableKind::pcre;
  };
  if (std::ranges::any_of(publisher_.newest()->tables, is_pattern) &&
      !maps::PatternTable::jit_available())
    stream_->line("master",
                  "warning: patterns of regexp and pcre tables are interpreted, which is slower: "
                  "memory that is writable and executable is forbidden here");
  reloader_ = std::make_unique<Reloader>(
      Reloader::Context{options_.config_directory, host_, log_->make_stream(), alarms_, publisher_,
                        *next_hops_, shards_},
      table_files_, table_run_);
  reloader_->start();
}

// When all threads are there, and all rings.
void Daemon::close_sandbox() {
  if (!settings().resources.sandbox) {
    stream_->line("master", "sandbox: off by ringmx_sandbox = no");
    return;
  }
  const std::string error = enter_sandbox();
  stream_->line("master", "sandbox: {}",
                error.empty() ? "system calls are limited to what mail needs" : error);
}

void Daemon::serve() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&signals, signal);
  while (true) {
    const int signal = ::sigwaitinfo(&signals, nullptr);
    if (signal == SIGTERM || signal == SIGINT) return;
    if (signal == SIGHUP) reloader_->reload();
    if (signal == SIGUSR1) log_->reopen();
  }
}

void Daemon::stop() {
  stopping_ = true;
  if (stream_) stream_->line("master", "terminating");
  if (digest_) digest_->stop();  // while the shards still answer it
  for (auto& shard : shards_) shard->post([](shard::Shard& s) { s.begin_shutdown(); });
  if (control_) control_->stop();
  for (std::thread& thread : threads_) thread.join();
  if (reloader_) reloader_->stop();
  for (const auto& each : lookups_) each->stop();
  if (segment_maker_.joinable()) segment_maker_.join();
  if (log_) log_->stop();
}

int Daemon::run() {
  if (!options_.check_only) start_reader();
  if (!arm_crash_point() || !load()) return failure_.code;
  if (options_.check_only) {
    std::printf("memory: %s\n", to_string(budget()).c_str());
    return EX_OK;
  }
  raise_limits();
  const std::string missing = io::missing_ring_features();
  if (!missing.empty()) {
    std::fprintf(stderr, "ringmx: fatal: %s\n", missing.c_str());
    return EX_OSERR;
  }
  const bool started = listen() && drop_privileges() && open_log() && open_queue() && recover() &&
                       open_control() && start_shards();
  if (started) {
    control_->start();
    start_digest();
    segment_maker_ = std::thread([this] { make_segments(); });
    say_memory();
    start_reloader();
    for (const auto& each : lookups_) each->start();
    close_sandbox();
    serve();
  } else {
    std::fprintf(stderr, "ringmx: fatal: %s\n", failure_.text.c_str());
    if (stream_) stream_->line("master", "fatal: {}", failure_.text);
  }
  stop();
  return failure_.code;
}

}  // namespace

int run_daemon(const DaemonOptions& options) {
  // All threads leave signals to the main thread, which waits for them.
  sigset_t signals;
  ::sigfillset(&signals);
  for (const int synchronous : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
    ::sigdelset(&signals, synchronous);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::umask(077);
  Daemon daemon(options);
  return daemon.run();
}

}  // namespace mx
