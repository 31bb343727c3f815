// engine/observe/log.h - log lines in the shape of Postfix's, written by a thread of their own.
//
// A shard formats a line into its stream (a byte ring with one producer) and goes on; the writer
// thread drains all streams into stdout or `maillog_file`. While there is work the writer looks
// every few milliseconds, so that logging costs a shard no system call; when it is quiet it sleeps
// until a stream wakes it. A full stream drops lines, counts them and says so afterwards: mail
// never waits for a log. When the file can't be written (a full disk), lines wait in the streams
// and are written as soon as that is possible again.
//
// "Nov 22 13:12:01 host postfix/smtpd[123]: text". Whatever a peer sent goes in through Peer{},
// which makes control and non-ASCII bytes harmless (V99). Threads: a stream belongs to one thread;
// Log itself is safe from any thread.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/io/fd.h"

namespace mx::observe {

// Text that somebody else chose.
struct Peer {
  std::string_view text;
};

class LogStream {
 public:
  LogStream(std::string host, std::string syslog_name, int pid, size_t capacity);
  // `program` is smtpd, qmgr, smtp, …: the part after the slash.
  template <typename... Args>
  void line(std::string_view program, fmt::format_string<Args...> format, Args&&... args) {
    char text[line_bytes_max];
    char* const from = begin_line(text, program);
    const auto result = fmt::format_to_n(from, static_cast<size_t>(text + sizeof text - 1 - from),
                                         format, std::forward<Args>(args)...);
    char* end = result.out;
    *end++ = '\n';
    push({text, static_cast<size_t>(end - text)});
  }
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  friend class Log;
  static constexpr size_t line_bytes_max = 2048;
  char* begin_line(char* text, std::string_view program);
  void push(std::string_view line);
  std::string_view readable() const;  // for the writer
  void consumed(size_t bytes);

  std::string host_, syslog_name_;
  int pid_;
  int64_t stamp_second_ = -1;
  char stamp_[32]{};
  uint32_t stamp_size_ = 0;
  size_t capacity_;
  std::unique_ptr<char[]> bytes_;
  std::atomic<uint64_t> written_{0}, read_{0}, dropped_{0};
  class Log* log_ = nullptr;
};

class Log {
 public:
  // `path` empty: stdout. The file is opened by start() and again by reopen().
  Log(std::string host, std::string syslog_name, std::string path);
  ~Log();
  std::string start();  // empty, or why the file can't be opened
  void reopen();        // USR1
  // Before start(): called by the writer when the log can't be written, with why, and with an empty
  // text when it can again.
  void on_trouble(std::function<void(const std::string&)> tell) { tell_ = std::move(tell); }
  void stop();  // writes what is there and ends the thread
  // For who has no thread of its own to write (the simulator): moves all lines to `text`.
  void take(std::string& text);
  LogStream& make_stream();

 private:
  friend class LogStream;
  void run();
  bool drain();
  bool write_stream(LogStream& stream, int fd, bool& any);
  void say_dropped(int fd, uint64_t dropped);
  void set_trouble(const std::string& why);
  void wake();
  std::string open_file();

  std::string host_, syslog_name_, path_;
  io::Fd file_;
  std::mutex mutex_;  // the list of streams, and the file against reopen()
  std::vector<std::unique_ptr<LogStream>> streams_;
  std::atomic<uint32_t> signal_{0};
  std::atomic<bool> sleeping_{false}, stopping_{false}, reopen_{false};
  // the writer's
  uint64_t dropped_said_ = 0;
  size_t next_stream_ = 0;  // the one that the last write was cut short in
  std::string trouble_;
  std::function<void(const std::string&)> tell_;
  std::thread thread_;
};

}  // namespace mx::observe

template <>
struct fmt::formatter<mx::observe::Peer> {
  constexpr auto parse(format_parse_context& context) { return context.begin(); }
  template <typename Context>
  auto format(const mx::observe::Peer& peer, Context& context) const {
    auto out = context.out();
    for (const char c : peer.text) *out++ = (c < 0x20 || c == 0x7F) ? '?' : c;
    return out;
  }
};
