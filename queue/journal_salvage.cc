// After a failure of the device: the mail stream may go on in a fresh segment, with marks and
// nothing else, so that delivery need not stop.
//
// Nothing of before is written or flushed again and believed. What stands in a batch that was not
// durable is taken back from its buffer and written as new data, in a segment claimed, and with a
// header flushed, after the failure. Those segments have an epoch of their own, the next one: to
// recovery they are a stream of their own, so that they prove nothing about the batch that failed,
// which is a torn end and no damage. Nothing is let go in this life: no message loses its place, no
// segment ends, whatever the marks say.
//
// It is all or nothing: the first operation that fails after it began, here or of another shard, or
// marks that take too long, end it for good, for all shards. What fails together is waited for
// before it begins (JournalSettings::settle).
#include <algorithm>
#include <utility>

#include "proto/base/assert.h"
#include "queue/journal.h"

namespace mx::queue {

bool Journal::keeps_marks() const {
  return health_ == Health::well ? !pool_.device_failed() : health_ == Health::marks_only;
}

// What the operation under way was for still holds. A failure seen by another shard while ours was
// under way counts for ours too: the device may have dropped what it had told us was safe.
bool Journal::completed(bool well) {
  if (!well) pool_.fail_device();
  const bool is_stale = std::exchange(stale_, false);
  if (well && !is_stale && pool_.device_failures() == salvage_.failures) return true;
  operation_ = Operation::none;
  if (!failed())
    fail();
  else if (!is_stale)
    stop();
  return false;
}

// Until restart: nothing new is taken. The memory of a batch under way stays as it is until its
// completion is reported.
void Journal::fail() {
  if (failed()) return;
  health_ = settings_.stream == Stream::mail ? Health::settling : Health::stopped;
  stale_ = busy();
  if (have_segment_) pool_.poison(segment_);
  for (Batch* batch : {&flying(), &filling()}) {
    if (batch->open) pool_.poison(batch->segment);
    for (const StagedCommit& staged : batch->commits) {
      other_segments_.erase(staged.result.id);
      if (!mail_) {
        results_.push_back(staged.result);
      } else if (const uint32_t slot = index_.lookup(staged.info.id); slot != Index::none) {
        index_.entries_[slot].moving = false;  // its DONE need not wait for the copy
      }
    }
    batch->commits.clear();
  }
  staged_commits_ = 0;
  endings_.clear();  // the old places stand; the next life ends the copies
}

// For good, and for all shards.
void Journal::stop() {
  health_ = Health::stopped;
  stale_ = busy();
  if (have_segment_) pool_.poison(segment_);
  pool_.give_up_device();
}

// False: nothing may be written now, or ever again.
bool Journal::salvage_goes_on(Instant now) {
  if (health_ == Health::stopped) return false;
  const uint32_t failures = pool_.device_failures();
  if (!salvage_.begin_at) salvage_.owed = now;
  if (health_ == Health::settling && (!salvage_.begin_at || failures != salvage_.failures)) {
    salvage_.begin_at = now + settings_.settle;
    salvage_.failures = failures;
  }
  if (!salvage_.owed && marks_due(now))
    salvage_.owed =
        dirty_head_ == Index::none ? now : std::min(now, dirty_since_ + settings_.mark_delay);
  const bool late = salvage_.owed && now - *salvage_.owed >= settings_.salvage_limit;
  if (failures != salvage_.failures || late || pool_.device_given_up()) {
    stop();
    return false;
  }
  if (health_ != Health::settling) return true;
  if (operation_ != Operation::none || now < *salvage_.begin_at) return false;
  return begin_salvage();
}

std::optional<Instant> Journal::salvage_deadline() const {
  if (health_ == Health::stopped) return std::nullopt;
  if (!salvage_.begin_at) return now_;
  if (salvage_.owed) {
    const Instant limit = *salvage_.owed + settings_.salvage_limit;
    return health_ == Health::settling && !busy() ? std::min(*salvage_.begin_at, limit) : limit;
  }
  if (dirty_head_ == Index::none) return std::nullopt;
  return dirty_since_ + settings_.mark_delay;
}

// A new chain of batches, in a segment that nothing was written to since the failure.
bool Journal::begin_salvage() {
  health_ = Health::trying;
  for (Batch* batch : {&flying(), &filling()}) {
    take_back_marks(*batch);
    batch->released.clear();  // the marks that were to let them go are not believed
    batch->ended.clear();
    batch->used = 0;
    batch->open = batch->due = false;
  }
  relocated_.clear();
  refused_ = have_segment_ = segment_is_closed_ = false;
  closing_ = {};
  next_segment_.reset();
  previous_sequence_ = batch_number_ = previous_trailer_ = 0;
  if (!claim_next(SegmentPool::Purpose::salvage)) {
    stop();
    return false;
  }
  switch_segment();
  return true;
}

void Journal::take_back_marks(const Batch& batch) {
  if (!batch.open) return;
  for (uint32_t at = 0; at < batch.used;) {
    const auto header = read_record_header(batch.buffer.subspan(at), batch.life, batch.offset + at);
    MX_ASSERT(header.has_value());
    if (header->type == RecordType::done) salvage_.done.push_back(header->id);
    // If the index has it no more, a DONE of it was in a later batch.
    if (header->type == RecordType::state)
      if (const uint32_t slot = index_.lookup(header->id); slot != Index::none)
        make_dirty(slot, now_);
    at += record_bytes(header->length);
  }
}

// False: no room for all of them now.
bool Journal::stage_done_again() {
  for (; !salvage_.done.empty(); salvage_.done.pop_back()) {
    if (!room_for_mark({record_bytes(0), footer_mark_cost(0)}, settings_.marks)) return false;
    const MessageId id = salvage_.done.back();
    put({.type = RecordType::done, .id = id}, {});
    footer_.add_mark(RecordType::done, id, {});
    ++stats_.marks;
  }
  return true;
}

}  // namespace mx::queue
