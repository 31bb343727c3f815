// queue/journal.h - makes messages durable: one journal a shard, group commit into segments of the
// pool.
//
// Two buffers: one batch on its way to the device, one being filled. pump() sends the filled one as
// soon as none is under way; no artificial delay. The owner reports completions with on_write() and
// on_flush(), then takes the results. A message is acknowledged only by a result with ok == true:
// its chunks and its COMMIT are in flushed batches (batches are written and flushed strictly one
// after the other, across segments too).
//
//   Draft draft; journal.begin(draft, wall_now);          // draft.id() is the queue id
//   journal.append_chunk(draft, ChunkKind::header, ...);  // then bodies, each <= chunk_bytes_max()
//   journal.commit(draft, recipients, envelope, cookie);
//   journal.pump(now);
//   ... on_write(), on_flush() ...; while (journal.next_result(result)) ...
//
// A small message never waits for the bytes of a large one: a second journal of the shard, on
// buffers and a device queue of its own, takes the pieces of large bodies (Stream::bulk; see
// use_bulk()). The COMMIT of such a message is refused with `later` until they are durable. A third
// one takes what has lived long (Stream::cold; see use_cold() and compaction.h).
//
// Marks (what became of recipients) change the index at once and are written with the next batch,
// or alone after at most a second: see deadline(). They are never refused while the journal works.
// After a crash a message may be delivered again when its mark was not yet durable, never lost.
//
// Failure: a short write, a write error or a flush error is never retried. The segment is poisoned,
// every message not yet acknowledged gets a result with ok == false, failed() stays true until
// restart. Delivery waits, and goes on only while keeps_marks(): journal_salvage.cc. Without marks
// every restart would deliver again.
//
// Cost: one copy and one hash of every byte; no allocation in steady state for messages of one
// segment. Owned by one shard thread; only the SegmentPool is shared.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proto/base/bytes.h"
#include "proto/base/small_vector.h"
#include "proto/base/time.h"
#include "queue/batch.h"
#include "queue/device.h"
#include "queue/draft.h"
#include "queue/footer.h"
#include "queue/format.h"
#include "queue/index.h"
#include "queue/journal_stats.h"
#include "queue/mark_format.h"
#include "queue/salvage.h"
#include "queue/segment_pool.h"

namespace mx::queue {

struct RecoveredMessage;

struct JournalSettings {
  uint16_t shard = 0;
  Stream stream = Stream::mail;
  uint64_t epoch = 0;          // random, new at every start of the process
  MessageId largest_known_id;  // Recovered::largest_id
  // What marks may have of the reserve; relocation, where there is nobody else to need it.
  SegmentPool::Purpose marks = SegmentPool::Purpose::marks;
  Duration mark_delay = seconds(1);
  Duration settle = milliseconds(250);  // after a failure, before marks go elsewhere
  Duration salvage_limit = seconds(1);  // so soon these must be durable there
};

class Journal {
 public:
  // The buffers are the owner's (they may be registered with the ring): two, of the same size,
  // aligned to 4 KiB, a multiple of 4 KiB, at least 64 KiB. All must outlive the journal.
  Journal(const JournalSettings& settings, SegmentPool& pool, Device& device, Index& index,
          MutableBytes buffer_a, MutableBytes buffer_b);

  // Before the first message: large bodies go there from now on. `bulk` has the same shard, epoch,
  // pool, index and size of buffers, and a Device of its own. Its completions are reported to it;
  // pump(), hurry(), idle() and failure are seen to here. Without it everything is one stream.
  void use_bulk(Journal& bulk);

  // The same for the copies that compaction makes. `readers` may be null, and outlives the journal.
  void use_cold(Journal& cold);
  void use_readers(Readers* readers) { readers_ = readers; }

  // Before the first pump: a message that recovery found in a segment owned by this shard, in the
  // order of Recovered::messages. False when the index is full (make it larger).
  [[nodiscard]] bool adopt(const RecoveredMessage& message);

  bool accepting() const { return !failed() && !pool_.device_failed(); }
  bool failed() const { return health_ != Health::well; }
  Health health() const { return health_; }
  bool keeps_marks() const;  // delivery may go on: what it leads to will be remembered

  // --- messages
  // Purpose::notices: a notice, which may use the reserve, so that a full queue can say so and
  // drain.
  void begin(Draft& draft, WallTime now,
             SegmentPool::Purpose purpose = SegmentPool::Purpose::messages);
  uint32_t chunk_bytes_max() const { return chunk_bytes_max_; }
  Status append_chunk(Draft& draft, ChunkKind kind, Bytes bytes);
  // ok: the draft is closed and a result with this cookie will follow. 1..65,535 recipients.
  Status commit(Draft& draft, uint16_t recipient_count, Bytes envelope, uint64_t cookie);
  void abandon(Draft& draft);

  // --- marks. False: no such unfinished message (or range outside its recipients).
  [[nodiscard]] bool mark_done(MessageId id, uint32_t first_recipient, uint32_t count, Instant now);
  // All recipients still pending wait. `reason` longer than limits::defer_reason_bytes_max is
  // refused.
  [[nodiscard]] bool mark_deferred(MessageId id, WallTime next_attempt, uint16_t attempts,
                                   std::string_view reason, Instant now);
  // Its sender knows of the delay; it has one (in memory only: spares others the envelope).
  [[nodiscard]] bool mark_warned(MessageId id, Instant now);
  void note_sender(MessageId id);

  // --- compaction: a message is copied to the cold stream, chunk by chunk, then stands there. Its
  // old place is let go when that is durable and nobody reads it any more.
  struct Resident {
    MessageId id;
    uint64_t bytes = 0;  // of all its records, wherever they are
  };
  // Unfinished messages with a record in this segment, at most `limit`, those being moved left out.
  void residents(uint32_t segment, std::vector<Resident>& out, size_t limit) const;
  void begin_copy(Draft& draft, const MessageInfo& info);
  Status copy_chunk(Draft& draft, RecordType type, Bytes bytes);
  // REQUIRES: the message is unfinished and not being moved.
  Status commit_copy(Draft& draft, uint16_t recipient_count, Bytes envelope);
  void flush_copies();             // those committed go with the next pump()
  uint32_t copies_staged() const;  // committed, not durable yet
  size_t endings() const { return endings_.size() + lingering_.size(); }
  uint32_t cold_room() const;  // left in the cold stream's segment
  bool pressed() const;        // mail waits for the device

  // --- the device
  // Starts the next operation when none is under way and there is something to write.
  void pump(Instant now);
  void on_write(int64_t result);
  void on_flush(int result);
  void on_read_back(int64_t result);
  bool busy() const { return operation_ != Operation::none; }
  // When pump() must be called at the latest though nothing else happens (marks waiting, work
  // postponed).
  std::optional<Instant> deadline() const;
  // Nothing staged, nothing under way, no mark waiting: for an orderly end.
  bool idle() const;
  bool marks_wait() const {
    return dirty_head_ != Index::none || !endings_.empty() || !salvage_.done.empty();
  }
  [[nodiscard]] bool next_result(CommitResult& result);
  bool has_results() const { return results_at_ < results_.size(); }

  // Work that pump() does by itself when the pool runs low; here for an orderly end and for tests:
  // write everything that waits, however young.
  void hurry();
  // An orderly end: the open segments end in their footers before idle() is true, so that what was
  // written last has a follower that would miss it.
  void end_segments();

  const JournalStats& stats() const { return stats_; }

 private:
  enum class Operation : uint8_t { none, write, flush, read_back };
  enum class Job : uint8_t { batch, header, grave, grave_copy };  // what that is for

  // What a record takes: in its batch, and in the footer of its segment.
  struct Need {
    uint32_t bytes = 0;
    uint32_t footer = 0;
    Need operator+(Need other) const { return {bytes + other.bytes, footer + other.footer}; }
  };
  // journal.cc: messages and batches
  uint32_t fresh_room() const;  // for records, in the first batch of a segment
  Status put_chunk(Draft& draft, RecordType type, Bytes bytes);
  Need mark_room() const;  // kept in every batch for marks
  Status room_for(Need need, SegmentPool::Purpose purpose);
  Status begin_batch(Need need, SegmentPool::Purpose purpose);
  void open_batch(uint32_t room);
  uint64_t put(RecordHeader header, Bytes payload);
  void advance(uint32_t record_length);
  void stage_commit(const Draft& draft, const MessageInfo& info, uint64_t cookie);
  void reference(Draft& draft, uint32_t segment, uint32_t bytes);
  uint8_t settle_share(const Draft& draft, uint32_t segment);
  void submit_batch();
  void submit_header();
  void read_back();
  void finish_batch();
  Batch& filling() { return batches_[filling_]; }
  const Batch& filling() const { return batches_[filling_]; }

  // journal_segments.cc: going from one segment to the next
  uint64_t closing_bytes(uint64_t entries) const;
  bool fits(uint32_t offset, Need need) const;
  bool claim_next(SegmentPool::Purpose purpose);
  void stage_footer();
  void switch_segment();
  void leave_if_dead();
  void end_if_wanted();

  // journal_marks.cc: marks, relocation, retiring
  void make_dirty(uint32_t slot, Instant now);
  bool marks_due(Instant now) const;
  bool room_for_mark(Need need, SegmentPool::Purpose purpose);
  bool batch_takes(Need need) const;
  void stage_marks();
  bool stage_done(uint32_t slot);
  bool stage_state(uint32_t slot);
  uint32_t holder_to_free() const;
  bool choose_relocation();
  void stage_relocations();
  bool waits_for_copy(uint32_t target) const;
  bool stage_survivors();
  bool start_grave();

  // journal_salvage.cc: failure, and what follows it
  bool completed(bool well);
  void fail();
  void stop();
  bool salvage_goes_on(Instant now);
  std::optional<Instant> salvage_deadline() const;
  bool begin_salvage();
  void take_back_marks(const Batch& batch);
  bool stage_done_again();

  // journal_moves.cc: messages that move, and what they leave behind
  Place place_of(const Extent& commit) const;
  void take_places(uint32_t slot, std::vector<SegmentShare>& out);
  void switch_to(const StagedCommit& copy);
  bool stage_endings();
  bool stage_endings_of(uint32_t segment);
  bool stage_ending(Ending& ending, SegmentPool::Purpose purpose);
  void let_go();
  uint32_t known_end(uint32_t segment) const;

  Batch& flying() { return batches_[1 - filling_]; }
  const Batch& flying() const { return batches_[1 - filling_]; }

  // constant after construction
  JournalSettings settings_;
  SegmentPool& pool_;
  Device& device_;
  Index& index_;
  uint32_t chunk_bytes_max_;
  Journal* bulk_ = nullptr;
  Journal* cold_ = nullptr;
  Journal* mail_ = nullptr;  // of a cold one
  Readers* readers_ = nullptr;

  MessageIdSource ids_;
  Batch batches_[2];
  uint32_t filling_ = 0;
  Operation operation_ = Operation::none;
  Job job_ = Job::batch;
  Health health_ = Health::well;
  bool stale_ = false;  // the operation under way is of before a failure
  Salvage salvage_;
  bool hurry_ = false, end_wanted_ = false;
  bool refused_ = false;  // somebody got `later`

  // Where the next batch goes.
  bool have_segment_ = false;
  bool segment_is_new_ = false;  // its header is not durable yet: no batch may go there
  bool segment_is_reserve_ = false;
  bool segment_is_closed_ = false;  // its footer is in a batch: nothing more goes there
  uint32_t segment_ = 0;
  uint32_t tail_ = 0;
  FooterEntries footer_;  // of its records so far
  Closing closing_;
  std::optional<uint32_t> next_segment_;  // claimed
  bool next_is_reserve_ = false;
  uint64_t previous_sequence_ = 0;
  uint64_t batch_number_ = 0;
  uint64_t durable_batch_ = 0;  // the last one that is
  uint64_t previous_trailer_ = 0;

  uint32_t dirty_head_ = Index::none;
  uint32_t dirty_tail_ = Index::none;
  Instant dirty_since_;
  uint32_t staged_commits_ = 0;
  Instant now_;                                                              // of the last pump()
  std::unordered_map<MessageId, std::vector<SegmentShare>> other_segments_;  // of those that span
  std::vector<SegmentShare> left_;  // by the message being moved
  std::vector<Ending> endings_;     // no batch has their mark yet
  std::vector<Ending> lingering_;   // the mark is durable
  std::vector<CommitResult> results_;
  size_t results_at_ = 0;

  Relocation relocation_;
  std::vector<Relocation> relocated_;  // whole in the batch under way
  uint32_t head_segment_ = 0;
  uint32_t retire_cursor_ = 0;
  std::vector<MessageId> survivors_;
  bool grave_was_last_ = false;
  alignas(block_bytes) std::byte head_block_[block_bytes];  // header or grave
  alignas(block_bytes) std::byte seen_block_[block_bytes];  // read back
  uint32_t seen_ = 0;                                       // of the cold batch under way

  JournalStats stats_;
};

}  // namespace mx::queue
