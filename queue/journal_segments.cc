// Going from one segment to the next: a full one ends in its footer (footer.h), so that recovery
// needn't walk it. Room for the footer is kept while the segment fills.
#include <algorithm>
#include <cstring>

#include "proto/base/assert.h"
#include "queue/journal.h"

namespace mx::queue {

// The most that a footer with this many bytes of entries takes at the end of a segment: parts as
// large as a buffer takes, each with two records' headers, its head, alignment and a trailer.
uint64_t Journal::closing_bytes(uint64_t entries) const {
  constexpr uint64_t extra =
      2 * record_header_bytes + footer_head_bytes + record_alignment + trailer_bytes;
  const uint64_t part = batches_[0].buffer.size() - extra;
  if (entries <= part) return (entries + extra + block_bytes - 1) / block_bytes * block_bytes;
  const uint64_t lost = std::min<uint64_t>(footer_.largest_entry(), part / 2);
  const uint64_t parts = entries / (part - lost) + 1;
  return (entries + parts * (extra + block_bytes)) / block_bytes * block_bytes + block_bytes;
}

// Whether records up to there, in a batch at `offset` of the present segment, leave room for the
// footer.
bool Journal::fits(uint32_t offset, Need need) const {
  const uint64_t batch =
      (uint64_t{need.bytes} + trailer_bytes + record_header_bytes + block_bytes - 1) / block_bytes *
      block_bytes;
  return offset + batch + closing_bytes(uint64_t{footer_.bytes()} + need.footer) <=
         pool_.geometry().segment_bytes;
}

bool Journal::claim_next(SegmentPool::Purpose purpose) {
  if (failed()) purpose = SegmentPool::Purpose::salvage;
  const uint64_t epoch = settings_.epoch + (failed() ? 1 : 0);
  next_segment_ = pool_.claim(settings_.shard, SegmentPool::Purpose::messages, epoch);
  next_is_reserve_ = false;
  if (!next_segment_ && purpose != SegmentPool::Purpose::messages) {
    next_segment_ = pool_.claim(settings_.shard, purpose, epoch);
    next_is_reserve_ = next_segment_.has_value();
  }
  return next_segment_.has_value();
}

// The next part of the footer is a batch of its own, which goes at once.
void Journal::stage_footer() {
  const uint32_t left = std::min(static_cast<uint32_t>(filling().buffer.size()),
                                 pool_.geometry().segment_bytes - tail_);
  MX_ASSERT(left >= block_bytes);
  open_batch(left - trailer_bytes - record_header_bytes);
  Batch& batch = filling();
  FooterHead head{.part = closing_.part,
                  .previous_offset = closing_.previous,
                  .largest_id = footer_.largest_id()};
  const uint32_t room = batch.capacity - record_header_bytes - footer_head_bytes - record_alignment;
  const Bytes piece = footer_.piece(closing_.at, room, head.entries);
  closing_.at += static_cast<uint32_t>(piece.size());
  head.last = closing_.at == footer_.bytes();
  MX_ASSERT(head.last || !piece.empty());
  std::byte* record = batch.buffer.data() + batch.used;
  write_footer_head(record + record_header_bytes, head);
  if (!piece.empty())
    std::memcpy(record + record_header_bytes + footer_head_bytes, piece.data(), piece.size());
  const auto length = static_cast<uint32_t>(footer_head_bytes + piece.size());
  closing_.previous = batch.offset + batch.used;
  seal_record(
      record, batch.life, closing_.previous,
      {.length = length, .type = RecordType::footer, .batch = static_cast<uint32_t>(batch.number)});
  advance(record_bytes(length));
  batch.capacity = batch.used;
  batch.due = true;
  ++closing_.part;
  segment_is_closed_ = head.last;
  closing_.active = !head.last;
}

// The cold stream's segment when nothing lives in it any more: it needs no footer, for it ends at
// once. Open, it would keep the segments with the marks that finished its messages.
void Journal::leave_if_dead() {
  if (!have_segment_ || segment_is_new_ || closing_.active || next_segment_ || filling().open ||
      tail_ == records_offset || pool_.live(segment_) != 0)
    return;
  previous_sequence_ = pool_.life(segment_).sequence;
  pool_.seal(segment_);
  have_segment_ = false;
}

void Journal::hurry() {
  hurry_ = true;
  if (bulk_) bulk_->hurry();
  if (cold_) cold_->hurry();
}

void Journal::end_segments() {
  hurry();
  end_wanted_ = true;
  if (bulk_) bulk_->end_wanted_ = true;
  if (cold_) cold_->end_wanted_ = true;
}

// When all else is written.
void Journal::end_if_wanted() {
  if (!end_wanted_ || segment_is_new_ || closing_.active || filling().open || marks_wait()) return;
  end_wanted_ = false;
  if (have_segment_ && !segment_is_closed_ && tail_ != records_offset) closing_ = {.active = true};
}

// Leaves the present segment for the claimed one. Only between batches.
void Journal::switch_segment() {
  MX_ASSERT(!filling().open);
  MX_ASSERT(next_segment_.has_value());
  if (have_segment_) {
    previous_sequence_ = pool_.life(segment_).sequence;
    pool_.seal(segment_);
  }
  have_segment_ = true;
  segment_is_new_ = true;
  segment_is_closed_ = false;
  segment_is_reserve_ = next_is_reserve_;
  segment_ = *next_segment_;
  next_segment_.reset();
  tail_ = records_offset;
  footer_.clear();
  closing_ = {};
  ++stats_.segments_claimed;
}

}  // namespace mx::queue
