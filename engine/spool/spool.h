// engine/spool/spool.h - a shard's journal on its ring: performs the journal's writes and flushes,
// holds the body memory, and keeps just accepted messages in it for immediate delivery.
//
// Beside new mail it moves what has lived long out of segments that are mostly dead
// (queue/compaction.h), at low priority.
//
// Life of a body: received into blocks → copied into the journal's batch → flushed → (250) → sent
// from the same blocks → blocks back. A message whose blocks are gone is read back from the
// journal.
//
// Owner and threads: one shard. Fails: a device error fails the journal for good (queue/journal.h);
// this raises the alarm `journal`, and until a restart nothing is accepted; delivery goes on only
// while marks become durable elsewhere.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "engine/io/crash_point.h"
#include "engine/io/loop.h"
#include "engine/io/slot_pool.h"
#include "engine/observe/alarms.h"
#include "engine/observe/counters.h"
#include "engine/observe/log.h"
#include "engine/spool/block_pool.h"
#include "engine/spool/flush_group.h"
#include "engine/spool/message.h"
#include "engine/spool/segment_files.h"
#include "queue/compaction.h"
#include "queue/index.h"
#include "queue/journal.h"

namespace mx::spool {

// Completion kinds of this folder.
inline constexpr uint8_t op_journal_write = 48;
inline constexpr uint8_t op_journal_flush = 49;
inline constexpr uint8_t op_bulk_write = 50;
inline constexpr uint8_t op_bulk_flush = 51;
inline constexpr uint8_t op_group_flush = 52;  // for all shards
inline constexpr uint8_t op_cold_write = 53;
inline constexpr uint8_t op_cold_flush = 54;
inline constexpr uint8_t op_compaction_read = 55;
inline constexpr uint8_t op_journal_read = 56;
inline constexpr uint8_t op_bulk_read = 57;
inline constexpr uint8_t op_cold_read = 58;
constexpr bool is_read_back(uint8_t kind) {
  return kind >= op_journal_read && kind <= op_cold_read;
}
constexpr bool is_spool_op(uint8_t kind) {
  return kind / 16 == 3;
}

// Slots that only messages read back for delivery may use: one for each backend connection of a
// shard.
inline constexpr uint32_t messages_for_reading = 4096;

struct SpoolSettings {
  queue::JournalSettings journal;
  uint32_t batch_bytes = 1U << 20;  // each of two a stream; the cold one's are seldom touched
  uint64_t body_memory_bytes = 64ULL << 20;
  uint32_t index_capacity = 1'000'000;  // unfinished messages of the shard
  bool dsync = false;                   // each write is durable by itself (sync_probe.h)
  FlushGroup* flushes = nullptr;        // the shards' journals flush together
  std::function<void()> wake;  // … and this makes the shard call take_flushes(); any thread
};

class Spool {
 public:
  Spool(const SpoolSettings& settings, io::Loop& loop, const SegmentFiles& files,
        queue::SegmentPool& pool, observe::LogStream& log, observe::Alarms& alarms,
        observe::Counters& counters);
  ~Spool();

  queue::Journal& journal() { return *journal_; }
  queue::Index& index() { return index_; }
  queue::SegmentPool& pool() { return pool_; }
  BlockPool& blocks() { return blocks_; }
  io::SlotPool<Message>& messages() { return messages_; }
  const SegmentFiles& files() const { return files_; }

  // The kernel has a write, flush or read of ours.
  bool busy() const {
    return journal_->busy() || bulk_->busy() || cold_->busy() || group_flush_ ||
           compaction_->reading();
  }
  void on_completion(const io::Completion& completion);
  // A flush that another shard made may be ours as well.
  void take_flushes();
  // End of turn: starts what the journal has to write, and what compaction has to read.
  void pump();
  // When pump() has something to do though nothing else happens.
  std::optional<Instant> deadline() const;
  // Who reads messages back from the journal; before the first pump().
  void use_readers(queue::Readers& readers);
  // For an orderly end.
  void begin_shutdown() { compaction_->stop(); }
  // True once after something was given back that sessions may wait for: a flush is done or blocks
  // are free.
  bool take_room_signal() { return std::exchange(room_, false); }
  void blocks_freed() { room_ = true; }
  // Drops a message from memory (its blocks come back); the journal still has it.
  void forget(uint32_t message_slot);

 private:
  // A stream's way to the ring.
  struct Port final : queue::Device {
    Port(Spool& of, uint8_t write_kind, uint8_t flush_kind, uint8_t read_kind)
        : spool(of), write_op(write_kind), flush_op(flush_kind), read_op(read_kind) {}
    void write(uint32_t segment, uint32_t offset, Bytes data) override;
    void flush(uint32_t segment) override;
    void read_back(uint32_t segment, uint32_t offset, MutableBytes into) override;
    void flushed(int result);
    void pass_crash_point(uint8_t steps);
    Spool& spool;
    uint8_t write_op, flush_op, read_op;
    queue::Journal* journal = nullptr;
    std::optional<FlushGroup::Member> member;
    io::CrashPoint writing = io::CrashPoint::none;  // what is under way; only when one is armed
  };
  void report_failure();
  void start_group_flush(int fd);
  void compact();

  io::Loop& loop_;
  const SegmentFiles& files_;
  queue::SegmentPool& pool_;
  observe::LogStream& log_;
  observe::Alarms& alarms_;
  observe::Counters& counters_;
  bool dsync_;
  FlushGroup* flushes_;
  BlockPool blocks_;
  io::SlotPool<Message> messages_;
  queue::Index index_;
  std::byte* batch_memory_;
  Port mail_port_{*this, op_journal_write, op_journal_flush, op_journal_read};
  Port bulk_port_{*this, op_bulk_write, op_bulk_flush, op_bulk_read};
  Port cold_port_{*this, op_cold_write, op_cold_flush, op_cold_read};
  std::unique_ptr<queue::Journal> bulk_;
  std::unique_ptr<queue::Journal> cold_;
  std::unique_ptr<queue::Journal> journal_;
  std::unique_ptr<queue::Compaction> compaction_;
  bool room_ = false;
  bool group_flush_ = false;  // one of all shards' is under way on our ring
  queue::Health reported_ = queue::Health::well;
};

}  // namespace mx::spool
