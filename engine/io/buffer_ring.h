// engine/io/buffer_ring.h - receive buffers that the kernel picks from (io_uring provided buffer
// ring, 5.19).
//
// An idle connection pins no buffer: one is taken only when bytes have arrived. When none is left
// the receive completes with ENOBUFS; that is back-pressure, not an error: the owner parks the
// connection and receives again when buffers have come back (half_free()).
//
// Owner and threads: one ring, one thread. Limits: count is a power of two, at most 32,768.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "engine/io/ring.h"
#include "proto/base/bytes.h"

namespace mx::io {

class BufferRing {
 public:
  static std::expected<BufferRing, std::string> create(Ring& ring, uint16_t group, uint32_t count,
                                                       uint32_t buffer_bytes);
  BufferRing(BufferRing&& other) noexcept;
  BufferRing& operator=(BufferRing&&) = delete;
  ~BufferRing();

  uint16_t group() const { return group_; }
  // The buffer that a completion brought: result bytes in the buffer named by flags. The caller
  // gives it back with release() in the same turn.
  Bytes received(const Completion& completion);
  void release(const Completion& completion);
  // A completion with a buffer but without bytes in it.
  void drop(const Completion& completion) {
    --free_;
    release(completion);
  }
  // Makes released buffers visible to the kernel: once a turn.
  void publish();
  bool half_free() const { return free_ * 2 >= count_; }
  uint32_t free() const { return free_; }

 private:
  BufferRing() = default;
  std::byte* at(uint16_t id) const { return memory_ + size_t{id} * buffer_bytes_; }

  std::shared_ptr<Ring::Kernel> kernel_;  // which stays until the last of both has gone
  io_uring_buf_ring* entries_ = nullptr;
  std::byte* memory_ = nullptr;
  uint32_t count_ = 0, buffer_bytes_ = 0, free_ = 0;
  int pending_ = 0;
  uint16_t group_ = 0;
};

}  // namespace mx::io
