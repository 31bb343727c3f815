#include "engine/io/ring.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/io/clock.h"
#include "engine/io/kernel.h"
#include "proto/base/assert.h"

namespace mx::io {
namespace {

constexpr unsigned ring_flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                                IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;

// The kernel gives back the locked memory of a process that was killed a moment after its end.
constexpr Duration memory_patience = seconds(3);

struct Operation {
  uint8_t opcode;
  const char* name;
};
// What the functions of Ring issue; the kernel refuses all else on a ring of ours (EACCES).
constexpr std::array operations{
    Operation{IORING_OP_ACCEPT, "accept"},      Operation{IORING_OP_CONNECT, "connect"},
    Operation{IORING_OP_RECV, "recv"},          Operation{IORING_OP_SEND, "send"},
    Operation{IORING_OP_SENDMSG, "sendmsg"},    Operation{IORING_OP_READ, "read"},
    Operation{IORING_OP_WRITE, "write"},        Operation{IORING_OP_FSYNC, "fsync"},
    Operation{IORING_OP_POLL_ADD, "poll"},      Operation{IORING_OP_CLOSE, "close"},
    Operation{IORING_OP_ASYNC_CANCEL, "cancel"}};
// Buffer rings, the ring's own descriptor, and the probe at start. No files, no buffers to be
// pinned, no personalities, no worker settings.
constexpr std::array registrations{IORING_REGISTER_PROBE, IORING_REGISTER_PBUF_RING,
                                   IORING_UNREGISTER_PBUF_RING, IORING_REGISTER_RING_FDS,
                                   IORING_UNREGISTER_RING_FDS};

std::string describe_setup_error(int error) {
  switch (error) {
    case ENOSYS:
      return "io_uring is not available (ENOSYS): the kernel is older than 5.1 or built without "
             "it, or a "
             "sandbox such as gVisor hides it. ringmx needs Linux 6.1 or later";
    case EPERM:
      return "io_uring is not permitted (EPERM): set `sysctl kernel.io_uring_disabled=0`, or allow "
             "io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp "
             "profile "
             "(Docker: --security-opt seccomp=unconfined or a profile with these three)";
    case ENOMEM:
      return "no memory for an io_uring (ENOMEM): raise the memlock limit (`ulimit -l`, systemd: "
             "LimitMEMLOCK=infinity) or the memory limit of the control group";
    case EMFILE:
    case ENFILE:
      return "no file descriptor for an io_uring: raise `ulimit -n` (systemd: LimitNOFILE=)";
    case EINVAL:
      return "this kernel does not know the io_uring flags that ringmx needs (SINGLE_ISSUER, "
             "DEFER_TASKRUN; EINVAL): Linux 6.1 or later is needed";
    default:
      return std::string("io_uring_setup: ") + std::strerror(error);
  }
}

// A ring is made disabled, so that the restrictions hold before its first operation. 0 or -errno.
int restrict_and_enable(io_uring& ring) {
  std::array<io_uring_restriction, operations.size() + registrations.size() + 1> rules{};
  size_t count = 0;
  for (const Operation& operation : operations) {
    rules[count].opcode = IORING_RESTRICTION_SQE_OP;
    rules[count++].sqe_op = operation.opcode;
  }
  for (const auto registration : registrations) {
    rules[count].opcode = IORING_RESTRICTION_REGISTER_OP;
    rules[count++].register_op = static_cast<uint8_t>(registration);
  }
  rules[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  rules[count++].sqe_flags = IOSQE_BUFFER_SELECT;
  // Not by liburing's functions: Debian 12's library does not export them.
  const auto call = [&](unsigned what, const void* argument, size_t size) {
    return ::syscall(SYS_io_uring_register, ring.ring_fd, what, argument, size) < 0 ? -errno : 0;
  };
  const int error = call(IORING_REGISTER_RESTRICTIONS, rules.data(), count);
  return error != 0 ? error : call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
}

io_uring_sqe* entry_of(io_uring& ring, RingStats& stats, Op op) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring);
  if (!entry) {
    ++stats.submission_queue_full;
    io_uring_submit(&ring);
    entry = io_uring_get_sqe(&ring);
    MX_ASSERT(entry != nullptr);
  }
  ++stats.submissions;
  // The prep helpers leave user_data alone (liburing 2.3 clears it): it is set again after them.
  entry->user_data = op.pack();
  return entry;
}

size_t reap(io_uring& ring, RingStats& stats, std::span<Completion> into) {
  size_t count = 0;
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring, head, cqe) {
    if (count == into.size()) break;
    into[count++] = {Op::unpack(cqe->user_data), cqe->res, cqe->flags};
  }
  io_uring_cq_advance(&ring, static_cast<unsigned>(count));
  stats.completions += count;
  return count;
}

}  // namespace

std::expected<Ring, std::string> Ring::create(const RingOptions& options) {
  Ring made;
  io_uring& ring = made.kernel_->ring;
  io_uring_params params{};
  params.flags = ring_flags;
  params.cq_entries = options.completion_entries;
  int error = 0;
  for (const Instant until = now() + memory_patience;; ::usleep(50'000)) {
    error = io_uring_queue_init_params(options.submission_entries, &ring, &params);
    if (error != -ENOMEM || now() >= until) break;
  }
  if (error < 0) return std::unexpected(describe_setup_error(-error));
  made.kernel_->open = true;
  if (const int refused = restrict_and_enable(ring); refused < 0)
    return std::unexpected(std::string("io_uring restrictions: ") + std::strerror(-refused) +
                           ": Linux 6.1 or later is needed");
  io_uring_register_ring_fd(&ring);  // saves a descriptor look-up a turn; optional
  return made;
}

Ring::Ring() : kernel_(std::make_shared<Kernel>()) {}
Ring::Ring(Ring&& other) noexcept = default;
Ring::~Ring() = default;

void Ring::accept(int fd, sockaddr* peer, socklen_t* peer_length, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_accept(entry, fd, peer, peer_length, SOCK_CLOEXEC);
  entry->user_data = op.pack();
}

void Ring::connect(int fd, const sockaddr* peer, socklen_t length, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_connect(entry, fd, peer, length);
  entry->user_data = op.pack();
}

void Ring::recv(int fd, MutableBytes into, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_recv(entry, fd, into.data(), into.size(), 0);
  entry->user_data = op.pack();
}

void Ring::recv_select(int fd, uint16_t group, bool wait_first, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_recv(entry, fd, nullptr, 0, 0);
  entry->user_data = op.pack();
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = group;
  if (wait_first) entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

void Ring::send(int fd, Bytes bytes, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_send(entry, fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_WAITALL);
  entry->user_data = op.pack();
}

void Ring::sendmsg(int fd, const msghdr* message, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_sendmsg(entry, fd, message, MSG_NOSIGNAL | MSG_WAITALL);
  entry->user_data = op.pack();
}

void Ring::read(int fd, MutableBytes into, uint64_t offset, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_read(entry, fd, into.data(), static_cast<unsigned>(into.size()), offset);
  entry->user_data = op.pack();
}

void Ring::write(int fd, Bytes bytes, uint64_t offset, Op op, bool dsync) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_write(entry, fd, bytes.data(), static_cast<unsigned>(bytes.size()), offset);
  if (dsync) entry->rw_flags = RWF_DSYNC;
  entry->user_data = op.pack();
}

void Ring::fdatasync(int fd, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
  entry->user_data = op.pack();
}

void Ring::poll_readable(int fd, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_poll_add(entry, fd, POLLIN);
  entry->user_data = op.pack();
}

void Ring::cancel(Op target, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_cancel64(entry, target.pack(), 0);
  entry->user_data = op.pack();
}

void Ring::cancel_fd(int fd, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_cancel_fd(entry, fd, IORING_ASYNC_CANCEL_ALL);
  entry->user_data = op.pack();
}

void Ring::close(int fd, Op op) {
  io_uring_sqe* entry = entry_of(kernel_->ring, stats_, op);
  io_uring_prep_close(entry, fd);
  entry->user_data = op.pack();
}

size_t Ring::turn(Duration timeout, std::span<Completion> into) {
  io_uring& ring = kernel_->ring;
  ++stats_.turns;
  int error = 0;
  if (timeout.us <= 0) {
    error = io_uring_submit_and_get_events(&ring);
  } else {
    __kernel_timespec ts{timeout.us / 1'000'000, (timeout.us % 1'000'000) * 1000};
    io_uring_cqe* first = nullptr;
    error = io_uring_submit_and_wait_timeout(&ring, &first, 1, &ts, nullptr);
  }
  // EBUSY and EAGAIN: completions must be reaped first; what was prepared is submitted by the next
  // turn.
  MX_ASSERT(error >= 0 || error == -ETIME || error == -EINTR || error == -EBUSY ||
            error == -EAGAIN);
  return reap(ring, stats_, into);
}

std::string missing_ring_features() {
  std::expected<Ring, std::string> ring = Ring::create({8, 16});
  if (!ring) return ring.error();
  io_uring_probe* probe = io_uring_get_probe_ring(&ring->kernel()->ring);
  if (!probe)
    return "io_uring: the operations of this kernel cannot be probed: Linux 6.1 or later is needed";
  std::string missing;
  for (const Operation& op : operations)
    if (!io_uring_opcode_supported(probe, op.opcode)) missing += std::string(" ") + op.name;
  io_uring_free_probe(probe);
  if (missing.empty()) return "";
  return "io_uring: this kernel lacks the operations" + missing + ": Linux 6.1 or later is needed";
}

}  // namespace mx::io
