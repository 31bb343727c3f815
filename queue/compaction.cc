#include "queue/compaction.h"

#include <algorithm>
#include <utility>

#include "proto/base/assert.h"

namespace mx::queue {
namespace {
constexpr size_t work_max = 256;
constexpr size_t endings_max = 1024;  // moved messages whose old place is not let go yet
constexpr uint32_t candidates_tried = 8;
constexpr Duration copies_wait_max = seconds(1);
}  // namespace

MutableBytes Compaction::Window::take(uint32_t bytes) {
  if (bytes > capacity) {
    memory.reset(static_cast<std::byte*>(std::aligned_alloc(block_bytes, bytes)));
    MX_ASSERT(memory != nullptr);
    capacity = bytes;
  }
  return {memory.get(), bytes};
}

std::optional<Instant> Compaction::deadline() const {
  if (stopped_ || journal_.failed() || reading_) return std::nullopt;
  if (staged_since_) return std::min(*staged_since_ + copies_wait_max, next_look_);
  if (phase_ == Phase::idle && index_.size() == 0) return std::nullopt;
  return next_look_;
}

// --- what to move

uint64_t Compaction::live_max() const {
  return pool_.geometry().segment_bytes / (pool_.low() ? 2 : 4);
}

// If a message larger than this is moved again and again because of its end in the next segment,
// each move leaves another such end.
uint64_t Compaction::copied_max() const {
  return pool_.geometry().segment_bytes - live_max();
}

bool Compaction::may_move(const Journal::Resident& resident, WallTime wall) const {
  MessageInfo info;
  if (!index_.find(resident.id, info)) return false;
  const Duration age = pool_.low() ? settings_.age_low : settings_.age;
  return info.attempts > 0 || info.next_attempt == held_until || wall - info.arrival >= age;
}

// What is to be moved out of this segment; false: not worth it, or not now.
bool Compaction::gather(uint32_t segment, WallTime wall) {
  journal_.residents(segment, work_, work_max);
  work_at_ = 0;
  if (target_ == segment && work_.empty()) ++segments_emptied_;
  uint64_t bytes = 0;
  for (const Journal::Resident& resident : work_) bytes += resident.bytes;
  if (!work_.empty() && bytes <= copied_max() &&
      std::all_of(work_.begin(), work_.end(), [&](const auto& r) { return may_move(r, wall); }))
    return true;
  work_.clear();
  return false;
}

bool Compaction::is_candidate(uint32_t segment) const {
  return pool_.state(segment) == SegmentState::sealed && pool_.owner(segment) == settings_.shard &&
         !pool_.held(segment) && pool_.live(segment) != 0 &&
         pool_.live_bytes(segment) <= live_max() && now_ >= left_alone_[segment];
}

// The emptiest. What can't be moved now is not tried again before all others were.
bool Compaction::choose(WallTime wall) {
  for (uint32_t tried = 0; tried < candidates_tried; ++tried) {
    uint32_t found = 0;
    uint32_t best = Index::none;
    for (uint32_t segment = 0; segment < pool_.geometry().segment_count; ++segment) {
      if (not_now_[segment] || !is_candidate(segment)) continue;
      ++found;
      if (best == Index::none || pool_.live_bytes(segment) < pool_.live_bytes(best)) best = segment;
    }
    if (found == 0 || (found == 1 && journal_.cold_room() < pool_.live_bytes(best))) {
      not_now_.assign(not_now_.size(), false);
      return false;
    }
    if (gather(best, wall)) {
      target_ = best;
      return true;
    }
    not_now_[best] = true;
  }
  return false;
}

void Compaction::look(Instant now, WallTime wall) {
  if (now < next_look_) return;
  if (choose(wall)) return;
  next_look_ = now + (pool_.low() ? settings_.look_low : settings_.look);
  commit_window_ = {};
  chunk_window_ = {};
}

// --- moving it

std::optional<Compaction::Read> Compaction::step(Instant now, WallTime wall) {
  now_ = now;
  std::optional<Read> wanted;
  if (journal_.failed() || reading_) return wanted;
  const bool may_begin =
      !stopped_ && journal_.endings() < endings_max && (pool_.low() || !journal_.pressed());
  while (!wanted) {
    if (phase_ == Phase::idle) {
      if (!may_begin) break;
      if (target_ == Index::none) look(now, wall);
      if (target_ == Index::none) break;
      if (!next_message()) {
        if (std::exchange(progress_, false) && gather(target_, wall)) continue;
        not_now_[target_] = true;  // what is left of it, a later look finds
        drop_target();
        continue;
      }
    }
    if (stopped_) {
      give_up_message();
      break;
    }
    if (!go_on(wanted)) break;
  }
  const bool nothing_follows = phase_ == Phase::idle && target_ == Index::none;
  if (staged_since_ && (nothing_follows || stopped_ || now - *staged_since_ >= copies_wait_max)) {
    journal_.flush_copies();
    staged_since_.reset();
  }
  return wanted;
}

// Begins with the next one of the list; false: there is none.
bool Compaction::next_message() {
  while (work_at_ < work_.size()) {
    const MessageId id = work_[work_at_++].id;
    if (!index_.find(id, info_) || (readers_ && readers_->reads(id))) continue;
    phase_ = Phase::commit;
    read_result_ = 0;
    return true;
  }
  return false;
}

// One more thing done for the message. False: it has to wait.
bool Compaction::go_on(std::optional<Read>& wanted) {
  switch (phase_) {
    case Phase::idle:
      return true;
    case Phase::commit:
      if (read_result_ == 0) return (wanted = read(info_.commit, commit_window_)).has_value();
      if (!take_commit()) give_up_message();
      return true;
    case Phase::chunk:
      if (chunk_ == commit_.chunk_count()) {
        phase_ = Phase::done;
        return true;
      }
      phase_ = Phase::append;
      return (wanted = read(commit_.chunk(chunk_).extent, chunk_window_)).has_value();
    case Phase::append:
      return append_chunk();
    case Phase::done:
      return commit();
  }
  return false;
}

std::optional<Compaction::Read> Compaction::read(const Extent& extent, Window& window) {
  const queue::Window blocks = window_of(extent);
  const uint64_t end = uint64_t{blocks.offset} + blocks.length;
  if (extent.segment >= pool_.geometry().segment_count || end > pool_.geometry().segment_bytes) {
    damaged(extent, "its COMMIT points outside of the queue");
    give_up_message();
    return std::nullopt;
  }
  reading_ = true;
  return Read{extent.segment, blocks.offset, window.take(blocks.length)};
}

void Compaction::on_read(int64_t result) {
  MX_ASSERT(reading_);
  reading_ = false;
  read_result_ = result == 0 ? -1 : result;
}

// The payload that was read, verified. Nothing: told if that is damage.
std::optional<Bytes> Compaction::took(const Extent& extent, RecordType type, const Window& window) {
  const queue::Window blocks = window_of(extent);
  const bool whole = read_result_ == int64_t{blocks.length};
  read_result_ = 0;
  std::optional<Bytes> payload;
  if (whole)
    payload = decode_record({window.memory.get(), blocks.length}, extent,
                            pool_.life(extent.segment), type, info_.id);
  // When it has ended meanwhile, its place may hold other things by now.
  if (!payload && still_there())
    damaged(extent, whole ? "its record does not verify" : "it can't be read");
  return payload;
}

bool Compaction::still_there() const {
  MessageInfo now;
  return index_.find(info_.id, now) && now.commit == info_.commit;
}

void Compaction::damaged(const Extent& extent, const char* text) {
  damaged_ = Damaged{info_.id, extent.segment, extent.offset, text};
  leave_alone();
}

// The segment that is being emptied.
void Compaction::leave_alone() {
  left_alone_[target_] = now_ + settings_.damaged_again;
  drop_target();
}

void Compaction::drop_target() {
  work_.clear();
  work_at_ = 0;
  target_ = Index::none;
}

void Compaction::give_up_message() {
  if (draft_.open()) journal_.abandon(draft_);
  phase_ = Phase::idle;
  read_result_ = 0;
}

bool Compaction::take_commit() {
  const auto payload = took(info_.commit, RecordType::commit, commit_window_);
  if (!payload) return false;
  if (!commit_.open(*payload) || commit_.recipient_count() != info_.recipient_count) {
    damaged(info_.commit, "its COMMIT is malformed");
    return false;
  }
  journal_.begin_copy(draft_, info_);
  chunk_ = 0;
  phase_ = Phase::chunk;
  return true;
}

bool Compaction::append_chunk() {
  const ChunkRef chunk = commit_.chunk(chunk_);
  const auto wait = read_result_;
  const auto payload = took(chunk.extent, chunk.type, chunk_window_);
  if (!payload || pool_.life(chunk.extent.segment).sequence != chunk.sequence) {
    if (payload && still_there()) damaged(chunk.extent, "a part of it is of another time");
    give_up_message();
    return true;
  }
  const Status status = journal_.copy_chunk(draft_, chunk.type, *payload);
  if (status == Status::ok) {
    ++chunk_;
    phase_ = Phase::chunk;
    return true;
  }
  read_result_ = wait;  // it is still in the window
  return refused(status);
}

bool Compaction::commit() {
  if (!still_there()) {
    give_up_message();
    return true;
  }
  const Status status = journal_.commit_copy(draft_, commit_.recipient_count(), commit_.envelope());
  if (status != Status::ok) return refused(status);
  progress_ = true;
  if (!staged_since_) staged_since_ = now_;
  phase_ = Phase::idle;
  return true;
}

// False: wait, and try the same again.
bool Compaction::refused(Status status) {
  if (status == Status::later) return false;
  give_up_message();
  status == Status::too_large ? leave_alone() : drop_target();
  next_look_ = now_ + settings_.look_low;
  return true;
}

}  // namespace mx::queue
