#include "engine/spool/spool.h"

#include <cstdlib>
#include <cstring>

#include "proto/base/assert.h"

namespace mx::spool {

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
      blocks_(settings.body_memory_bytes),
      messages_(blocks_.count() + messages_for_reading),
      index_(settings.index_capacity, pool.geometry().segment_count),
      batch_memory_(static_cast<std::byte*>(
          std::aligned_alloc(queue::block_bytes, size_t{settings.batch_bytes} * 2))) {
  MX_ASSERT(batch_memory_ != nullptr);
  queue::Device& device = *this;
  journal_ = std::make_unique<queue::Journal>(
      settings.journal, pool, device, index_, MutableBytes{batch_memory_, settings.batch_bytes},
      MutableBytes{batch_memory_ + settings.batch_bytes, settings.batch_bytes});
}

Spool::~Spool() {
  journal_.reset();
  std::free(batch_memory_);
}

void Spool::write(uint32_t segment, uint32_t offset, Bytes data) {
  counters_.journal_batches.add();
  counters_.journal_bytes.add(data.size());
  loop_.ring.write(files_.fd(segment), data, offset, {op_journal_write, 0, segment}, dsync_);
}

void Spool::flush(uint32_t segment) {
  if (dsync_) {  // the write was one
    journal_->on_flush(0);
    room_ = true;
    return;
  }
  counters_.journal_flushes.add();
  loop_.ring.fdatasync(files_.fd(segment), {op_journal_flush, 0, segment});
}

void Spool::on_completion(const io::Completion& completion) {
  if (completion.op.kind == op_journal_write) {
    journal_->on_write(completion.result);
  } else {
    MX_ASSERT(completion.op.kind == op_journal_flush);
    journal_->on_flush(completion.result);
    room_ = true;
  }
  if (journal_->failed()) report_failure();
}

void Spool::report_failure() {
  if (std::exchange(failure_reported_, true)) return;
  pool_.fail_device();
  alarms_.raise(
      log_, "journal",
      "writing to or flushing the queue failed: nothing is accepted or delivered until ringmx is "
      "restarted; check the disk under " +
          files_.directory());
  room_ = true;
}

void Spool::pump() {
  journal_->pump(loop_.now());
  if (journal_->failed()) report_failure();
}

void Spool::forget(uint32_t message_slot) {
  blocks_.give_back(messages_.at(message_slot).parts);
  messages_.free(message_slot);
  room_ = true;
}

}  // namespace mx::spool
