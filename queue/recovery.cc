// Two passes. First every live segment is walked in the order of its sequence: COMMITs (checked
// against the chunks seen before them), marks, gaps. Then marks are applied in the same order,
// damage is told apart from torn ends, and what is unfinished and whole is the queue.
//
// Batches of one stream (epoch, shard, stream) were flushed one after the other, so anything later
// proves everything earlier was durable: only the last batch of a stream's last segment may be
// incomplete without damage. Bulk segments are walked first: a COMMIT was written when its bulk
// chunks were durable, so they must be there, though the segment may be younger than the COMMIT's.
#include <algorithm>
#include <tuple>

#include "proto/base/assert.h"
#include "proto/base/endian.h"
#include "queue/recovery_pass.h"

namespace mx::queue {
namespace {
constexpr size_t damage_kept_max = 1000;
}  // namespace

void Recovery::tell(Damage damage, bool hold) {
  if (damage.torn_tail) {
    ++result_.torn_tails;
  } else {
    ++result_.damage_count;
  }
  if (hold) result_.segments[damage.segment].damaged = true;
  if (result_.damage.size() < damage_kept_max) result_.damage.push_back(std::move(damage));
}

// False: refused.
bool Recovery::read_faces() {
  result_.segments.resize(geometry_.segment_count);
  for (uint32_t segment = 0; segment < geometry_.segment_count; ++segment) {
    SegmentFace face = read_face(reader_, segment, geometry_);
    RecoveredSegment& out = result_.segments[segment];
    result_.largest_sequence = std::max(result_.largest_sequence, face.largest_sequence);
    switch (face.kind) {
      case SegmentFace::Kind::absent:
        break;
      case SegmentFace::Kind::free:
        out.state = SegmentState::free;
        break;
      case SegmentFace::Kind::alive:
        out.state = SegmentState::sealed;
        out.shard = face.header.shard;
        out.life = face.header.life;
        walked_.push_back(
            {.segment = segment, .header = face.header, .header_lost = face.header_lost});
        break;
      case SegmentFace::Kind::refused:
        result_.refusal = face.text;
        result_.refused_segment = segment;
        return false;
      case SegmentFace::Kind::unreadable:
        out.state = SegmentState::poisoned;
        break;
    }
    if (!face.text.empty())
      tell({.segment = segment, .torn_tail = face.may_be_torn, .text = std::move(face.text)},
           false);
  }
  std::sort(walked_.begin(), walked_.end(), [](const WalkedSegment& a, const WalkedSegment& b) {
    const bool a_bulk = a.header.stream == Stream::bulk, b_bulk = b.header.stream == Stream::bulk;
    if (a_bulk != b_bulk) return a_bulk;
    return a.header.life.sequence < b.header.life.sequence;
  });
  std::map<std::tuple<uint64_t, uint16_t, Stream>, WalkedSegment*> last;
  for (WalkedSegment& walked : walked_)
    last[{walked.header.life.epoch, walked.header.shard, walked.header.stream}] = &walked;
  for (auto& [stream, walked] : last) walked->is_last_of_stream = true;
  return true;
}

// False: it has none that is whole; it is walked.
bool Recovery::take_footer(WalkedSegment& walked) {
  if (walked.header_lost) return false;
  const auto footer =
      read_footer(reader_, walked.segment, geometry_.segment_bytes, walked.header.life);
  if (!footer) return false;
  const size_t first_commit = commits_.size();
  for (const std::vector<std::byte>& payload : footer->parts) {
    FooterPart part;
    const bool opened = part.open(payload);
    MX_ASSERT(opened);
    result_.largest_id = std::max(result_.largest_id, part.head().largest_id);
    FooterEntry entry;
    while (part.next(entry)) {
      ++result_.records;
      take_footer_entry(entry, walked);
    }
  }
  walked.last_number = footer->last_batch;
  commits_in_[walked.header.life.sequence] = {first_commit, commits_.size()};
  by_footer_.insert(walked.header.life.sequence);
  ++result_.segments_by_footer;
  return true;
}

void Recovery::take_footer_entry(const FooterEntry& entry, const WalkedSegment& walked) {
  if (entry.type != RecordType::commit) {
    marks_.push_back(
        {entry.id, entry.type, walked.segment, {entry.payload.begin(), entry.payload.end()}});
    return;
  }
  const bool inside = entry.offset >= records_offset && entry.offset < geometry_.segment_bytes &&
                      record_bytes(entry.length) <= geometry_.segment_bytes - entry.offset;
  if (!inside || !entry.id || entry.recipients == 0) {
    tell({.segment = walked.segment,
          .offset = entry.offset,
          .id = entry.id,
          .text = "footer malformed"},
         true);
    return;
  }
  SeenCommit commit;
  commit.sequence = walked.header.life.sequence;
  commit.is_copy = walked.header.stream == Stream::cold;
  RecoveredMessage& message = commit.message;
  message.id = entry.id;
  message.commit = {walked.segment, entry.offset, entry.length};
  message.recipient_count = entry.recipients;
  message.size_class = entry.size_class != 0
                           ? entry.size_class
                           : size_class_of(record_bytes(entry.length) + block_bytes);  // a guess
  message.arrival = entry.arrival;
  for (const OtherSegment& other : entry.others) {
    const ChunkRef chunk{.extent = {other.share.segment, 0, 0}, .sequence = other.sequence};
    const bool there = other.share.segment < result_.segments.size() &&
                       result_.segments[other.share.segment].life.sequence == other.sequence;
    if (there) {
      message.other_segments.push_back(other.share);
      continue;
    }
    commit.chunk_missing = true;
    (life_has_ended(chunk) ? commit.chunk_has_ended : commit.chunk_of_earlier_batch_missing) = true;
  }
  if (!add_commit(std::move(commit)))
    tell({.segment = walked.segment,
          .offset = entry.offset,
          .id = entry.id,
          .text = "a second COMMIT of this message"},
         true);
}

// False: the message has one, and neither is a copy in the cold stream.
bool Recovery::add_commit(SeenCommit commit) {
  const auto [first, is_new] = commit_of_.try_emplace(commit.message.id, commits_.size());
  if (!is_new) {
    bool allowed = true;
    SeenCommit* last = nullptr;
    each_instance(commit.message.id, [&](SeenCommit& other) {
      allowed = allowed && (commit.is_copy || other.is_copy);
      last = &other;
    });
    if (!allowed) return false;
    last->next_instance = commits_.size();
    several_ = true;
  }
  commits_.push_back(std::move(commit));
  return true;
}

void Recovery::walk(WalkedSegment& walked) {
  SegmentWalk walk(reader_, walked.segment, geometry_.segment_bytes, walked.header.life);
  const size_t first_commit = commits_.size();
  chunks_.clear();
  FoundRecord record;
  while (walk.next(record)) {
    ++result_.records;
    result_.largest_id = std::max(result_.largest_id, record.header.id);
    walked.last_batch = record.header.batch;
    const RecordHeader& header = record.header;
    switch (header.type) {
      case RecordType::header_chunk:
      case RecordType::body_chunk:
        chunks_.push_back({header.id, walked.header.life.sequence, header.payload_hash,
                           record.offset, header.length, header.batch, header.type, false});
        break;
      case RecordType::commit:
        take_commit(record, walked);
        break;
      case RecordType::done:
      case RecordType::state:
      case RecordType::survivors:
      case RecordType::moved:
        take_mark(record, walked.segment);
        break;
      case RecordType::batch:
        if (const auto trailer = parse_trailer(record.payload))
          walked.last_number = trailer->number;
        break;
      case RecordType::footer: {
        // What it names may be damaged; its ids are not given again all the same.
        FooterPart part;
        if (part.open(record.payload))
          result_.largest_id = std::max(result_.largest_id, part.head().largest_id);
        break;
      }
      case RecordType::pad:
        break;
      case RecordType::none:
      case RecordType::hold:
      case RecordType::envelope_part:
        tell({.segment = walked.segment,
              .offset = record.offset,
              .id = header.id,
              .text = "record of a type that this version does not know"},
             true);
        break;
    }
  }
  walked.gaps = walk.gaps();
  commits_in_[walked.header.life.sequence] = {first_commit, commits_.size()};
  carry_chunks();
  if (walk.view().unreadable_blocks() != 0)
    tell({.segment = walked.segment,
          .text = std::to_string(walk.view().unreadable_blocks()) + " blocks can't be read"},
         true);
}

// What no COMMIT of this segment asked for may be asked for by one in a later segment.
void Recovery::carry_chunks() {
  for (const SeenChunk& chunk : chunks_)
    if (!chunk.claimed) carried_[chunk.id].push_back(chunk);
  chunks_.clear();
}

bool Recovery::chunk_is_there(const ChunkRef& chunk, MessageId id, uint64_t sequence) {
  // Not looked at: reading the message will show it.
  if (by_footer_.contains(chunk.sequence))
    return chunk.extent.segment < result_.segments.size() &&
           result_.segments[chunk.extent.segment].life.sequence == chunk.sequence;
  SeenChunk* seen = nullptr;
  if (chunk.sequence == sequence) {
    const auto at = std::lower_bound(
        chunks_.begin(), chunks_.end(), chunk.extent.offset,
        [](const SeenChunk& have, uint32_t offset) { return have.offset < offset; });
    if (at != chunks_.end() && at->offset == chunk.extent.offset) seen = &*at;
  } else if (const auto found = carried_.find(id); found != carried_.end()) {
    for (SeenChunk& have : found->second)
      if (have.sequence == chunk.sequence && have.offset == chunk.extent.offset) seen = &have;
  }
  if (seen == nullptr || seen->id != id || seen->type != chunk.type ||
      seen->length != chunk.extent.length || seen->hash != chunk.payload_hash)
    return false;
  seen->claimed = true;
  return true;
}

bool Recovery::life_has_ended(const ChunkRef& chunk) const {
  if (chunk.extent.segment >= result_.segments.size()) return false;
  const RecoveredSegment& segment = result_.segments[chunk.extent.segment];
  return segment.state != SegmentState::poisoned && segment.state != SegmentState::absent &&
         segment.life.sequence != chunk.sequence;
}

void Recovery::take_commit(const FoundRecord& record, const WalkedSegment& walked) {
  const MessageId id = record.header.id;
  CommitView view;
  if (!view.open(record.payload) || !id) {
    tell({.segment = walked.segment, .offset = record.offset, .id = id, .text = "COMMIT malformed"},
         true);
    return;
  }
  SeenCommit commit;
  commit.sequence = walked.header.life.sequence;
  commit.is_copy = walked.header.stream == Stream::cold;
  commit.batch = record.header.batch;
  RecoveredMessage& message = commit.message;
  message.id = id;
  message.commit = {walked.segment, record.offset, record.header.length};
  message.recipient_count = view.recipient_count();
  message.arrival = view.arrival();
  uint32_t own_bytes = record_bytes(record.header.length);
  for (uint32_t i = 0; i < view.chunk_count(); ++i) {
    const ChunkRef chunk = view.chunk(i);
    const uint32_t bytes = record_bytes(chunk.extent.length);
    if (chunk.sequence == commit.sequence) own_bytes += bytes;
    if (!chunk_is_there(chunk, id, commit.sequence)) {
      commit.chunk_missing = true;
      if (chunk.sequence == commit.sequence) continue;
      // A life ends only when nothing unfinished is in it: then this message was judged before.
      (life_has_ended(chunk) ? commit.chunk_has_ended : commit.chunk_of_earlier_batch_missing) =
          true;
    } else if (chunk.extent.segment != walked.segment) {
      auto& others = message.other_segments;
      const auto known = std::find_if(others.begin(), others.end(), [&](const SegmentShare& share) {
        return share.segment == chunk.extent.segment;
      });
      if (known == others.end())
        others.push_back({chunk.extent.segment, bytes});
      else
        known->bytes += bytes;
    }
  }
  message.size_class = size_class_of(own_bytes);
  // What is not claimed may belong to another COMMIT of the message.
  if (const auto carried = carried_.find(id); carried != carried_.end())
    std::erase_if(carried->second, [](const SeenChunk& chunk) { return chunk.claimed; });
  if (!add_commit(std::move(commit)))
    tell({.segment = walked.segment,
          .offset = record.offset,
          .id = id,
          .text = "a second COMMIT of this message"},
         true);
}

void Recovery::take_mark(const FoundRecord& record, uint32_t holder) {
  marks_.push_back({record.header.id,
                    record.header.type,
                    holder,
                    {record.payload.begin(), record.payload.end()}});
}

void Recovery::apply_state(SeenCommit& commit, const StateMark& mark, uint32_t holder) {
  RecoveredMessage& message = commit.message;
  if (commit.finished || mark.recipient_count != message.recipient_count) return;
  const bool news = !message.marked || message.attempts != mark.attempts ||
                    message.next_attempt != mark.next_attempt || message.reason != mark.reason ||
                    message.warned != mark.warned;
  const std::vector<uint64_t> before = commit.pending;
  message.attempts = mark.attempts;
  message.next_attempt = mark.next_attempt;
  message.reason = mark.reason;
  message.warned = mark.warned;
  message.marked = true;
  const size_t words = mark.pending.size() / 8;
  if (commit.pending.empty()) commit.pending.assign(words, ~uint64_t{0});
  uint64_t any = 0;
  for (size_t i = 0; i < words; ++i) {
    commit.pending[i] &= load_le<uint64_t>(mark.pending.data() + i * 8);
    any |= commit.pending[i];
  }
  // One that says nothing new (a relocation that a crash cut off) is not needed.
  if (news || before != commit.pending) commit.holder = holder;
  if (any == 0) commit.finished = true;
}

void Recovery::apply_survivors(const SurvivorsMark& mark, uint32_t holder) {
  const auto found = commits_in_.find(mark.target_sequence);
  if (found == commits_in_.end()) return;  // its life has ended
  std::set<MessageId> survivors;
  for (uint32_t i = 0; i < mark.count; ++i) survivors.insert(mark.id(i));
  const auto apply = [&](SeenCommit& commit) {
    const Extent& extent = commit.message.commit;
    if (extent.segment == mark.target_segment && extent.offset >= mark.from &&
        extent.offset < mark.to && !commit.finished && !survivors.contains(commit.message.id)) {
      commit.finished = true;
      commit.holder = holder;
    }
  };
  for (size_t i = found->second.first; i < found->second.second; ++i) apply(commits_[i]);
  for (const size_t i : absent_)
    if (commits_[i].sequence == mark.target_sequence) apply(commits_[i]);
}

// MOVED was written when the COMMIT that it leads to was durable. Nothing else would miss the last
// batch of the cold stream.
void Recovery::find_absent() {
  for (const SeenMark& mark : marks_) {
    MovedMark moved;
    if (mark.type != RecordType::moved || !parse_moved(mark.payload, moved)) continue;
    const Place& to = moved.to;
    const auto lives = commits_in_.find(to.sequence);
    if (lives == commits_in_.end() || to.segment >= result_.segments.size() ||
        result_.segments[to.segment].life.sequence != to.sequence)
      continue;
    bool there = false;
    each_instance(mark.id, [&](const SeenCommit& commit) {
      there |= commit.sequence == to.sequence && commit.message.commit.offset == to.offset;
    });
    if (there) continue;
    SeenCommit commit;
    commit.message.id = mark.id;
    commit.message.commit = {to.segment, to.offset, 0};
    commit.sequence = to.sequence;
    commit.is_copy = commit.is_absent = true;
    commit.chunk_missing = commit.chunk_of_earlier_batch_missing = true;
    absent_.push_back(commits_.size());
    if (!add_commit(std::move(commit))) MX_ASSERT(false);  // copies are allowed
  }
}

// In the order of the walk. A mark whose COMMIT is gone belongs to a life that has ended.
void Recovery::apply_marks() {
  for (const SeenMark& mark : marks_) {
    if (mark.type == RecordType::survivors) {
      SurvivorsMark survivors;
      if (parse_survivors(mark.payload, survivors)) apply_survivors(survivors, mark.holder);
      continue;
    }
    StateMark state;
    MovedMark moved;
    if (mark.type == RecordType::state && !parse_state(mark.payload, state)) continue;
    if (mark.type == RecordType::moved && !parse_moved(mark.payload, moved)) continue;
    each_instance(mark.id, [&](SeenCommit& commit) {
      if (mark.type == RecordType::state) return apply_state(commit, state, mark.holder);
      if (mark.type == RecordType::moved && (commit.sequence != moved.from.sequence ||
                                             commit.message.commit.offset != moved.from.offset))
        return;
      if (!commit.finished) commit.holder = mark.holder;
      commit.finished = true;
    });
  }
  for (const SeenCommit& commit : commits_) {
    const uint32_t target = commit.message.commit.segment;
    if ((commit.finished || commit.message.marked) && target != commit.holder)
      pins_.insert({target, commit.holder});
  }
}

Recovered Recovery::run() {
  if (!read_faces()) return std::move(result_);
  for (WalkedSegment& walked : walked_)
    if (verify_ == Verify::all || !take_footer(walked)) walk(walked);
  find_absent();
  apply_marks();
  judge_gaps();
  judge_ends();
  judge_commits();
  result_.pins.assign(pins_.begin(), pins_.end());
  return std::move(result_);
}

Recovered recover(SegmentReader& reader, const Geometry& geometry, Verify verify) {
  MX_ASSERT(is_valid(geometry));
  return Recovery(reader, geometry, verify).run();
}

}  // namespace mx::queue
