// Messages that move to the cold stream, and COMMITs that end though their message goes on.
//
// A move: the copy's chunks and COMMIT go into the cold stream. When they are durable the message
// stands there (switch_to), and the old COMMIT gets a MOVED mark with the message's state beside
// it; when that is durable, and nobody reads the old place, the old segments lose it. A crash in
// between leaves two COMMITs of one message; marks that name the message count for both, and
// recovery takes the older one, which is whole for sure: its segments are let go only after MOVED
// is durable. The other one is then ended in the same way (adopt).
//
// Two rules keep an ended instance from coming back. The mark for a move is written before any
// later mark of the message, which would be kept for the new place alone. And while the copy's
// COMMIT is on its way the message's DONE waits, which would be kept for the old place alone.
#include <algorithm>
#include <utility>

#include "proto/base/assert.h"
#include "queue/journal.h"

namespace mx::queue {
namespace {
// Of messages that span segments; more are not looked through, that would take too long.
constexpr size_t spanning_searched_max = 32'768;
}  // namespace

void Journal::residents(uint32_t segment, std::vector<Resident>& out, size_t limit) const {
  out.clear();
  const auto add = [&](const Index::Entry& entry) {
    if (entry.moving || entry.pending_count == 0) return;
    Resident resident{entry.id, bytes_of_class(entry.size_class)};
    if (entry.spans)
      for (const SegmentShare& share : other_segments_.at(entry.id)) resident.bytes += share.bytes;
    out.push_back(resident);
  };
  for (uint32_t slot = index_.segment_head_[segment]; slot != Index::none && out.size() < limit;
       slot = index_.entries_[slot].next_in_segment)
    add(index_.entries_[slot]);
  if (other_segments_.size() > spanning_searched_max) return;
  for (const auto& [id, shares] : other_segments_) {
    if (out.size() >= limit) return;
    for (const SegmentShare& share : shares) {
      if (share.segment != segment) continue;
      // One whose COMMIT is staged only is not in the index yet.
      if (const uint32_t slot = index_.lookup(id); slot != Index::none) add(index_.entries_[slot]);
    }
  }
}

void Journal::begin_copy(Draft& draft, const MessageInfo& info) {
  MX_ASSERT(!draft.open());
  draft = Draft{};
  draft.id_ = info.id;
  draft.arrival_ = info.arrival;
  draft.purpose_ = SegmentPool::Purpose::compaction;
}

Status Journal::copy_chunk(Draft& draft, RecordType type, Bytes bytes) {
  if (bytes.size() > cold_->chunk_bytes_max_) return Status::too_large;
  return cold_->put_chunk(draft, type, bytes);
}

Status Journal::commit_copy(Draft& draft, uint16_t recipient_count, Bytes envelope) {
  Index::Entry& entry = index_.entries_[index_.lookup(draft.id_)];
  MX_ASSERT(!entry.moving && entry.pending_count > 0);
  const Status status = cold_->commit(draft, recipient_count, envelope, 0);
  if (status == Status::ok) entry.moving = true;
  return status;
}

void Journal::flush_copies() {
  if (cold_->filling().open) cold_->refused_ = true;
}

uint32_t Journal::copies_staged() const {
  return cold_->staged_commits_;
}

uint32_t Journal::cold_room() const {
  return cold_->have_segment_ && !cold_->segment_is_closed_
             ? pool_.geometry().segment_bytes - cold_->tail_
             : 0;
}

bool Journal::pressed() const {
  return refused_ || (filling().open && filling().used >= filling().buffer.size() / 2);
}

Place Journal::place_of(const Extent& commit) const {
  return {pool_.life(commit.segment).sequence, commit.segment, commit.offset};
}

// What is let go when the message has ended there.
void Journal::take_places(uint32_t slot, std::vector<SegmentShare>& out) {
  const Index::Entry& entry = index_.entries_[slot];
  out.push_back({entry.commit.segment, bytes_of_class(entry.size_class)});
  if (!entry.spans) return;
  const auto others = other_segments_.find(entry.id);
  MX_ASSERT(others != other_segments_.end());
  out.insert(out.end(), others->second.begin(), others->second.end());
  other_segments_.erase(others);
}

// The copy is durable. The message may have been finished meanwhile; its DONE is still to be
// written.
void Journal::switch_to(const StagedCommit& copy) {
  const uint32_t slot = index_.lookup(copy.info.id);
  MX_ASSERT(slot != Index::none);
  Index::Entry& entry = index_.entries_[slot];
  MX_ASSERT(entry.moving);
  if (endings_.empty() && dirty_head_ == Index::none) dirty_since_ = now_;
  Ending& ending = endings_.emplace_back();
  ending.id = entry.id;
  ending.mark = {place_of(entry.commit), place_of(copy.info.commit)};
  left_.clear();
  take_places(slot, left_);
  for (const SegmentShare& share : left_) ending.places.push_back(share);
  index_.move(slot, copy.info.commit, copy.info.size_class);
  entry.moving = false;
  entry.spans = copy.spans;
  if (copy.spans) {
    const auto others = cold_->other_segments_.find(entry.id);
    MX_ASSERT(others != cold_->other_segments_.end());
    other_segments_[entry.id] = std::move(others->second);
    cold_->other_segments_.erase(others);
  }
  ++stats_.moved;
  for (const SegmentShare& share : left_) stats_.moved_bytes += share.bytes;
}

// They may have the last segment: what they end gives more back. False: no room for all of them
// now.
bool Journal::stage_endings() {
  constexpr auto purpose = SegmentPool::Purpose::relocation;
  size_t staged = 0;
  while (staged < endings_.size() && stage_ending(endings_[staged], purpose)) ++staged;
  endings_.erase(endings_.begin(), endings_.begin() + static_cast<std::ptrdiff_t>(staged));
  return endings_.empty();
}

// Before that segment's marks are written anew: what has moved is not among its messages any more,
// and its state would be let go with the old marks.
bool Journal::stage_endings_of(uint32_t segment) {
  const auto is_of = [&](const Ending& each) { return each.mark.from.segment == segment; };
  for (;;) {
    const auto at = std::ranges::find_if(endings_, is_of);
    if (at == endings_.end()) return true;
    if (!stage_ending(*at, SegmentPool::Purpose::relocation)) return false;
    endings_.erase(at);
  }
}

// MOVED, and in the same batch the state: when MOVED is durable, the old place's marks may go.
bool Journal::stage_ending(Ending& ending, SegmentPool::Purpose purpose) {
  const uint32_t slot = index_.lookup(ending.id);
  const bool has_state = slot != Index::none && index_.entries_[slot].marked;
  Need need{record_bytes(moved_bytes), footer_mark_cost(moved_bytes)};
  if (has_state) {
    const Index::Entry& entry = index_.entries_[slot];
    const uint32_t state = state_bytes(
        entry.recipient_count, static_cast<uint32_t>(index_.reasons_[entry.reason].text.size()));
    need = need + Need{record_bytes(state), footer_mark_cost(state)};
  }
  if (!room_for_mark(need, purpose)) return false;
  std::byte payload[moved_bytes];
  write_moved(payload, ending.mark);
  put({.length = moved_bytes, .type = RecordType::moved, .id = ending.id}, payload);
  footer_.add_mark(RecordType::moved, ending.id, payload);
  pool_.pin(ending.mark.from.segment, filling().segment);
  if (has_state) {
    const bool was_dirty = index_.entries_[slot].dirty;
    const bool room = stage_state(slot);
    MX_ASSERT(room);
    index_.entries_[slot].dirty = was_dirty;  // it stays in the list of dirty ones
  }
  filling().ended.push_back(std::move(ending));
  return true;
}

void Journal::let_go() {
  std::erase_if(lingering_, [&](const Ending& ending) {
    if (readers_ && readers_->reads(ending.id)) return false;
    for (const SegmentShare& share : ending.places) pool_.drop_live(share);
    return true;
  });
}

// Where COMMITs end that the index knows. 0: the segment is neither sealed nor the cold stream's.
uint32_t Journal::known_end(uint32_t segment) const {
  if (pool_.state(segment) == SegmentState::sealed) return pool_.geometry().segment_bytes;
  if (!cold_ || !cold_->have_segment_ || cold_->segment_ != segment) return 0;
  for (const Batch* batch : {&cold_->flying(), &cold_->filling()})
    if (batch->open && batch->segment == segment) return batch->offset;
  return cold_->tail_;
}

}  // namespace mx::queue
