// queue/compaction.h - moves what lives long out of segments that are mostly dead, so that these
// end: one held message would pin 64 MiB.
//
// A sealed segment of ours is a candidate when what lives in it is less than a quarter of a segment
// (half, when the pool is low) and all of it has waited a while. Its messages, but those that are
// being read, are copied, record by record, to the cold stream (journal_moves.cc); then the segment
// has no life, and ends as any other. A record is copied only when it verifies: if one does not,
// the message stays where it is, that is told, and its segment is left alone for a while: a read
// that fails may be the disk's mood.
//
// Moving pays: one candidate alone is not moved unless the cold stream's open segment has room for
// it; and what is copied for one segment is less than what would fill the cold stream so that the
// next candidate is the copy itself (see copied_max()). So nothing is moved to and fro for ever.
//
// Low priority: at most one read under way, none while mail waits for the device, unless segments
// run short. Sans-IO: step() names the read to do, the owner reports it. Memory: one COMMIT and one
// chunk. Owned by one shard thread.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "queue/journal.h"
#include "queue/reader.h"

namespace mx::queue {

struct CompactionSettings {
  uint32_t shard = 0;
  Duration age = seconds(60);  // younger mail that was never tried may yet go by itself
  Duration look = seconds(5);  // between searches for candidates
  // When segments run short.
  Duration age_low = seconds(2);
  Duration look_low = milliseconds(250);
  Duration damaged_again = seconds(600);  // before a segment is tried again that has damage
};

class Compaction {
 public:
  struct Read {
    uint32_t segment = 0;
    uint32_t offset = 0;
    MutableBytes into;  // aligned to 4 KiB; the owner's until on_read()
  };
  // A message that can't be copied, because what is there is not what was written.
  struct Damaged {
    MessageId id;
    uint32_t segment = 0;
    uint32_t offset = 0;
    const char* text = "";
  };

  Compaction(const CompactionSettings& settings, Journal& mail, SegmentPool& pool, Index& index)
      : settings_(settings),
        journal_(mail),
        pool_(pool),
        index_(index),
        left_alone_(pool.geometry().segment_count),
        not_now_(pool.geometry().segment_count) {}

  void use_readers(Readers* readers) { readers_ = readers; }

  // Does what can be done now, before the journal's pump(). The read to start, if there is one;
  // none is asked for before on_read() of the one before.
  std::optional<Read> step(Instant now, WallTime wall);
  // Bytes read, or a negative errno.
  void on_read(int64_t result);
  bool reading() const { return reading_; }
  // When step() has something to do though nothing else happens.
  std::optional<Instant> deadline() const;
  // For an orderly end: nothing new is begun.
  void stop() { stopped_ = true; }
  // Each once.
  std::optional<Damaged> take_damaged() { return std::exchange(damaged_, std::nullopt); }
  uint64_t segments_emptied() const { return segments_emptied_; }

 private:
  enum class Phase : uint8_t { idle, commit, chunk, append, done };
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  struct Window {
    std::unique_ptr<std::byte, Free> memory;
    uint32_t capacity = 0;
    MutableBytes take(uint32_t bytes);
  };

  void look(Instant now, WallTime wall);
  bool choose(WallTime wall);
  bool is_candidate(uint32_t segment) const;
  bool gather(uint32_t segment, WallTime wall);
  bool may_move(const Journal::Resident& resident, WallTime wall) const;
  uint64_t live_max() const;
  uint64_t copied_max() const;
  bool next_message();
  std::optional<Read> read(const Extent& extent, Window& window);
  std::optional<Bytes> took(const Extent& extent, RecordType type, const Window& window);
  void damaged(const Extent& extent, const char* text);
  bool still_there() const;
  void leave_alone();
  void drop_target();
  void give_up_message();
  bool go_on(std::optional<Read>& wanted);
  bool take_commit();
  bool append_chunk();
  bool commit();
  bool refused(Status status);

  CompactionSettings settings_;
  Journal& journal_;
  SegmentPool& pool_;
  Index& index_;
  Readers* readers_ = nullptr;
  bool stopped_ = false;

  Phase phase_ = Phase::idle;
  bool reading_ = false;
  int64_t read_result_ = 0;
  Instant next_look_;
  std::optional<Instant> staged_since_;  // copies whose batch is not full yet
  Instant now_;

  uint32_t target_ = Index::none;
  std::vector<Instant> left_alone_;  // by segment: until then
  std::vector<bool> not_now_;        // by segment: it was looked at lately
  std::vector<Journal::Resident> work_;
  size_t work_at_ = 0;
  bool progress_ = false;  // some of it was copied

  MessageInfo info_;  // being copied
  Draft draft_;
  Window commit_window_, chunk_window_;
  CommitView commit_;
  uint32_t chunk_ = 0;
  std::optional<Damaged> damaged_;
  uint64_t segments_emptied_ = 0;
};

}  // namespace mx::queue
