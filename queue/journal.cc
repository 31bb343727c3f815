// Messages and batches. Invariants, asserted where they are made:
//   - one device operation at a time; the flying batch's memory is not touched until it is flushed
//   - filling().segment == segment_: a segment is left (sealed) only between batches
//   - tail_ is the end of the last submitted batch, so offsets of staged records are known, and
//   hashed, at once
#include "queue/journal.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "queue/reader.h"
#include "queue/recovery.h"

namespace mx::queue {

Journal::Journal(const JournalSettings& settings, SegmentPool& pool, Device& device, Index& index,
                 MutableBytes buffer_a, MutableBytes buffer_b)
    : settings_(settings),
      pool_(pool),
      device_(device),
      index_(index),
      chunk_bytes_max_(0),
      ids_(settings.shard, settings.largest_known_id) {
  MX_ASSERT(buffer_a.size() == buffer_b.size());
  MX_ASSERT(buffer_a.size() % block_bytes == 0);
  MX_ASSERT(buffer_a.size() >= limits::journal_buffer_bytes_min);
  MX_ASSERT(buffer_a.size() <= limits::journal_buffer_bytes_max);
  for (MutableBytes buffer : {buffer_a, buffer_b})
    MX_ASSERT(reinterpret_cast<uintptr_t>(buffer.data()) % block_bytes == 0);
  batches_[0].buffer = buffer_a;
  batches_[1].buffer = buffer_b;
  // Two chunks of the largest size and a COMMIT fit in a fresh batch.
  chunk_bytes_max_ = std::min(limits::journal_chunk_bytes_max,
                              (fresh_room() - mark_room().bytes) / 2 / block_bytes * block_bytes);
}

// What begin_batch() leaves: the trailer, a pad's header, which the trailer's place may ask for,
// and the footer.
uint32_t Journal::fresh_room() const {
  const auto segment =
      static_cast<uint32_t>(pool_.geometry().segment_bytes - records_offset -
                            closing_bytes(mark_room().footer + uint64_t{block_bytes}));
  const uint32_t room = std::min(static_cast<uint32_t>(batches_[0].buffer.size()), segment);
  return room - trailer_bytes - record_header_bytes;
}

void Journal::use_cold(Journal& cold) {
  MX_ASSERT(cold.settings_.stream == Stream::cold && settings_.stream == Stream::mail);
  MX_ASSERT(cold.chunk_bytes_max_ >= chunk_bytes_max_);
  cold_ = &cold;
  cold.mail_ = this;
}

void Journal::use_bulk(Journal& bulk) {
  MX_ASSERT(bulk.settings_.stream == Stream::bulk && settings_.stream == Stream::mail);
  MX_ASSERT(bulk.chunk_bytes_max_ >= chunk_bytes_max_);
  bulk_ = &bulk;
}

Journal::Need Journal::mark_room() const {
  if (settings_.stream != Stream::mail) return {};
  const uint32_t bytes = std::min(32U << 10, static_cast<uint32_t>(batches_[0].buffer.size()) / 8);
  return {bytes, bytes};
}

bool Journal::adopt(const RecoveredMessage& message) {
  MX_ASSERT(!have_segment_);
  if (index_.size() >= index_.capacity()) return false;
  Index::Entry& entry = index_.insert({.id = message.id,
                                       .commit = message.commit,
                                       .arrival = message.arrival,
                                       .recipient_count = message.recipient_count,
                                       .size_class = message.size_class});
  uint32_t at = 0;
  for (const auto& [first, count] : message.pending) {
    index_.clear_pending(entry, at, first - at);
    at = first + count;
  }
  index_.clear_pending(entry, at, message.recipient_count - at);
  MX_ASSERT(entry.pending_count > 0);
  entry.attempts = message.attempts;
  index_.set_next_attempt(entry, message.next_attempt);
  entry.marked = message.marked;
  entry.warned = message.warned;
  index_.set_reason(entry, message.reason);
  entry.spans = !message.other_segments.empty();
  if (entry.spans) other_segments_[message.id] = message.other_segments;
  for (const RecoveredCopy& copy : message.copies) {
    Ending& ending = endings_.emplace_back();
    ending.id = message.id;
    ending.mark = {{copy.sequence, copy.commit.segment, copy.commit.offset},
                   place_of(message.commit)};
    for (const SegmentShare& share : copy.shares) ending.places.push_back(share);
  }
  return true;
}

void Journal::begin(Draft& draft, WallTime now, SegmentPool::Purpose purpose) {
  MX_ASSERT(!draft.open());
  draft = Draft{};
  draft.id_ = ids_.next(now);
  draft.arrival_ = now;
  draft.purpose_ = purpose;
}

// --- where records go

// Gives the empty filling buffer its place, with room for what is needed at least. `later`: the
// footer of the present segment goes first.
Status Journal::begin_batch(Need need, SegmentPool::Purpose purpose) {
  MX_ASSERT(!filling().open);
  if (closing_.active) return Status::later;
  const auto room_here = [&]() -> uint32_t {
    if (!have_segment_ || segment_is_closed_) return 0;
    const uint32_t left = std::min(static_cast<uint32_t>(filling().buffer.size()),
                                   pool_.geometry().segment_bytes - tail_);
    const uint32_t overhead = trailer_bytes + record_header_bytes;
    return left > overhead ? left - overhead : 0;
  };
  if (room_here() < need.bytes || !fits(tail_, need)) {
    const bool fresh = have_segment_ && tail_ == records_offset;
    if (fresh || (!next_segment_ && !claim_next(purpose))) return Status::no_space;
    if (have_segment_ && !segment_is_closed_) {
      closing_ = {.active = true};
      stage_footer();
      return Status::later;
    }
    switch_segment();
    if (room_here() < need.bytes || !fits(tail_, need)) return Status::no_space;
  }
  open_batch(room_here());
  return Status::ok;
}

void Journal::open_batch(uint32_t room) {
  Batch& batch = filling();
  MX_ASSERT(batch.commits.empty());
  MX_ASSERT(batch.released.empty());
  batch.segment = segment_;
  batch.offset = tail_;
  batch.life = pool_.life(segment_);
  batch.number = ++batch_number_;
  batch.used = 0;
  batch.capacity = room;
  batch.open = true;
}

// Room for a message's records.
Status Journal::room_for(Need need, SegmentPool::Purpose purpose) {
  if (pool_.device_failed()) fail();
  if (failed()) return Status::failed;
  const bool mail = purpose == SegmentPool::Purpose::messages;
  if (mail && segment_is_reserve_ && pool_.free_segments() <= pool_.reserve_segments()) {
    ++stats_.refused_no_space;
    return Status::no_space;
  }
  const Need wanted = need + mark_room();
  Status status = Status::later;
  if (!filling().open)
    status = begin_batch(wanted, purpose);
  else if (batch_takes(wanted))
    status = Status::ok;
  if (status == Status::later) {
    refused_ = true;
    ++stats_.refused_later;
  } else if (status == Status::no_space) {
    ++stats_.refused_no_space;
  }
  return status;
}

// Into the open batch.
bool Journal::batch_takes(Need need) const {
  const Batch& batch = filling();
  return batch.used + need.bytes <= batch.capacity &&
         fits(batch.offset, {batch.used + need.bytes, need.footer});
}

void Journal::advance(uint32_t record_length) {
  Batch& batch = filling();
  batch.used += record_length;
  MX_ASSERT(batch.used <= batch.capacity);
}

uint64_t Journal::put(RecordHeader header, Bytes payload) {
  Batch& batch = filling();
  MX_ASSERT(batch.used + record_bytes(header.length) <= batch.capacity);
  header.batch = static_cast<uint32_t>(batch.number);
  const uint64_t hash = write_record(batch.buffer.data() + batch.used, batch.life,
                                     batch.offset + batch.used, header, payload);
  advance(record_bytes(header.length));
  return hash;
}

// --- messages

void Journal::reference(Draft& draft, uint32_t segment, uint32_t bytes) {
  for (SegmentShare& known : draft.segments_) {
    if (known.segment != segment) continue;
    known.bytes += bytes;
    return pool_.add_bytes(segment, bytes);
  }
  draft.segments_.push_back({segment, bytes});
  pool_.add_live(draft.segments_.back());
}

// What the message has beside its COMMIT is known as a size class from now on.
uint8_t Journal::settle_share(const Draft& draft, uint32_t segment) {
  for (const SegmentShare& share : draft.segments_) {
    if (share.segment != segment) continue;
    const uint8_t size_class = size_class_of(share.bytes);
    pool_.add_bytes(segment, bytes_of_class(size_class) - share.bytes);
    return size_class;
  }
  MX_ASSERT(false);
}

Status Journal::append_chunk(Draft& draft, ChunkKind kind, Bytes bytes) {
  MX_ASSERT(draft.open());
  MX_ASSERT(bytes.size() <= chunk_bytes_max_);
  if (bytes.empty()) return failed() ? Status::failed : Status::ok;
  if (kind == ChunkKind::header) return put_chunk(draft, RecordType::header_chunk, bytes);
  const bool large =
      bytes.size() > limits::journal_small_body_bytes_max ||
      (!draft.chunks_.empty() && draft.chunks_.back().type == RecordType::body_chunk);
  // What may use the reserve stays here: the reserve counts one stream a shard.
  if (!bulk_ || !large || draft.purpose_ != SegmentPool::Purpose::messages)
    return put_chunk(draft, RecordType::body_chunk, bytes);
  const Status status = bulk_->put_chunk(draft, RecordType::body_chunk, bytes);
  if (status == Status::ok) draft.bulk_batch_ = bulk_->filling().number;
  if (status == Status::failed) fail();
  return status;
}

Status Journal::put_chunk(Draft& draft, RecordType type, Bytes bytes) {
  const uint32_t length = static_cast<uint32_t>(bytes.size());
  const Status status = room_for({record_bytes(length), 0}, draft.purpose_);
  if (status != Status::ok) return status;
  footer_.saw(draft.id_);
  const Batch& batch = filling();
  const Extent extent{batch.segment, batch.offset + batch.used, length};
  const uint64_t hash = put({.length = length, .type = type, .id = draft.id_}, bytes);
  draft.chunks_.push_back({type, extent, batch.life.sequence, hash});
  reference(draft, batch.segment, record_bytes(length));
  stats_.payload_bytes += length;
  return Status::ok;
}

Status Journal::commit(Draft& draft, uint16_t recipient_count, Bytes envelope, uint64_t cookie) {
  MX_ASSERT(draft.open());
  MX_ASSERT(recipient_count > 0);
  if (draft.bulk_batch_ != 0 && draft.bulk_batch_ > bulk_->durable_batch_) {
    if (bulk_->failed()) fail();
    bulk_->refused_ = true;  // its batch goes as soon as the device is free
    return failed() ? Status::failed : Status::later;
  }
  const uint64_t wide_length =
      commit_head_bytes + uint64_t{draft.chunks_.size()} * commit_chunk_bytes + envelope.size();
  const uint32_t footer_cost = footer_commit_cost(draft.segments_.size());
  if (wide_length + record_header_bytes + record_alignment + footer_cost >
      fresh_room() - mark_room().bytes)
    return Status::too_large;
  const uint32_t length = static_cast<uint32_t>(wide_length);
  const bool is_copy = settings_.stream == Stream::cold;  // the index has it already
  if (!is_copy && index_.size() + staged_commits_ >= index_.capacity()) {
    ++stats_.refused_no_space;
    return Status::no_space;
  }
  const Status status = room_for({record_bytes(length), footer_cost}, draft.purpose_);
  if (status != Status::ok) return status;

  Batch& batch = filling();
  std::byte* record = batch.buffer.data() + batch.used;
  std::byte* to = record + record_header_bytes;
  write_commit_head(to, recipient_count, draft.chunks_.size(), draft.arrival_,
                    static_cast<uint32_t>(envelope.size()));
  to += commit_head_bytes;
  for (const Draft::Chunk& chunk : draft.chunks_) {
    write_commit_chunk(to, {chunk.type, chunk.extent, chunk.sequence, chunk.payload_hash});
    to += commit_chunk_bytes;
  }
  if (!envelope.empty()) std::memcpy(to, envelope.data(), envelope.size());
  const Extent extent{batch.segment, batch.offset + batch.used, length};
  seal_record(record, batch.life, extent.offset,
              {.length = length,
               .type = RecordType::commit,
               .batch = static_cast<uint32_t>(batch.number),
               .id = draft.id_});
  advance(record_bytes(length));
  reference(draft, batch.segment, record_bytes(length));
  stage_commit(draft,
               {.id = draft.id_,
                .commit = extent,
                .arrival = draft.arrival_,
                .recipient_count = recipient_count,
                .size_class = settle_share(draft, batch.segment)},
               cookie);
  draft = Draft{};
  return Status::ok;
}

// The COMMIT is in the batch.
void Journal::stage_commit(const Draft& draft, const MessageInfo& info, uint64_t cookie) {
  const bool spans = draft.segments_.size() > 1;
  SmallVector<OtherSegment, 2> other;
  if (spans) {
    auto& others = other_segments_[info.id];
    for (const SegmentShare& share : draft.segments_) {
      if (share.segment == info.commit.segment) continue;
      others.push_back(share);
      other.push_back({share, pool_.life(share.segment).sequence});
    }
  }
  footer_.add_commit(info, {other.data(), other.size()});
  filling().commits.push_back({.result = {cookie, info.id, false}, .info = info, .spans = spans});
  ++staged_commits_;
}

void Journal::abandon(Draft& draft) {
  for (const SegmentShare& share : draft.segments_) pool_.drop_live(share);
  draft = Draft{};
}

// --- the device

void Journal::pump(Instant now) {
  now_ = now;
  if (bulk_) bulk_->pump(now);
  if (cold_) cold_->pump(now);
  if (pool_.device_failed()) fail();
  if (failed() && !salvage_goes_on(now)) return;
  if (!lingering_.empty() && !failed()) let_go();
  if (operation_ != Operation::none) return;
  if (mail_) leave_if_dead();
  if (segment_is_closed_ && !filling().open && next_segment_) switch_segment();
  if (segment_is_new_) return submit_header();
  if (!failed()) end_if_wanted();
  if (closing_.active && !filling().open) stage_footer();
  if (!filling().due) {
    const bool half_full = filling().open && filling().used >= filling().buffer.size() / 2;
    const bool waiting = settings_.stream != Stream::cold && !filling().commits.empty();
    const bool due = waiting || half_full || refused_ || marks_due(now) ||
                     (hurry_ && filling().open) || choose_relocation();
    // Graves and batches take turns, so that neither starves the other.
    if ((!due || !grave_was_last_) && start_grave()) return;
    grave_was_last_ = false;
    if (!due) return;
    if (settings_.stream == Stream::mail) {
      stage_marks();
      // What had no room is due from now on.
      if (failed() && dirty_head_ != Index::none) dirty_since_ = now - settings_.mark_delay;
      stage_relocations();
    }
    filling().due = filling().open;
    if (!filling().open) return;
  }
  if (segment_is_new_) return submit_header();
  submit_batch();
}

// The header of a new life is durable before any batch of it is written. Were it to go with the
// first one, a crash could leave records in a segment that looks blank, and they would come to
// light again when a later crash tears its next first batch. And it is read back: if the disk had
// put it elsewhere, all of that life would be unseen, and nothing would tell of it.
void Journal::submit_header() {
  const MutableBytes block(head_block_);
  write_segment_header(block, {.segment = segment_,
                               .shard = settings_.shard,
                               .stream = settings_.stream,
                               .geometry = pool_.geometry(),
                               .life = pool_.life(segment_),
                               .previous_sequence = previous_sequence_,
                               .first_batch = batch_number_ + (filling().open ? 0 : 1)});
  head_segment_ = segment_;
  operation_ = Operation::write;
  job_ = Job::header;
  device_.write(segment_, header_offset, block);
}

void Journal::submit_batch() {
  Batch& batch = filling();
  uint32_t total = (batch.used + trailer_bytes + block_bytes - 1) / block_bytes * block_bytes;
  uint32_t gap = total - trailer_bytes - batch.used;
  if (gap != 0 && gap < record_header_bytes) {
    total += block_bytes;
    gap += block_bytes;
  }
  MX_ASSERT(total <= batch.buffer.size());
  MX_ASSERT(batch.offset + total <= pool_.geometry().segment_bytes);
  if (gap != 0) {
    const uint32_t length = gap - record_header_bytes;
    std::memset(batch.buffer.data() + batch.used + record_header_bytes, 0, length);
    seal_record(
        batch.buffer.data() + batch.used, batch.life, batch.offset + batch.used,
        {.length = length, .type = RecordType::pad, .batch = static_cast<uint32_t>(batch.number)});
  }
  const uint32_t trailer_at = total - trailer_bytes;
  previous_trailer_ = write_trailer(batch.buffer.data() + trailer_at, batch.offset + trailer_at,
                                    {.segment = batch.segment,
                                     .shard = settings_.shard,
                                     .stream = settings_.stream,
                                     .begin = batch.offset,
                                     .life = batch.life,
                                     .number = batch.number,
                                     .previous_hash = previous_trailer_});
  batch.used = total;
  tail_ = batch.offset + total;
  refused_ = false;
  operation_ = Operation::write;
  job_ = Job::batch;
  filling_ = 1 - filling_;
  MX_ASSERT(!filling().open);
  device_.write(batch.segment, batch.offset, batch.buffer.first(total));
}

void Journal::on_write(int64_t result) {
  MX_ASSERT(operation_ == Operation::write);
  const bool is_batch = job_ == Job::batch;
  const int64_t wanted = is_batch ? flying().used : block_bytes;
  if (!completed(result == wanted)) return;
  if (job_ == Job::grave_copy) {
    operation_ = Operation::none;
    pool_.finish_retire(head_segment_);
    ++stats_.segments_retired;
    return;
  }
  operation_ = Operation::flush;
  device_.flush(is_batch ? flying().segment : head_segment_);
}

void Journal::on_flush(int result) {
  MX_ASSERT(operation_ == Operation::flush);
  if (!completed(result == 0)) return;
  operation_ = Operation::none;
  ++stats_.flushes;
  switch (job_) {
    case Job::batch:
      // For a copy the original is let go.
      if (settings_.stream == Stream::cold) return read_back();
      finish_batch();
      break;
    case Job::header:
      return read_back();
    case Job::grave:
      operation_ = Operation::write;
      job_ = Job::grave_copy;
      device_.write(head_segment_, header_offset, head_block_);
      break;
    case Job::grave_copy:
      break;  // has no flush
  }
}

// Block by block; it is not in a hurry.
void Journal::read_back() {
  const bool is_batch = job_ == Job::batch;
  operation_ = Operation::read_back;
  device_.read_back(is_batch ? flying().segment : head_segment_,
                    is_batch ? flying().offset + seen_ : header_offset, seen_block_);
}

void Journal::on_read_back(int64_t result) {
  MX_ASSERT(operation_ == Operation::read_back);
  const bool is_batch = job_ == Job::batch;
  const Bytes wanted = is_batch ? Bytes(flying().buffer).subspan(seen_, block_bytes) : head_block_;
  if (!completed(result == block_bytes && std::ranges::equal(seen_block_, wanted))) return;
  operation_ = Operation::none;
  if (is_batch) {
    seen_ += block_bytes;
    if (seen_ < flying().used) return read_back();
    seen_ = 0;
    return finish_batch();
  }
  segment_is_new_ = false;
  if (health_ != Health::trying) return;
  health_ = Health::marks_only;
  if (!marks_wait()) salvage_.owed.reset();
}

void Journal::finish_batch() {
  Batch& batch = flying();
  durable_batch_ = batch.number;
  for (const StagedCommit& staged : batch.commits) {
    if (mail_) {
      mail_->switch_to(staged);
      continue;
    }
    index_.insert(staged.info).spans = staged.spans;
    results_.push_back({staged.result.cookie, staged.result.id, true});
  }
  const uint32_t messages = static_cast<uint32_t>(batch.commits.size());
  staged_commits_ -= messages;
  if (!failed())  // else nothing is let go any more
    for (const SegmentShare& share : batch.released) pool_.drop_live(share);
  else if (salvage_.done.empty())
    salvage_.owed.reset();
  for (Ending& ended : batch.ended) lingering_.push_back(std::move(ended));
  for (const Relocation& done : relocated_) pool_.unpin_older(done.target, done.below);
  relocated_.clear();
  ++stats_.batches;
  stats_.bytes_written += batch.used;
  stats_.messages += messages;
  stats_.messages_in_batch_max = std::max(stats_.messages_in_batch_max, messages);
  if (messages != 0)
    ++stats_.messages_in_batch[std::min<uint32_t>(
        15, static_cast<uint32_t>(std::bit_width(messages)) - 1)];
  batch.commits.clear();
  batch.released.clear();
  batch.ended.clear();
  batch.used = 0;
  batch.open = false;
  batch.due = false;
}

bool Journal::idle() const {
  if (health_ == Health::stopped) return operation_ == Operation::none;
  if (health_ == Health::well && (end_wanted_ || closing_.active)) return false;
  return (!bulk_ || bulk_->idle()) && (!cold_ || cold_->idle()) && operation_ == Operation::none &&
         health_ != Health::settling && !filling().open && !marks_wait();
}

bool Journal::next_result(CommitResult& result) {
  if (results_at_ == results_.size()) {
    results_.clear();
    results_at_ = 0;
    return false;
  }
  result = results_[results_at_++];
  return true;
}

}  // namespace mx::queue
