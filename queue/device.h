// queue/device.h - what the journal asks of storage. The owner of a journal implements Device over
// its ring and reports each completion with Journal::on_write(), on_flush() and on_read_back();
// tools and recovery use the blocking SegmentReader. Segments are named by number only: file names
// and descriptors are the owner's.
//
// Owner's duties: the files exist in full length with every block written (no extent is allocated
// under a batch), file and directory are synced before anything read from them is believed, and a
// segment file appears under its name only when it is whole (written under another name, synced,
// renamed, directory synced).
#pragma once

#include <cstdint>

#include "proto/base/bytes.h"

namespace mx::queue {

// One journal has at most one operation under way. A completion may be reported from inside the
// call.
class Device {
 public:
  // `data` is aligned to 4 KiB in memory, offset and length are multiples of 4 KiB; it stays valid
  // and unchanged until on_write(). The result to report: bytes written, or a negative errno. A
  // short write is reported as it is, never continued.
  virtual void write(uint32_t segment, uint32_t offset, Bytes data) = 0;
  // Makes everything written to the segment durable (fdatasync). Result: 0 or a negative errno.
  virtual void flush(uint32_t segment) = 0;
  // Reads back what a flush made durable, past any cache of ours; `into` is aligned and stays valid
  // until on_read_back(). The result: bytes read, or a negative errno.
  virtual void read_back(uint32_t segment, uint32_t offset, MutableBytes into) = 0;

 protected:
  ~Device() = default;
};

class SegmentReader {
 public:
  // Fills `into` from the offset on: the number of bytes read (short only at the end of the file, 0
  // when there is no such file), or a negative errno. Offset and length are multiples of 4 KiB.
  virtual int64_t read(uint32_t segment, uint32_t offset, MutableBytes into) = 0;

 protected:
  ~SegmentReader() = default;
};

}  // namespace mx::queue
