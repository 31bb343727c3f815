// What the walk found, judged: gaps that are damage and gaps that a crash leaves; COMMITs that are
// messages of the queue.
#include <algorithm>
#include <tuple>

#include "proto/base/assert.h"
#include "queue/recovery_pass.h"

namespace mx::queue {

// Whether a gap can be what a crash left of the last batch. Batches are numbered one after the
// other: when a number is missing, a whole batch is, and that one was durable.
bool Recovery::may_be_torn(const WalkedSegment& walked, const Gap& gap) const {
  if (!walked.is_last_of_stream) return false;
  if (!gap.after) return true;
  if (gap.after != walked.last_batch) return false;
  if (!gap.after_trailer) return gap.before == gap.after;
  if (!gap.before && walked.header_lost) return true;
  return *gap.after ==
         (gap.before ? *gap.before + 1 : static_cast<uint32_t>(walked.header.first_batch));
}

void Recovery::judge_gaps() {
  for (const WalkedSegment& walked : walked_) {
    for (const Gap& gap : walked.gaps) {
      // After a whole batch, or none, and up to the end: that is where the journal had come to.
      // Whether something is missing there is known from the next segment, see judge_ends().
      if (!gap.after && gap.after_trailer) continue;
      const bool torn = may_be_torn(walked, gap);
      tell({.segment = walked.segment,
            .offset = gap.begin,
            .torn_tail = torn,
            .id = gap.id,
            .text = std::to_string(gap.end - gap.begin) +
                    (torn ? " bytes of the last batch incomplete" : " bytes damaged")},
           !torn);
    }
  }
}

// Each segment's header tells with which batch the one before ended.
void Recovery::judge_ends() {
  std::map<uint64_t, const WalkedSegment*> by_sequence;
  for (const WalkedSegment& walked : walked_) by_sequence[walked.header.life.sequence] = &walked;
  for (const WalkedSegment& walked : walked_) {
    if (walked.header_lost || walked.header.previous_sequence == 0) continue;
    const auto found = by_sequence.find(walked.header.previous_sequence);
    if (found == by_sequence.end()) continue;
    const WalkedSegment& previous = *found->second;
    if (previous.last_number == walked.header.first_batch - 1) continue;
    tell({.segment = previous.segment, .text = "its last batch is missing or incomplete"}, true);
  }
}

// Of the unfinished COMMITs of a message the oldest whole one counts: the original is in the mail
// stream, a copy is younger than what it was made from. None whole: the oldest.
SeenCommit& Recovery::choose(SeenCommit& commit) {
  SeenCommit* best = nullptr;
  const auto rank = [](const SeenCommit& c) {
    return std::tuple(c.chunk_missing, c.is_copy, c.sequence, c.message.commit.offset);
  };
  each_instance(commit.message.id, [&](SeenCommit& each) {
    if (!each.finished && (best == nullptr || rank(each) < rank(*best))) best = &each;
  });
  return *best;
}

void Recovery::judge_commits() {
  for (SeenCommit& commit : commits_)
    if (!commit.finished) judge_commit(commit, several_ ? choose(commit) : commit);
}

void Recovery::judge_commit(SeenCommit& commit, SeenCommit& chosen) {
  if (!commit.chunk_missing) {
    if (&commit == &chosen) emit(commit);
    return;
  }
  const auto walked = std::find_if(walked_.begin(), walked_.end(), [&](const WalkedSegment& each) {
    return each.header.life.sequence == commit.sequence;
  });
  MX_ASSERT(walked != walked_.end());
  const bool torn =
      commit.chunk_has_ended || (walked->is_last_of_stream && walked->last_batch == commit.batch &&
                                 !commit.chunk_of_earlier_batch_missing);
  const bool whole_elsewhere = !chosen.chunk_missing;
  if (whole_elsewhere && torn) return;  // a copy that a crash cut short
  if (!torn && &commit == &chosen) ++result_.messages_lost;
  tell({.segment = walked->segment,
        .offset = commit.message.commit.offset,
        .torn_tail = torn,
        .id = commit.message.id,
        .text = whole_elsewhere ? "a copy of the message is damaged; another one is whole"
                : commit.is_absent
                    ? "the message was moved here and is not there; it is lost"
                    : "parts of the message are missing or damaged; it is not delivered"},
       !torn);
}

// The other unfinished COMMITs of the message.
void Recovery::add_copies(SeenCommit& commit) {
  RecoveredMessage& message = commit.message;
  each_instance(message.id, [&](const SeenCommit& other) {
    if (&other == &commit || other.finished || other.is_absent) return;
    RecoveredCopy& copy = message.copies.emplace_back();
    copy.commit = other.message.commit;
    copy.sequence = other.sequence;
    copy.shares = other.message.other_segments;
    copy.shares.push_back({copy.commit.segment, bytes_of_class(other.message.size_class)});
  });
}

void Recovery::emit(SeenCommit& commit) {
  RecoveredMessage& message = commit.message;
  const uint32_t count = message.recipient_count;
  const auto is_pending = [&](uint32_t i) {
    return commit.pending.empty() || (commit.pending[i / 64] >> (i % 64) & 1) != 0;
  };
  for (uint32_t i = 0; i < count; ++i) {
    if (!is_pending(i)) continue;
    const uint32_t first = i;
    while (i < count && is_pending(i)) ++i;
    message.pending.emplace_back(first, i - first);
  }
  if (message.pending.empty()) return;
  if (several_) add_copies(commit);
  result_.messages.push_back(std::move(message));
}

}  // namespace mx::queue
