// engine/io/ring.h - one io_uring of one thread: prepare operations, end the turn, reap
// completions.
//
// Set up for a single issuer with deferred task work (the kernel runs completions only when this
// thread enters with GETEVENTS, so turn() always does). Completions are copied out before any
// handler runs. A full submission queue is submitted and tried once more; operations are never
// lost. Memory given to an operation must stay valid until its completion, also when it was
// cancelled.
//
// Only the operations below are allowed on it, by restrictions that the kernel keeps: an attacker
// who could write submission entries could not open, unlink, splice or spawn by them.
//
// ring.cc, buffer_ring.cc and clock.cc are all that the turn of a loop asks of the kernel, and a
// library of their own: the simulator of a shard (tests/sim/world) has others in their place.
//
// Owner and threads: the thread that called create(); nothing here is shared. Fails: only create(),
// with the reason and the remedy in words (EPERM by sysctl or seccomp, ENOSYS, ENOMEM by memlock,
// missing flags). Cost: one system call a turn.
#pragma once

#include <liburing.h>
#include <netinet/in.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "engine/io/op.h"
#include "proto/base/bytes.h"
#include "proto/base/time.h"

namespace mx::io {

struct Completion {
  Op op;
  int32_t result;  // >= 0, or -errno
  uint32_t flags;  // IORING_CQE_F_*
};

struct RingOptions {
  uint32_t submission_entries = 1024;
  uint32_t completion_entries = 16'384;
};

struct RingStats {
  uint64_t turns = 0, completions = 0, submissions = 0, submission_queue_full = 0;
};

class Ring {
 public:
  static std::expected<Ring, std::string> create(const RingOptions& options = {});
  Ring(Ring&& other) noexcept;
  Ring& operator=(Ring&&) = delete;
  ~Ring();

  void accept(int fd, sockaddr* peer, socklen_t* peer_length, Op op);
  void connect(int fd, const sockaddr* peer, socklen_t length, Op op);
  void recv(int fd, MutableBytes into, Op op);
  // Receives into a buffer of the group; the completion's flags name it. `wait_first`: do not try
  // at once, the peer can have sent nothing yet (saves a wasted attempt).
  void recv_select(int fd, uint16_t group, bool wait_first, Op op);
  void send(int fd, Bytes bytes, Op op);  // completes only when all is sent, or on error
  void sendmsg(int fd, const msghdr* message, Op op);  // likewise
  void read(int fd, MutableBytes into, uint64_t offset, Op op);
  // dsync: complete only when durable (RWF_DSYNC).
  void write(int fd, Bytes bytes, uint64_t offset, Op op, bool dsync = false);
  void fdatasync(int fd, Op op);
  void poll_readable(int fd, Op op);
  void cancel(Op target, Op op);
  void cancel_fd(int fd, Op op);  // everything in flight on this descriptor
  void close(int fd, Op op);

  // Ends the turn: submits all that was prepared, waits up to `timeout` for a completion (zero:
  // does not wait), and copies at most into.size() completions out. Returns their number.
  size_t turn(Duration timeout, std::span<Completion> into);

  struct Kernel;  // an io_uring, or what a simulator has for it
  const std::shared_ptr<Kernel>& kernel() const { return kernel_; }
  const RingStats& stats() const { return stats_; }

 private:
  Ring();

  std::shared_ptr<Kernel> kernel_;
  RingStats stats_;
};

// What the running kernel offers to us, probed, never guessed from its version. Empty when all that
// is needed is there, else what is missing and the remedy.
std::string missing_ring_features();

}  // namespace mx::io
