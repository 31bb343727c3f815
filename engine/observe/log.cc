#include "engine/observe/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "proto/base/limits.h"

namespace mx::observe {
namespace {

constexpr auto linger = std::chrono::milliseconds(10);
constexpr auto trouble_retry = std::chrono::milliseconds(200);
constexpr int quiet_rounds_before_sleep = 50;

}  // namespace

LogStream::LogStream(std::string host, std::string syslog_name, int pid, size_t capacity)
    : host_(std::move(host)),
      syslog_name_(std::move(syslog_name)),
      pid_(pid),
      capacity_(capacity),
      bytes_(std::make_unique<char[]>(capacity)) {}

char* LogStream::begin_line(char* text, std::string_view program) {
  const time_t now = ::time(nullptr);
  if (now != stamp_second_) {
    stamp_second_ = now;
    tm local;
    ::localtime_r(&now, &local);
    stamp_size_ =
        static_cast<uint32_t>(::strftime(stamp_, sizeof stamp_, "%b %e %H:%M:%S ", &local));
  }
  std::memcpy(text, stamp_, stamp_size_);
  return fmt::format_to_n(text + stamp_size_, 512, "{} {}/{}[{}]: ", host_, syslog_name_, program,
                          pid_)
      .out;
}

void LogStream::push(std::string_view line) {
  const uint64_t written = written_.load(std::memory_order_relaxed);
  if (capacity_ - (written - read_.load(std::memory_order_acquire)) < line.size()) {
    dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return;
  }
  const size_t at = written % capacity_;
  const size_t first = std::min(line.size(), capacity_ - at);
  std::memcpy(bytes_.get() + at, line.data(), first);
  std::memcpy(bytes_.get(), line.data() + first, line.size() - first);
  written_.store(written + line.size(), std::memory_order_seq_cst);
  if (log_->sleeping_.load(std::memory_order_seq_cst)) log_->wake();
}

std::string_view LogStream::readable() const {
  const uint64_t read = read_.load(std::memory_order_relaxed);
  const uint64_t written = written_.load(std::memory_order_seq_cst);
  const size_t at = read % capacity_;
  return {bytes_.get() + at, std::min<size_t>(written - read, capacity_ - at)};
}

void LogStream::consumed(size_t bytes) {
  read_.store(read_.load(std::memory_order_relaxed) + bytes, std::memory_order_release);
}

Log::Log(std::string host, std::string syslog_name, std::string path)
    : host_(std::move(host)), syslog_name_(std::move(syslog_name)), path_(std::move(path)) {}

Log::~Log() {
  stop();
}

LogStream& Log::make_stream() {
  const std::lock_guard lock(mutex_);
  streams_.push_back(
      std::make_unique<LogStream>(host_, syslog_name_, ::getpid(), limits::log_stream_bytes));
  streams_.back()->log_ = this;
  return *streams_.back();
}

std::string Log::open_file() {
  if (path_.empty()) return "";
  const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return "cannot open " + path_ + ": " + std::strerror(errno);
  file_ = io::Fd(fd);
  return "";
}

std::string Log::start() {
  std::string error = open_file();
  if (error.empty()) thread_ = std::thread([this] { run(); });
  return error;
}

void Log::reopen() {
  reopen_ = true;
  wake();
}

void Log::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
  if (!trouble_.empty())
    std::fprintf(stderr, "ringmx: warning: the last log lines are lost: %s\n", trouble_.c_str());
}

void Log::take(std::string& text) {
  const std::lock_guard lock(mutex_);
  for (auto& stream : streams_) {
    for (std::string_view part = stream->readable(); !part.empty(); part = stream->readable()) {
      text += part;
      stream->consumed(part.size());
    }
  }
}

void Log::wake() {
  signal_.fetch_add(1);
  signal_.notify_one();
}

void Log::set_trouble(const std::string& why) {
  if (trouble_.empty() == why.empty()) return;
  trouble_ = why;
  if (tell_) tell_(why);
}

// Writes what a stream holds. False: the log can't be written, the rest waits.
bool Log::write_stream(LogStream& stream, int fd, bool& any) {
  while (true) {
    const std::string_view text = stream.readable();
    if (text.empty()) return true;
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN && !stopping_) {  // a pipe whose reader is slow
      any = true;                                  // again soon
      return false;
    }
    if (n <= 0) {
      set_trouble((path_.empty() ? std::string("stdout") : path_) + ": " + std::strerror(errno));
      return false;
    }
    any = true;
    stream.consumed(static_cast<size_t>(n));
  }
}

void Log::say_dropped(int fd, uint64_t dropped) {
  if (dropped <= dropped_said_) return;
  const std::string text = fmt::format(
      "{} {}/master: warning: {} log lines lost: the log is too slow, or could not be written\n",
      host_, syslog_name_, dropped - dropped_said_);
  if (::write(fd, text.data(), text.size()) > 0) dropped_said_ = dropped;
}

// Writes what all streams hold, beginning with the one whose line may be half written; true when
// something was.
bool Log::drain() {
  const std::lock_guard lock(mutex_);
  if (reopen_.exchange(false)) open_file();
  const int fd = path_.empty() ? STDOUT_FILENO : file_.get();
  bool any = false;
  uint64_t dropped = 0;
  for (size_t i = 0; i < streams_.size(); ++i) {
    const size_t at = (next_stream_ + i) % streams_.size();
    dropped += streams_[at]->dropped();
    if (write_stream(*streams_[at], fd, any)) continue;
    next_stream_ = at;
    return any;
  }
  next_stream_ = 0;
  set_trouble("");
  say_dropped(fd, dropped);
  return any;
}

void Log::run() {
  int quiet = 0;
  while (true) {
    const bool stopping = stopping_.load();
    const uint32_t seen = signal_.load();
    if (drain()) {
      quiet = 0;
    } else if (stopping) {
      return;
    } else if (!trouble_.empty()) {
      std::this_thread::sleep_for(trouble_retry);
    } else if (++quiet > quiet_rounds_before_sleep) {
      sleeping_.store(true, std::memory_order_seq_cst);
      if (!drain() && !stopping_.load()) signal_.wait(seen);
      sleeping_.store(false, std::memory_order_seq_cst);
      quiet = 0;
    }
    if (!stopping) std::this_thread::sleep_for(linger);
  }
}

}  // namespace mx::observe
