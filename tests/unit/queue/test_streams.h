// tests/unit/queue/test_streams.h - a shard's three journals over one test disk.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/unit/queue/test_disk.h"

namespace mx::queue::test {

inline constexpr size_t rig_piece = 10'000;

struct Streams {
  explicit Streams(Disk& disk, uint64_t epoch = 77)
      : mail_disk(disk),
        bulk_disk(disk),
        cold_disk(disk),
        memory(static_cast<std::byte*>(std::aligned_alloc(block_bytes, size_t{6} * buffer_bytes))),
        recovered(recover(disk, disk.geometry)),
        pool(disk.geometry, 1, 5),
        index(1000, disk.geometry.segment_count),
        mail({.epoch = epoch, .largest_known_id = recovered.largest_id}, pool, mail_disk, index,
             buffer(0), buffer(1)),
        bulk({.stream = Stream::bulk, .epoch = epoch, .largest_known_id = recovered.largest_id},
             pool, bulk_disk, index, buffer(2), buffer(3)),
        cold({.stream = Stream::cold, .epoch = epoch, .largest_known_id = recovered.largest_id},
             pool, cold_disk, index, buffer(4), buffer(5)) {
    mail.use_bulk(bulk);
    mail.use_cold(cold);
    adopt(recovered, pool);
    for (const RecoveredMessage& message : recovered.messages) EXPECT_TRUE(mail.adopt(message));
  }
  ~Streams() { std::free(memory); }
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  struct Port final : Device {
    explicit Port(Disk& on) : disk(on) {}
    void write(uint32_t segment, uint32_t offset, Bytes data) override {
      disk.write(segment, offset, data);
      length = static_cast<int64_t>(data.size());
      pending = Disk::Pending::write;
    }
    void flush(uint32_t) override { pending = Disk::Pending::flush; }
    void read_back(uint32_t segment, uint32_t offset, MutableBytes into) override {
      length = disk.read(segment, offset, into);
      pending = Disk::Pending::read;
    }
    Disk& disk;
    Disk::Pending pending = Disk::Pending::none;
    int64_t length = 0;
  };
  MutableBytes buffer(size_t i) { return {memory + i * buffer_bytes, buffer_bytes}; }
  static bool complete(Port& port, Journal& journal, bool well = true) {
    return report(port, journal, well);
  }
  void settle_mail() {
    do mail.pump(now);
    while (complete(mail_disk, mail));
  }
  void settle() {
    bool more = true;
    while (more) {
      mail.pump(now);
      more = complete(mail_disk, mail);
      more = complete(bulk_disk, bulk) || more;
      more = complete(cold_disk, cold) || more;
    }
  }
  // A draft of a body of that many bytes, not committed.
  Draft begin_large(size_t bytes) {
    Draft draft;
    mail.begin(draft, wall);
    while (mail.append_chunk(draft, ChunkKind::header, as_bytes("R: x\r\n")) == Status::later)
      settle();
    const std::string piece(rig_piece, 'b');  // the first one stays in the mail stream
    for (size_t at = 0; at < bytes; at += piece.size()) {
      Status status = Status::later;
      while ((status = mail.append_chunk(draft, ChunkKind::body, as_bytes(piece))) == Status::later)
        settle();
      EXPECT_EQ(status, Status::ok);
    }
    return draft;
  }
  Status commit(Draft& draft) { return mail.commit(draft, 1, as_bytes("envelope"), 7); }
  bool acknowledged() {
    CommitResult result;
    return mail.next_result(result) && result.ok;
  }

  Port mail_disk, bulk_disk, cold_disk;
  std::byte* memory;
  Recovered recovered;
  SegmentPool pool;
  Index index;
  Journal mail, bulk, cold;
  Instant now{1'000'000};
  WallTime wall{1'790'000'000'000'000};
};

}  // namespace mx::queue::test
