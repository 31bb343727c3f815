// queue/recovery_pass.h - one recovery under way; see recovery.cc. Nobody else's business.
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queue/footer.h"
#include "queue/mark_format.h"
#include "queue/reader.h"
#include "queue/recovery.h"
#include "queue/segment_scan.h"

namespace mx::queue {

struct SeenChunk {
  MessageId id;
  uint64_t sequence;
  uint64_t hash;
  uint32_t offset;
  uint32_t length;
  uint32_t batch;
  RecordType type;
  bool claimed;
};

// A COMMIT. A message has more than one when a crash interrupted its move.
struct SeenCommit {
  static constexpr size_t none = std::numeric_limits<size_t>::max();
  RecoveredMessage message;
  uint64_t sequence = 0;
  uint32_t batch = 0;
  bool is_copy = false;         // in the cold stream
  bool is_absent = false;       // a MOVED tells of it, and it is not there
  size_t next_instance = none;  // of the same message
  bool finished = false;
  bool chunk_missing = false;
  bool chunk_of_earlier_batch_missing = false;
  bool chunk_has_ended = false;
  std::vector<uint64_t> pending;  // empty: all
  // The segment of the one mark that is needed: the oldest that finished it, or the one with its
  // state.
  uint32_t holder = 0;
};

struct SeenMark {
  MessageId id;
  RecordType type;
  uint32_t holder;
  std::vector<std::byte> payload;
};

struct WalkedSegment {
  uint32_t segment = 0;
  SegmentHeader header;
  bool header_lost = false;
  std::vector<Gap> gaps = {};
  std::optional<uint32_t> last_batch = {};   // of the last record that verifies
  std::optional<uint64_t> last_number = {};  // of the last trailer
  bool is_last_of_stream = false;
};

class Recovery {
 public:
  Recovery(SegmentReader& reader, const Geometry& geometry, Verify verify)
      : reader_(reader), geometry_(geometry), verify_(verify) {}
  Recovered run();

 private:
  bool read_faces();
  bool take_footer(WalkedSegment& walked);
  void take_footer_entry(const FooterEntry& entry, const WalkedSegment& walked);
  void walk(WalkedSegment& walked);
  void take_commit(const FoundRecord& record, const WalkedSegment& walked);
  bool chunk_is_there(const ChunkRef& chunk, MessageId id, uint64_t sequence);
  bool life_has_ended(const ChunkRef& chunk) const;
  [[nodiscard]] bool add_commit(SeenCommit commit);
  template <typename Visit>
  void each_instance(MessageId id, Visit&& visit);
  void take_mark(const FoundRecord& record, uint32_t holder);
  void carry_chunks();
  void find_absent();
  void apply_marks();
  void apply_state(SeenCommit& commit, const StateMark& mark, uint32_t holder);
  void apply_survivors(const SurvivorsMark& mark, uint32_t holder);
  void judge_gaps();
  void judge_ends();
  void judge_commits();
  void judge_commit(SeenCommit& commit, SeenCommit& chosen);
  SeenCommit& choose(SeenCommit& commit);
  void emit(SeenCommit& commit);
  void add_copies(SeenCommit& commit);
  bool may_be_torn(const WalkedSegment& walked, const Gap& gap) const;
  void tell(Damage damage, bool hold);

  SegmentReader& reader_;
  Geometry geometry_;
  Verify verify_;
  Recovered result_;
  std::vector<WalkedSegment> walked_;                         // bulk first, then by sequence
  std::vector<SeenCommit> commits_;                           // in the order of the walk
  std::unordered_map<MessageId, size_t> commit_of_;           // the first instance
  bool several_ = false;                                      // of some message
  std::map<uint64_t, std::pair<size_t, size_t>> commits_in_;  // sequence -> range of commits_
  std::vector<size_t> absent_;                                // in commits_
  std::vector<SeenMark> marks_;
  std::vector<SeenChunk> chunks_;  // of the segment being walked, by offset
  std::unordered_map<MessageId, std::vector<SeenChunk>> carried_;  // not yet asked for
  std::set<uint64_t> by_footer_;  // sequences of the segments that were not walked
  std::set<std::pair<uint32_t, uint32_t>> pins_;
};

template <typename Visit>
void Recovery::each_instance(MessageId id, Visit&& visit) {
  const auto found = commit_of_.find(id);
  if (found == commit_of_.end()) return;
  for (size_t i = found->second; i != SeenCommit::none; i = commits_[i].next_instance)
    visit(commits_[i]);
}

}  // namespace mx::queue
