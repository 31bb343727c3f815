#include "engine/spool/spool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "proto/base/assert.h"
#include "proto/base/endian.h"

namespace mx::spool {
namespace {

// A larger write takes long enough for others' flush to go ahead without it.
constexpr size_t waited_for_bytes_max = 256U << 10;

// The crash point at which this write of a journal is submitted; those of its completion and of its
// flush follow it. A batch with marks is one of each kind: it counts as what is armed.
io::CrashPoint crash_point_of(uint32_t segment, uint32_t offset, Bytes data) {
  using enum io::CrashPoint;
  if (offset == queue::grave_offset) return grave_submitted;
  if (offset == queue::header_offset)
    return queue::read_grave(data, segment) ? grave_flushed : header_submitted;
  const io::CrashPoint armed = io::armed_crash_point();
  const bool wants_marks = armed >= marks_submitted && armed <= marks_flushed;
  size_t at = 0;
  while (at + queue::record_header_bytes <= data.size()) {
    const auto type = static_cast<queue::RecordType>(data[at + 8]);
    if (type == queue::RecordType::footer) return footer_submitted;
    const bool mark = type == queue::RecordType::done || type == queue::RecordType::state;
    if (mark && wants_marks) return marks_submitted;
    at += queue::record_bytes(load_le<uint32_t>(data.data() + at + 4));
  }
  return batch_submitted;
}

}  // namespace

Spool::Spool(const SpoolSettings& settings, io::Loop& loop, const SegmentFiles& files,
             queue::SegmentPool& pool, observe::LogStream& log, observe::Alarms& alarms,
             observe::Counters& counters)
    : loop_(loop),
      files_(files),
      pool_(pool),
      log_(log),
      alarms_(alarms),
      counters_(counters),
      dsync_(settings.dsync),
      flushes_(settings.flushes),
      blocks_(settings.body_memory_bytes),
      messages_(blocks_.count() + messages_for_reading),
      index_(settings.index_capacity, pool.geometry().segment_count),
      batch_memory_(static_cast<std::byte*>(
          std::aligned_alloc(queue::block_bytes, size_t{settings.batch_bytes} * 6))) {
  MX_ASSERT(batch_memory_ != nullptr);
  const auto buffer = [&](size_t i) {
    return MutableBytes{batch_memory_ + i * settings.batch_bytes, settings.batch_bytes};
  };
  journal_ = std::make_unique<queue::Journal>(settings.journal, pool, mail_port_, index_, buffer(0),
                                              buffer(1));
  queue::JournalSettings bulk = settings.journal;
  bulk.stream = queue::Stream::bulk;
  bulk_ = std::make_unique<queue::Journal>(bulk, pool, bulk_port_, index_, buffer(2), buffer(3));
  journal_->use_bulk(*bulk_);
  queue::JournalSettings cold = settings.journal;
  cold.stream = queue::Stream::cold;
  cold_ = std::make_unique<queue::Journal>(cold, pool, cold_port_, index_, buffer(4), buffer(5));
  journal_->use_cold(*cold_);
  MX_ASSERT(journal_->chunk_bytes_max() >= limits::body_block_bytes);
  mail_port_.journal = journal_.get();
  bulk_port_.journal = bulk_.get();
  cold_port_.journal = cold_.get();
  compaction_ = std::make_unique<queue::Compaction>(
      queue::CompactionSettings{.shard = settings.journal.shard}, *journal_, pool, index_);
  if (flushes_ == nullptr) return;
  // The cold stream flushes by itself: mail must not wait for its writes.
  for (Port* port : {&mail_port_, &bulk_port_}) port->member.emplace(*flushes_, settings.wake);
}

Spool::~Spool() {
  compaction_.reset();
  journal_.reset();
  bulk_.reset();
  cold_.reset();
  std::free(batch_memory_);
}

void Spool::Port::write(uint32_t segment, uint32_t offset, Bytes data) {
  spool.counters_.journal_batches.add();
  spool.counters_.journal_bytes.add(data.size());
  if (member && !journal->failed() && data.size() <= waited_for_bytes_max)
    spool.flushes_->begin_write(*member);
  spool.loop_.ring.write(spool.files_.fd(segment), data, offset, {write_op, 0, segment},
                         spool.dsync_);
  if (io::armed_crash_point() != io::CrashPoint::none) [[unlikely]] {
    writing = crash_point_of(segment, offset, data);
    pass_crash_point(0);
  }
}

// `steps` after the submission of the present write.
void Spool::Port::pass_crash_point(uint8_t steps) {
  if (writing == io::CrashPoint::none) return;
  io::crash_point(static_cast<io::CrashPoint>(static_cast<uint8_t>(writing) + steps),
                  spool.loop_.ring);
}

void Spool::Port::flush(uint32_t segment) {
  if (spool.dsync_) {  // the write was one
    flushed(0);
    return;
  }
  if (member && !journal->failed()) {
    spool.start_group_flush(spool.flushes_->request(*member, spool.files_.fd(segment)));
    return;
  }
  spool.counters_.journal_flushes.add();
  spool.loop_.ring.fdatasync(spool.files_.fd(segment), {flush_op, 0, segment});
}

void Spool::Port::read_back(uint32_t segment, uint32_t offset, MutableBytes into) {
  spool.loop_.ring.read(spool.files_.fd(segment), into, offset, {read_op, 0, segment});
}

void Spool::Port::flushed(int result) {
  const io::CrashPoint before = writing;
  journal->on_flush(result);
  if (writing == before) pass_crash_point(2);  // else a write that follows has passed it
  spool.room_ = true;
}

void Spool::start_group_flush(int fd) {
  if (fd == FlushGroup::nothing) return;
  MX_ASSERT(!group_flush_);
  group_flush_ = true;
  counters_.journal_flushes.add();
  loop_.ring.fdatasync(fd, {op_group_flush, 0, 0});
}

void Spool::take_flushes() {
  for (Port* port : {&mail_port_, &bulk_port_})
    if (port->member)
      if (const std::optional<int> result = flushes_->take(*port->member)) port->flushed(*result);
}

void Spool::on_completion(const io::Completion& completion) {
  const uint8_t kind = completion.op.kind;
  if (kind == op_group_flush) {
    group_flush_ = false;
    flushes_->flushed(completion.result);
    return take_flushes();
  }
  if (kind == op_compaction_read) return compaction_->on_read(completion.result);
  const auto is_of = [&](const Port& port) {
    return kind == port.write_op || kind == port.flush_op || kind == port.read_op;
  };
  Port& port = is_of(bulk_port_) ? bulk_port_ : is_of(cold_port_) ? cold_port_ : mail_port_;
  if (kind == port.flush_op) return port.flushed(completion.result);
  if (kind == port.read_op) {
    port.journal->on_read_back(completion.result);
    room_ = true;
    return;
  }
  MX_ASSERT(kind == port.write_op);
  port.pass_crash_point(1);
  port.journal->on_write(completion.result);
  if (port.member) start_group_flush(flushes_->end_write(*port.member));  // it needed no flush
  if (port.journal->failed()) room_ = true;
}

// Once for each state of it.
void Spool::report_failure() {
  const queue::Health health = journal_->health();
  if (health == queue::Health::well || std::exchange(reported_, health) == health) return;
  const char* const so_far = health == queue::Health::stopped ? "nothing is accepted or delivered"
                             : health == queue::Health::marks_only
                                 ? "nothing is accepted, what is queued is still delivered, and "
                                   "remembered in another segment,"
                                 : "nothing is accepted, and delivery waits,";
  alarms_.raise(
      log_, "journal",
      fmt::format("writing to, flushing or reading back the queue failed: {} until ringmx is "
                  "restarted; check the disk under {}",
                  so_far, files_.directory()));
  room_ = true;
}

void Spool::pump() {
  compact();
  journal_->pump(loop_.now());
  report_failure();
  for (Port* port : {&mail_port_, &bulk_port_})
    if (port->member) start_group_flush(flushes_->settled(*port->member));
}

void Spool::use_readers(queue::Readers& readers) {
  journal_->use_readers(&readers);
  compaction_->use_readers(&readers);
}

void Spool::compact() {
  if (const auto read = compaction_->step(loop_.now(), loop_.wall()))
    loop_.ring.read(files_.fd(read->segment), read->into, read->offset,
                    {op_compaction_read, 0, read->segment});
  if (const auto damaged = compaction_->take_damaged())
    alarms_.raise(log_, "queue-damaged",
                  fmt::format("message {}: {} (segment {} offset {}); it is left where it is",
                              queue::to_text(damaged->id).view(), damaged->text, damaged->segment,
                              damaged->offset));
  counters_.compacted_messages.set(journal_->stats().moved);
  counters_.compacted_bytes.set(journal_->stats().moved_bytes);
  counters_.compacted_segments.set(compaction_->segments_emptied());
}

std::optional<Instant> Spool::deadline() const {
  const auto a = journal_->deadline(), b = compaction_->deadline();
  return a && b ? std::min(*a, *b) : a ? a : b;
}

void Spool::forget(uint32_t message_slot) {
  blocks_.give_back(messages_.at(message_slot).parts);
  messages_.free(message_slot);
  room_ = true;
}

}  // namespace mx::spool
