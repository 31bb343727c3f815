#include "engine/io/buffer_ring.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/io/kernel.h"
#include "proto/base/assert.h"

namespace mx::io {
namespace {

void* map_pages(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

uint16_t buffer_id(const Completion& completion) {
  MX_ASSERT(completion.flags & IORING_CQE_F_BUFFER);
  return static_cast<uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
}

}  // namespace

std::expected<BufferRing, std::string> BufferRing::create(Ring& ring, uint16_t group,
                                                          uint32_t count, uint32_t buffer_bytes) {
  MX_ASSERT(count > 0 && count <= 32'768 && (count & (count - 1)) == 0);
  BufferRing made;
  made.group_ = group;
  made.count_ = count;
  made.buffer_bytes_ = buffer_bytes;
  made.entries_ = static_cast<io_uring_buf_ring*>(map_pages(count * sizeof(io_uring_buf)));
  made.memory_ = static_cast<std::byte*>(map_pages(size_t{count} * buffer_bytes));
  if (!made.entries_ || !made.memory_) return std::unexpected("no memory for receive buffers");
  io_uring_buf_reg reg{};
  reg.ring_addr = reinterpret_cast<uint64_t>(made.entries_);
  reg.ring_entries = count;
  reg.bgid = group;
  const int error = io_uring_register_buf_ring(&ring.kernel()->ring, &reg, 0);
  if (error < 0)
    return std::unexpected(std::string("registering receive buffers: ") + std::strerror(-error) +
                           " (provided buffer rings need Linux 5.19)");
  made.kernel_ = ring.kernel();
  io_uring_buf_ring_init(made.entries_);
  for (uint32_t i = 0; i < count; ++i)
    io_uring_buf_ring_add(made.entries_, made.at(static_cast<uint16_t>(i)), buffer_bytes,
                          static_cast<uint16_t>(i), io_uring_buf_ring_mask(count),
                          static_cast<int>(i));
  io_uring_buf_ring_advance(made.entries_, static_cast<int>(count));
  made.free_ = count;
  return made;
}

BufferRing::BufferRing(BufferRing&& other) noexcept
    : kernel_(std::move(other.kernel_)),
      entries_(std::exchange(other.entries_, nullptr)),
      memory_(std::exchange(other.memory_, nullptr)),
      count_(other.count_),
      buffer_bytes_(other.buffer_bytes_),
      free_(other.free_),
      pending_(other.pending_),
      group_(other.group_) {}

BufferRing::~BufferRing() {
  if (kernel_) io_uring_unregister_buf_ring(&kernel_->ring, group_);
  if (entries_) ::munmap(entries_, count_ * sizeof(io_uring_buf));
  if (memory_) ::munmap(memory_, size_t{count_} * buffer_bytes_);
}

Bytes BufferRing::received(const Completion& completion) {
  MX_ASSERT(completion.result >= 0 && free_ > 0);
  --free_;
  return {at(buffer_id(completion)), static_cast<size_t>(completion.result)};
}

void BufferRing::release(const Completion& completion) {
  const uint16_t id = buffer_id(completion);
  io_uring_buf_ring_add(entries_, at(id), buffer_bytes_, id, io_uring_buf_ring_mask(count_),
                        pending_++);
  ++free_;
}

void BufferRing::publish() {
  if (pending_ == 0) return;
  io_uring_buf_ring_advance(entries_, pending_);
  pending_ = 0;
}

}  // namespace mx::io
