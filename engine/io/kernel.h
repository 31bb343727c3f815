// engine/io/kernel.h - the io_uring inside a Ring. Private to ring.cc and buffer_ring.cc.
#pragma once

#include <liburing.h>

#include "engine/io/ring.h"

namespace mx::io {

struct Ring::Kernel {
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  ~Kernel() {
    if (open) io_uring_queue_exit(&ring);
  }

  io_uring ring{};
  bool open = false;
};

}  // namespace mx::io
