// Ring, BufferRing and clock of engine/io over the simulated world; links in the place of
// mx_kernel.

#include "engine/io/ring.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/io/buffer_ring.h"
#include "engine/io/clock.h"
#include "proto/base/assert.h"
#include "tests/sim/world/world.h"

namespace mx::io {

using sim::Operation;
using sim::World;

struct Ring::Kernel {
  World& world = World::current();
  std::vector<uint16_t> released;
};

std::expected<Ring, std::string> Ring::create(const RingOptions&) {
  return Ring();
}
Ring::Ring() : kernel_(std::make_shared<Kernel>()) {}
Ring::Ring(Ring&& other) noexcept = default;
Ring::~Ring() = default;

void Ring::accept(int fd, sockaddr* peer, socklen_t* peer_length, Op op) {
  Operation operation{.kind = Operation::Kind::accept, .fd = fd, .op = op};
  operation.address = peer;
  operation.address_length = peer_length;
  kernel_->world.submit(std::move(operation));
}

void Ring::connect(int fd, const sockaddr* peer, socklen_t, Op op) {
  Operation operation{.kind = Operation::Kind::connect, .fd = fd, .op = op};
  operation.address = const_cast<sockaddr*>(peer);
  kernel_->world.submit(std::move(operation));
}

void Ring::recv(int fd, MutableBytes into, Op op) {
  Operation operation{.kind = Operation::Kind::receive, .fd = fd, .op = op};
  operation.into = into.data();
  operation.size = into.size();
  kernel_->world.submit(std::move(operation));
}

void Ring::recv_select(int fd, uint16_t, bool, Op op) {
  Operation operation{.kind = Operation::Kind::receive, .fd = fd, .op = op};
  operation.select = true;
  kernel_->world.submit(std::move(operation));
}

void Ring::send(int fd, Bytes bytes, Op op) {
  Operation operation{.kind = Operation::Kind::send, .fd = fd, .op = op};
  operation.pieces = {{const_cast<std::byte*>(bytes.data()), bytes.size()}};
  kernel_->world.submit(std::move(operation));
}

void Ring::sendmsg(int fd, const msghdr* message, Op op) {
  Operation operation{.kind = Operation::Kind::send, .fd = fd, .op = op};
  operation.pieces.assign(message->msg_iov, message->msg_iov + message->msg_iovlen);
  kernel_->world.submit(std::move(operation));
}

// Of a segment, or of the eventfd that wakes the shard.
void Ring::read(int fd, MutableBytes into, uint64_t offset, Op op) {
  const auto& segments = kernel_->world.segment_fds;
  const bool is_segment = std::find(segments.begin(), segments.end(), fd) != segments.end();
  Operation operation{
      .kind = is_segment ? Operation::Kind::read : Operation::Kind::wake, .fd = fd, .op = op};
  operation.into = into.data();
  operation.size = into.size();
  operation.offset = offset;
  kernel_->world.submit(std::move(operation));
}

void Ring::write(int fd, Bytes bytes, uint64_t offset, Op op, bool dsync) {
  Operation operation{.kind = Operation::Kind::write, .fd = fd, .op = op};
  operation.into = const_cast<std::byte*>(bytes.data());
  operation.size = bytes.size();
  operation.offset = offset;
  operation.dsync = dsync;
  operation.copy.assign(as_text(bytes));
  kernel_->world.submit(std::move(operation));
}

void Ring::fdatasync(int fd, Op op) {
  kernel_->world.submit({.kind = Operation::Kind::flush, .fd = fd, .op = op});
}

void Ring::poll_readable(int, Op) {
  MX_ASSERT(false);  // no shard does
}

void Ring::cancel(Op target, Op op) {
  kernel_->world.cancel([&](const Operation& each) { return each.op.pack() == target.pack(); }, op);
}

void Ring::cancel_fd(int fd, Op op) {
  kernel_->world.cancel([&](const Operation& each) { return each.fd == fd; }, op);
}

void Ring::close(int fd, Op op) {
  kernel_->world.close(fd, op);
}

size_t Ring::turn(Duration timeout, std::span<Completion> into) {
  ++stats_.turns;
  const size_t count = kernel_->world.turn(timeout, into);
  stats_.completions += count;
  return count;
}

std::string missing_ring_features() {
  return "";
}

std::expected<BufferRing, std::string> BufferRing::create(Ring& ring, uint16_t group,
                                                          uint32_t count, uint32_t buffer_bytes) {
  BufferRing made;
  World& world = World::current();
  made.kernel_ = ring.kernel();
  made.group_ = group;
  made.count_ = made.free_ = count;
  made.buffer_bytes_ = buffer_bytes;
  void* const memory = ::mmap(nullptr, size_t{count} * buffer_bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  MX_ASSERT(memory != MAP_FAILED);
  made.memory_ = static_cast<std::byte*>(memory);
  world.buffers = made.memory_;
  world.buffer_bytes = buffer_bytes;
  world.free_buffers.clear();
  for (uint32_t i = 0; i < std::min(count, world.faults.buffers); ++i)
    world.free_buffers.push_back(static_cast<uint16_t>(i));
  return made;
}

BufferRing::BufferRing(BufferRing&& other) noexcept
    : kernel_(std::move(other.kernel_)),
      memory_(std::exchange(other.memory_, nullptr)),
      count_(other.count_),
      buffer_bytes_(other.buffer_bytes_),
      free_(other.free_),
      group_(other.group_) {}

BufferRing::~BufferRing() {
  if (memory_ != nullptr) ::munmap(memory_, size_t{count_} * buffer_bytes_);
}

Bytes BufferRing::received(const Completion& completion) {
  MX_ASSERT(completion.flags & IORING_CQE_F_BUFFER);
  --free_;
  return {at(static_cast<uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT)),
          static_cast<size_t>(completion.result)};
}

// What the code still looks at after this is not what it was.
void BufferRing::release(const Completion& completion) {
  const auto id = static_cast<uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
  std::memset(at(id), 0xA5, buffer_bytes_);
  kernel_->released.push_back(id);
  ++free_;
}

void BufferRing::publish() {
  auto& free = kernel_->world.free_buffers;
  free.insert(free.end(), kernel_->released.begin(), kernel_->released.end());
  kernel_->released.clear();
}

Instant now() {
  return World::current().now;
}

WallTime wall_now() {
  const World& world = World::current();
  return {world.now.us + world.wall_offset.us};
}

}  // namespace mx::io
