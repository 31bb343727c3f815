// tests/sim/world/world.h - the world around one shard: virtual time, events, connections, a disk,
// and the simulated ring's operations on them (ring.cc). One world a scenario, one thread.
//
// Time stands still while the shard computes and jumps to the next event when it waits. Everything
// is drawn from one seed, so that a scenario is the same each time; `hash` is over all that
// happened.
//
// A crash is a call that never returns: on_crash() starts the next life on top of the stack of the
// one that has ended, whose objects are never touched again.
#pragma once

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/ring.h"
#include "proto/base/bytes.h"
#include "proto/base/prng.h"
#include "proto/base/time.h"
#include "tests/sim/disk.h"

namespace mx::sim {

class Connection;

// Who is at the other end of a connection of the shard.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual void on_open() = 0;
  virtual void on_bytes(std::string_view bytes) = 0;
  virtual void on_closed() = 0;  // by the shard, or because it is no more
};

// A connection: bytes to the shard wait here until it receives them.
class Connection {
 public:
  int fd = -1;
  std::shared_ptr<Peer> peer;
  sockaddr_storage address{};  // of the peer
  std::string to_shard;        // arrived, not received yet
  Instant arrives_last;        // bytes keep their order
  uint64_t sent = 0;           // bytes that the peer has sent, and that the shard has received
  uint64_t received = 0;
  bool end = false, reset = false;  // the peer has gone
  bool open = true;                 // the shard has it
  bool peer_reads = true;
  uint64_t receiver = 0, sender = 0;  // operations under way
  // Called when the shard has received everything up to an offset.
  std::deque<std::pair<uint64_t, std::function<void()>>> marks;
};
using ConnectionPointer = std::shared_ptr<Connection>;

// Chances in 10,000 for one operation, unless it says otherwise.
struct RingFaults {
  uint32_t write_error = 0, flush_error = 0, short_write = 0;
  uint32_t read_error = 0, short_read = 0, wrong_read = 0;  // of what is read back
  uint32_t socket_error = 0, accept_error = 0, no_buffers = 0;
  uint32_t short_receive_percent = 20;
  uint32_t buffers = 2048;
  uint32_t completions_a_turn = 256;
  int64_t disk_us = 500, network_us = 2000;  // an operation takes up to this
};

struct Operation {
  enum class Kind : uint8_t { accept, connect, receive, send, read, write, flush, wake };
  Kind kind;
  int fd;
  io::Op op;
  std::byte* into = nullptr;
  size_t size = 0;
  bool select = false;  // receive into a buffer of the group
  uint64_t offset = 0;
  bool dsync = false;
  std::vector<iovec> pieces = {};  // send
  size_t done = 0;
  std::string copy = {};  // of what is written: it must stay as it is
  sockaddr* address = nullptr;
  socklen_t* address_length = nullptr;
};

struct WorldStats {
  uint64_t operations = 0, errors = 0, turns = 0, crashes = 0, wrong_reads = 0;
};

class World {
 public:
  World(uint64_t seed, uint32_t segment_bytes, uint32_t segment_count, const DiskFaults& faults);
  static World& current();

  // --- time and chance
  Instant now{1'000'000'000};
  Duration wall_offset{1'800'000'000'000'000};
  Prng prng;
  void after(Duration delay, std::function<void()> event);
  void at(Instant when, std::function<void()> event);
  Duration up_to(int64_t us) { return {static_cast<int64_t>(prng.below(uint64_t(us) + 1))}; }
  bool strikes(uint32_t in_10000) { return prng.below(10'000) < in_10000; }

  // --- what is told
  bool tracing = false;
  uint64_t hash = 14695981039346656037ULL;
  void note(std::string_view text);
  template <typename... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    note(fmt::format(format, std::forward<Args>(args)...));
  }
  std::function<void()> on_turn;                     // e.g. to take the log's lines
  std::function<void()> on_crash;                    // never returns
  std::function<void(const std::string&)> on_wrong;  // likewise
  std::function<void()> on_device_failed;
  uint64_t crash_at = 0;  // this operation is the last; 0: none
  [[noreturn]] void crash();
  [[noreturn]] void wrong(const std::string& why);

  // --- network
  // What comes of a connection that the shard opens: 0 and who answers, or -errno; `takes` < 0:
  // nothing ever comes.
  struct Answer {
    int result = 0;
    Duration takes;
    std::function<std::shared_ptr<Peer>(const ConnectionPointer&)> peer;
  };
  std::function<Answer(const sockaddr* to)> on_connect;
  ConnectionPointer connect_client(std::shared_ptr<Peer> peer, const sockaddr_storage& from);
  void peer_sends(const ConnectionPointer& connection, std::string bytes,
                  std::function<void()> received = {});
  void peer_closes(const ConnectionPointer& connection, bool reset);
  void peer_reads(const ConnectionPointer& connection, bool reads);
  // The shard's process has ended: connections break, operations are forgotten.
  void end_of_process();
  ConnectionPointer find(int fd);

  // --- disk
  Disk disk;
  std::vector<int> segment_fds;
  bool flush_lies = false;
  RingFaults faults;
  bool device_failed = false;  // an error was given for a write, flush or reading back of this life
  // The end of a life as the disk sees it.
  void cut_power();
  void end_writes();  // only the program has ended

  // --- the ring (ring.cc)
  uint64_t submit(Operation operation);
  void cancel(const std::function<bool(const Operation&)>& wanted, io::Op op);
  void close(int fd, io::Op op);
  size_t turn(Duration timeout, std::span<io::Completion> into);
  void ignore_completion(io::Op op, int result);
  std::vector<uint16_t> free_buffers;
  std::byte* buffers = nullptr;
  size_t buffer_bytes = 0;
  // Somebody has written to the shard's eventfd.
  void wake() { woken_ = true; }
  WorldStats stats;

 private:
  void count_operation();
  void run_events();
  void look_at_wake();
  void complete(uint64_t id, int32_t result, uint32_t flags = 0);
  void perform(uint64_t id);
  void accept_waiting();
  void connect(uint64_t id);
  void try_receive(const ConnectionPointer& connection);
  void receive(uint64_t id);
  void send_on(uint64_t id);
  void read_segment(uint64_t id, const Operation& operation);
  void write_segment(uint64_t id, const Operation& operation);
  void flush_segment(uint64_t id, const Operation& operation);
  uint32_t segment_of(int fd) const;
  void fail_device();
  void shard_closes(const ConnectionPointer& connection);

  std::map<std::pair<int64_t, uint64_t>, std::function<void()>> events_;
  uint64_t event_number_ = 0;
  std::map<uint64_t, Operation> operations_;
  uint64_t operation_number_ = 0;
  uint64_t wake_operation_ = 0;
  bool woken_ = false;
  // In the order in which they came about; a lane is what must keep it: a connection.
  struct Ready {
    io::Completion completion;
    int lane;
  };
  void shuffle_ready();
  std::vector<Ready> ready_;
  std::map<int, ConnectionPointer> connections_;
  std::deque<ConnectionPointer> backlog_;  // not accepted yet
};

}  // namespace mx::sim
