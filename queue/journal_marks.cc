// Marks, their relocation, and the end of segments. All of it is written by pump() between batches,
// when nothing is under way: the index then knows of every COMMIT in the sealed segments.
#include <algorithm>

#include "proto/base/assert.h"
#include "proto/base/endian.h"
#include "proto/base/limits.h"
#include "queue/journal.h"
#include "queue/mark_format.h"

namespace mx::queue {
namespace {
constexpr uint32_t survivors_in_part_max = 2048;
constexpr uint32_t retire_looks_per_pump = 32;
}  // namespace

bool Journal::mark_done(MessageId id, uint32_t first_recipient, uint32_t count, Instant now) {
  const uint32_t slot = index_.lookup(id);
  if (slot == Index::none) return false;
  Index::Entry& entry = index_.entries_[slot];
  if (entry.pending_count == 0 || first_recipient > entry.recipient_count ||
      count > entry.recipient_count - first_recipient)
    return false;
  if (index_.clear_pending(entry, first_recipient, count) > 0) make_dirty(slot, now);
  if (entry.moving && entry.pending_count == 0) flush_copies();  // its mark waits for them
  return true;
}

bool Journal::mark_deferred(MessageId id, WallTime next_attempt, uint16_t attempts,
                            std::string_view reason, Instant now) {
  const uint32_t slot = index_.lookup(id);
  if (slot == Index::none || reason.size() > limits::defer_reason_bytes_max) return false;
  Index::Entry& entry = index_.entries_[slot];
  if (entry.pending_count == 0) return false;
  index_.set_next_attempt(entry, next_attempt);
  entry.attempts = attempts;
  index_.set_reason(entry, reason);
  make_dirty(slot, now);
  return true;
}

bool Journal::mark_warned(MessageId id, Instant now) {
  const uint32_t slot = index_.lookup(id);
  if (slot == Index::none || index_.entries_[slot].pending_count == 0) return false;
  index_.entries_[slot].warned = true;
  make_dirty(slot, now);
  return true;
}

void Journal::note_sender(MessageId id) {
  const uint32_t slot = index_.lookup(id);
  if (slot != Index::none) index_.entries_[slot].has_sender = true;
}

void Journal::make_dirty(uint32_t slot, Instant now) {
  Index::Entry& entry = index_.entries_[slot];
  if (entry.dirty) return;
  entry.dirty = true;
  entry.next_dirty = Index::none;
  if (dirty_head_ == Index::none) {
    if (endings_.empty()) dirty_since_ = now;
    dirty_head_ = slot;
  } else {
    index_.entries_[dirty_tail_].next_dirty = slot;
  }
  dirty_tail_ = slot;
}

bool Journal::marks_due(Instant now) const {
  return marks_wait() && (hurry_ || salvage_.owed || now - dirty_since_ >= settings_.mark_delay ||
                          (!endings_.empty() && pool_.low()));  // segments wait for it
}

std::optional<Instant> Journal::deadline() const {
  if (failed()) return salvage_deadline();
  if (!marks_wait()) return std::nullopt;
  return dirty_since_ + settings_.mark_delay;
}

bool Journal::room_for_mark(Need need, SegmentPool::Purpose purpose) {
  if (!filling().open) return begin_batch(need, purpose) == Status::ok;
  return batch_takes(need);
}

void Journal::stage_marks() {
  if (!stage_endings()) return;  // before any mark that is for the new place alone
  if (!stage_done_again()) return;
  uint32_t last_kept = Index::none;
  uint32_t* link = &dirty_head_;
  while (*link != Index::none) {
    const uint32_t slot = *link;
    Index::Entry& entry = index_.entries_[slot];
    // Its DONE would be for the old place alone, and the copy could come back after that is gone:
    // it waits for the copy.
    if (entry.moving && entry.pending_count == 0) {
      last_kept = slot;
      link = &entry.next_dirty;
      continue;
    }
    const uint32_t next = entry.next_dirty;
    if (!(entry.pending_count == 0 ? stage_done(slot) : stage_state(slot))) return;
    ++stats_.marks;
    *link = next;
  }
  dirty_tail_ = last_kept;
}

bool Journal::stage_done(uint32_t slot) {
  if (!room_for_mark({record_bytes(0), footer_mark_cost(0)}, settings_.marks)) return false;
  Index::Entry& entry = index_.entries_[slot];
  put({.type = RecordType::done, .id = entry.id}, {});
  footer_.add_mark(RecordType::done, entry.id, {});
  Batch& batch = filling();
  pool_.pin(entry.commit.segment, batch.segment);
  // The message's segments are let go when this mark is durable, not before: else a segment with
  // its chunks could end while its COMMIT still asks for them.
  take_places(slot, batch.released);
  entry.dirty = false;
  index_.erase(slot);
  return true;
}

bool Journal::stage_state(uint32_t slot) {
  Index::Entry& entry = index_.entries_[slot];
  const std::string_view reason = index_.reasons_[entry.reason].text;
  const uint32_t length = state_bytes(entry.recipient_count, static_cast<uint32_t>(reason.size()));
  if (!room_for_mark({record_bytes(length), footer_mark_cost(length)}, settings_.marks))
    return false;
  Batch& batch = filling();
  std::byte* record = batch.buffer.data() + batch.used;
  const bool is_inline = entry.recipient_count <= 64;
  const uint64_t* words = is_inline ? &entry.pending : index_.large_[entry.pending].data();
  write_state(record + record_header_bytes,
              {.next_attempt = {entry.next_attempt_us},
               .attempts = entry.attempts,
               .recipient_count = entry.recipient_count,
               .warned = entry.warned,
               .pending = std::as_bytes(std::span(words, pending_bytes(entry.recipient_count) / 8)),
               .reason = reason});
  seal_record(record, batch.life, batch.offset + batch.used,
              {.length = length,
               .type = RecordType::state,
               .batch = static_cast<uint32_t>(batch.number),
               .id = entry.id});
  footer_.add_mark(RecordType::state, entry.id, {record + record_header_bytes, length});
  advance(record_bytes(length));
  pool_.pin(entry.commit.segment, batch.segment);
  entry.dirty = false;
  entry.marked = true;
  return true;
}

// When segments run short: the oldest one that holds nothing but marks for others, if there are
// two. Writing the marks of one alone anew would gain nothing, for ever. All shards find the same
// one.
uint32_t Journal::holder_to_free() const {
  uint32_t found = 0;
  uint32_t oldest = Index::none;
  for (uint32_t segment = 0; segment < pool_.geometry().segment_count; ++segment) {
    if (pool_.state(segment) != SegmentState::sealed || pool_.live(segment) != 0 ||
        pool_.pins(segment) == 0)
      continue;
    ++found;
    if (oldest == Index::none || pool_.life(segment).sequence < pool_.life(oldest).sequence)
      oldest = segment;
  }
  return found >= 2 ? oldest : Index::none;
}

// A segment of ours whose marks keep that holder. False when there is nothing to do.
bool Journal::choose_relocation() {
  if (settings_.stream != Stream::mail || failed()) return false;  // it holds no marks
  if (relocation_.target != Index::none) return true;
  if (!pool_.low()) return false;
  const uint32_t holder = holder_to_free();
  if (holder == Index::none) return false;
  for (uint32_t target = 0; target < pool_.geometry().segment_count; ++target) {
    if (!pool_.is_pinned_by(target, holder) || pool_.owner(target) != settings_.shard ||
        (pool_.state(target) != SegmentState::sealed && known_end(target) == 0) ||
        pool_.live(target) == 0 || pool_.held(target))
      continue;  // without life it ends by itself
    const auto same = [&](const Relocation& done) { return done.target == target; };
    if (std::any_of(relocated_.begin(), relocated_.end(), same)) continue;
    relocation_ = {.target = target};
    return true;
  }
  return false;
}

void Journal::stage_relocations() {
  while (choose_relocation() && !waits_for_copy(relocation_.target) &&
         stage_endings_of(relocation_.target) && stage_survivors()) {
    if (relocation_.next_offset != relocation_.end) return;  // the next batch
    relocated_.push_back(relocation_);
    relocation_ = {};
  }
}

// A message there is done, and its DONE waits for its copy. Left out of the list it would be done
// at the old place alone, and what its old marks say would be missing at the new one.
bool Journal::waits_for_copy(uint32_t target) const {
  for (uint32_t slot = index_.segment_head_[target]; slot != Index::none;
       slot = index_.entries_[slot].next_in_segment)
    if (index_.entries_[slot].moving && index_.entries_[slot].pending_count == 0) return true;
  return false;
}

// One part: the states of a stretch of unfinished messages, then the list of them. What is not
// listed in the stretch is finished. Each part is true by itself; the old marks are let go when the
// last one is durable. False when there is no room.
bool Journal::stage_survivors() {
  const uint32_t target = relocation_.target;
  const uint32_t least = survivors_bytes(1);
  if (!room_for_mark({record_bytes(least), footer_mark_cost(least)},
                     SegmentPool::Purpose::relocation))
    return false;
  if (relocation_.below == 0) {
    relocation_.below = filling().life.sequence;
    relocation_.end = known_end(target);
  }
  MX_ASSERT(filling().segment != target);

  survivors_.clear();
  uint32_t to = relocation_.end;
  for (uint32_t slot = index_.segment_head_[target]; slot != Index::none;
       slot = index_.entries_[slot].next_in_segment) {
    const Index::Entry& entry = index_.entries_[slot];
    if (entry.commit.offset < relocation_.next_offset || entry.pending_count == 0) continue;
    if (entry.commit.offset >= relocation_.end) break;
    const uint32_t reason_length = static_cast<uint32_t>(index_.reasons_[entry.reason].text.size());
    Need need{};
    if (entry.marked) {
      const uint32_t state = state_bytes(entry.recipient_count, reason_length);
      need = {record_bytes(state), footer_mark_cost(state)};
    }
    const uint32_t list = survivors_bytes(static_cast<uint32_t>(survivors_.size()) + 1);
    if (survivors_.size() == survivors_in_part_max ||
        !batch_takes(need + Need{record_bytes(list), footer_mark_cost(list)})) {
      to = entry.commit.offset;
      break;
    }
    if (entry.marked) {
      const bool was_dirty = entry.dirty;
      const bool staged = stage_state(slot);
      MX_ASSERT(staged);
      index_.entries_[slot].dirty = was_dirty;  // it stays in the list of dirty ones
    }
    survivors_.push_back(entry.id);
  }
  if (survivors_.empty() && to == relocation_.next_offset) return false;
  const uint32_t count = static_cast<uint32_t>(survivors_.size());
  Batch& batch = filling();
  std::byte* record = batch.buffer.data() + batch.used;
  const uint32_t length = survivors_bytes(count);
  write_survivors_head(record + record_header_bytes,
                       {.target_sequence = pool_.life(target).sequence,
                        .target_segment = target,
                        .from = relocation_.next_offset,
                        .to = to,
                        .count = count});
  std::byte* ids = record + record_header_bytes + survivors_head_bytes;
  for (uint32_t i = 0; i < count; ++i) store_le(ids + size_t{i} * 8, survivors_[i].value);
  seal_record(record, batch.life, batch.offset + batch.used,
              {.length = length,
               .type = RecordType::survivors,
               .batch = static_cast<uint32_t>(batch.number)});
  footer_.add_mark(RecordType::survivors, {}, {record + record_header_bytes, length});
  advance(record_bytes(length));
  pool_.pin(target, batch.segment);
  stats_.relocated += count;
  relocation_.next_offset = to;
  return true;
}

// Ends the life of one segment of ours that nothing needs. The grave is flushed while the header
// still stands, and the next header is written while the grave stands: a torn write never takes the
// only witness. The copy of the grave over the header, not flushed, is for the day on which block 0
// rots.
bool Journal::start_grave() {
  if (failed()) return false;
  if (settings_.stream != Stream::mail) return false;  // that one sees to all of the shard's
  const uint32_t count = pool_.geometry().segment_count;
  const uint32_t looks = pool_.low() ? count : std::min(retire_looks_per_pump, count);
  for (uint32_t i = 0; i < looks; ++i) {
    const uint32_t segment = retire_cursor_++ % count;
    if (segment == relocation_.target || !pool_.begin_retire(segment, settings_.shard)) continue;
    write_grave(head_block_, segment, pool_.life(segment).sequence);
    head_segment_ = segment;
    grave_was_last_ = true;
    operation_ = Operation::write;
    job_ = Job::grave;
    device_.write(segment, grave_offset, head_block_);
    return true;
  }
  return false;
}

}  // namespace mx::queue
