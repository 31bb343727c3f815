// journal_load - journals alone on a device: messages of one size fall due at random moments
// (Poisson, all journals together), each is committed and its mark written later; printed is how
// long a message took from the moment it was due until it was durable, and how many share a flush.
//
// The journals are the daemon's own: a thread, a ring and a Spool each, over one pool of segments.
// Beside them, in the same run and on the same device, the bare loop: one batch of 16 KiB written
// and flushed again and again.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "engine/io/clock.h"
#include "engine/spool/spool.h"
#include "proto/base/prng.h"
#include "queue/recovery.h"
#include "tools/load/histogram.h"

namespace {

using namespace mx;

constexpr int exit_usage = 64, exit_failed = 74;
constexpr uint8_t op_wake = 200;
constexpr uint32_t header_bytes = 300;
constexpr Duration turn_max = milliseconds(100);
constexpr Duration warm_up = seconds(1);
constexpr uint32_t bare_bytes = 16U << 10;
constexpr off_t bare_blocks = 64;
constexpr Duration bare_time = seconds(2);

struct Options {
  std::string directory;
  uint32_t journals = 1;
  uint32_t rate = 1000;  // of all
  uint32_t seconds = 5;
  uint32_t length = 4096;
  bool dsync = false;
  bool together = false;
};

struct Common {
  const Options& options;
  spool::SegmentFiles& files;
  queue::SegmentPool& pool;
  observe::Log& log;
  observe::Alarms alarms = {};
  spool::FlushGroup flushes = {};
};

// One journal with its messages.
class Worker {
 public:
  Worker(Common& common, uint32_t number, observe::LogStream& log)
      : common_(common),
        number_(number),
        log_(log),
        prng_(number + 1),
        wake_(::eventfd(0, EFD_CLOEXEC)) {}

  void run() {
    auto ring = io::Ring::create();
    if (!ring) {
      error = ring.error();
      return;
    }
    io::Loop loop(std::move(*ring), nullptr);
    loop_ = &loop;
    spool::SpoolSettings settings;
    settings.journal.shard = static_cast<uint16_t>(number_);
    settings.journal.epoch = 1;
    settings.index_capacity = 100'000;
    settings.dsync = common_.options.dsync;
    settings.body_memory_bytes = 1 << 20;
    if (common_.options.together) {
      settings.flushes = &common_.flushes;
      settings.wake = [this] { static_cast<void>(::eventfd_write(wake_.get(), 1)); };
      arm_wake();
    }
    spool::Spool spool(settings, loop, common_.files, common_.pool, log_, common_.alarms,
                       counters_);
    spool_ = &spool;
    body_.resize(common_.options.length);
    begin_ = next_due_ = loop.now();
    end_ = begin_ + warm_up + seconds(common_.options.seconds);
    while (loop.now() < end_ || !spool.journal().idle() || spool.busy()) {
      if (spool.journal().failed()) {
        error = "writing or flushing failed";
        return;
      }
      loop.turn(*this, loop.now() < end_ ? std::min(turn_max, next_due_ - loop.now()) : turn_max);
    }
    flushes = counters_.journal_flushes.get();
  }

  void on_completion(const io::Completion& completion) {
    if (completion.op.kind != op_wake) return spool_->on_completion(completion);
    spool_->take_flushes();
    arm_wake();
  }
  void on_timer(io::Timer&) {}
  void end_of_turn() {
    queue::Journal& journal = spool_->journal();
    queue::CommitResult result;
    while (journal.next_result(result)) {
      ++messages;
      const Instant due{static_cast<int64_t>(result.cookie)};
      if (due - begin_ >= warm_up) latency.record(loop_->now() - due);
      const bool known = journal.mark_done(result.id, 0, 1, loop_->now());
      MX_ASSERT(known || journal.failed());
    }
    const Instant now = loop_->now();
    while (now >= next_due_ && next_due_ < end_ && take_in(journal)) {
      const double uniform = static_cast<double>(prng_.below(1ULL << 53) + 1) / (1ULL << 53);
      const double mean = 1e6 * common_.options.journals / common_.options.rate;
      next_due_ = next_due_ + microseconds(static_cast<int64_t>(-std::log(uniform) * mean));
    }
    if (now >= end_) journal.hurry();
    spool_->pump();
  }

  load::Histogram latency;
  uint64_t messages = 0, flushes = 0;
  std::string error;

 private:
  void arm_wake() {
    loop_->ring.read(wake_.get(), std::as_writable_bytes(std::span(&wake_value_, 1)), 0,
                     {op_wake, 0, 0});
  }
  // False: both buffers are full; the message stays due.
  bool take_in(queue::Journal& journal) {
    queue::Draft draft;
    journal.begin(draft, loop_->wall());
    const Bytes body = std::as_bytes(std::span(body_));
    if (journal.append_chunk(draft, queue::ChunkKind::header, body.first(header_bytes)) ==
            queue::Status::ok &&
        journal.append_chunk(draft, queue::ChunkKind::body, body) == queue::Status::ok &&
        journal.commit(draft, 1, body.first(100), static_cast<uint64_t>(next_due_.us)) ==
            queue::Status::ok)
      return true;
    journal.abandon(draft);
    return false;
  }

  Common& common_;
  uint32_t number_;
  observe::LogStream& log_;
  Prng prng_;
  observe::Counters counters_;
  io::Loop* loop_ = nullptr;
  spool::Spool* spool_ = nullptr;
  std::string body_;
  io::Fd wake_;
  uint64_t wake_value_ = 0;
  Instant begin_, end_, next_due_;
};

// What the device itself takes for one batch, by one writer.
nlohmann::ordered_json bare_loop(const Options& options) {
  const std::string path = options.directory + "/bare";
  const io::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_DIRECT, 0600));
  const std::unique_ptr<void, decltype(&std::free)> bytes(
      std::aligned_alloc(queue::block_bytes, bare_bytes), &std::free);
  std::memset(bytes.get(), 0, bare_bytes);
  const iovec piece{bytes.get(), bare_bytes};
  load::Histogram times;
  bool good = static_cast<bool>(fd);
  const Instant end = io::now() + bare_time;
  for (off_t i = 0; good && (i < bare_blocks || io::now() < end); ++i) {
    const Instant before = io::now();
    good = ::pwritev2(fd.get(), &piece, 1, i % bare_blocks * off_t{bare_bytes},
                      options.dsync ? RWF_DSYNC : 0) == ssize_t{bare_bytes} &&
           (options.dsync || ::fdatasync(fd.get()) == 0);
    if (i >= bare_blocks) times.record(io::now() - before);  // written before: in place
  }
  std::filesystem::remove(path);
  if (!good) return std::strerror(errno);
  return {{"p50", times.quantile(0.5)}, {"p99", times.quantile(0.99)}};
}

int run(const Options& options) {
  const queue::Geometry geometry{.segment_bytes = 4U << 20,
                                 .segment_count = 12 * options.journals + 16};
  spool::SegmentFiles files(options.directory, geometry);
  if (auto opened = files.open(spool::SegmentFiles::Access::create); !opened) {
    fmt::print(stderr, "journal_load: {}\n", opened.error());
    return exit_failed;
  }
  if (files.existing() > 0) {
    fmt::print(stderr, "journal_load: {} holds a queue already\n", options.directory);
    return exit_usage;
  }
  const auto made = files.make(geometry.segment_count);
  nlohmann::ordered_json result;
  std::string error = made ? "" : made.error();
  if (error.empty()) {
    result["bare_us"] = bare_loop(options);
    queue::SegmentPool pool(geometry, options.journals,
                            queue::SegmentPool::reserve_min(options.journals));
    queue::adopt(queue::recover(files, geometry), pool);
    observe::Log log("bench", "journal_load", options.directory + "/log");
    log.start();
    Common common{options, files, pool, log};
    std::vector<std::unique_ptr<Worker>> workers;
    for (uint32_t i = 0; i < options.journals; ++i)
      workers.push_back(std::make_unique<Worker>(common, i, log.make_stream()));
    std::vector<std::thread> threads;
    for (const auto& worker : workers) threads.emplace_back([&] { worker->run(); });
    for (std::thread& thread : threads) thread.join();
    load::Histogram latency;
    uint64_t messages = 0, flushes = 0;
    for (const auto& worker : workers) {
      if (error.empty()) error = worker->error;
      latency.add(worker->latency);
      messages += worker->messages;
      flushes += worker->flushes;
    }
    log.stop();
    result["journals"] = options.journals;
    result["messages"] = messages;
    result["flushes_a_message"] =
        static_cast<double>(flushes) / static_cast<double>(std::max<uint64_t>(messages, 1));
    result["durable_us"] = {
        {"p50", latency.quantile(0.5)}, {"p99", latency.quantile(0.99)}, {"max", latency.max()}};
  }
  std::filesystem::remove_all(options.directory + "/segments");
  std::filesystem::remove(options.directory + "/log");
  if (!error.empty()) {
    fmt::print(stderr, "journal_load: {}\n", error);
    return exit_failed;
  }
  fmt::print("{}\n", result.dump());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("journal_load: the journal alone, on the device under DIRECTORY", "journal_load");
  app.add_option("directory", options.directory, "an empty folder")->required();
  app.add_option("--journals", options.journals, "threads with a journal each")
      ->check(CLI::Range(1, 64));
  app.add_option("--rate", options.rate, "messages a second, of all journals")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--seconds", options.seconds, "after a second to warm up")
      ->check(CLI::Range(1, 3600));
  app.add_option("--length", options.length, "bytes of a body")->check(CLI::Range(300, 16'384));
  app.add_flag("--dsync", options.dsync, "writes that are durable by themselves");
  app.add_flag("--together", options.together, "one flush for all journals");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& parse_error) {
    return app.exit(parse_error) == 0 ? 0 : exit_usage;
  }
  return run(options);
}
