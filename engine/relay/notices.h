// engine/relay/notices.h - tells senders and the postmaster what became of mail: bounces, delay
// warnings, and reports of success that were asked for (RFC 3461).
//
// During an attempt Outbound notes rows: recipients that were refused for good, or delivered where
// nobody else will report it. When the attempt is over, begin() takes the message: its envelope and
// as much of its content as a notice needs are read back from the journal, the notices are composed
// (proto/mail/report.h) and committed to the journal like any mail, and only when they are durable
// are the recipients of the message marked as done. So a crash repeats a notice and never loses
// one. Then next_ended() gives the message back, and next_generated() the notices, to be routed.
//
//   no notice goes to     the null sender: the postmaster is told if notify_classes has 2bounce
//                         double_bounce_sender: nobody is told
//                         who asked for none (NOTIFY=)
//
// Each notice is on its own: one that has to wait keeps its recipients pending, those of the others
// end. One that can never be made (its address expands to more than may be) is dropped with a
// warning, as a bounce that nobody takes would be: the postmaster is told in its place if
// notify_classes has 2bounce. A postmaster's copy comes after what senders get, and is lost with a
// warning when it can't be made at once.
//
// With ringmx_bounce = quarantine a message is given back to be held, unless it is a notice of
// ours: that one ends here as it would without, so that none is told of in the next digest. Of
// its successes the sender is told all the same.
//
// Owner and threads: one shard. Memory: limits::notice_jobs_max messages at once, each at most
// bounce_size_limit and a record; what waits for its turn is one row a recipient. Fails: without
// room in the queue, or when a table can't be asked, the message waits and is tried again.
#pragma once

#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/io/loop.h"
#include "engine/io/slot_pool.h"
#include "engine/observe/counters.h"
#include "engine/observe/log.h"
#include "engine/policy/snapshot.h"
#include "engine/relay/next_hops.h"
#include "engine/relay/posting.h"
#include "engine/spool/spool.h"
#include "proto/mail/envelope.h"
#include "proto/mail/report.h"

namespace mx::relay {

inline constexpr uint8_t op_notice_read = 37;
inline constexpr uint8_t op_notice_commit = 38;  // cookie of a commit

// What is told of one recipient.
struct NoticeRow {
  uint32_t recipient = 0;  // index in the envelope
  mail::ReportKind kind = mail::ReportKind::failed;
  uint8_t status_class = 5;
  uint16_t subject = 0, detail = 0;
  std::string remote;  // empty: we say so
  std::string text;
  std::string_view action = {};  // of success; lives for ever. Empty: the kind's
};
NoticeRow alias_row(uint32_t recipient, mail::AliasNote note);

// Why begin() is called, and what next_ended() gives back.
struct NoticeCause {
  queue::MessageId id;
  // The reason that the journal keeps if recipients are left, and is told if that of theirs is not
  // that their next hop is down.
  std::string why;
  bool expired = false;     // all that are pending are given up
  bool delayed = false;     // else: the sender is warned of all that are pending
  bool listed = false;      // it stands in a list of waiting ones all the same
  bool quarantine = false;  // it is held instead, if it is no notice of ours
  bool claimed = false;     // ended: it stood in a list, and was taken out meanwhile
  bool told = false;        // ended: all that were to be told are
  bool warned = false;      // ended: of the delay, at least one is
  bool hold = false;        // ended: it is to be held
  bool damaged = false;     // ended: some of it can't be read back
  bool unreadable = false;  // … not even its envelope
};

class Notices {
 public:
  Notices(io::Loop& loop, spool::Spool& spool, const NextHops& next_hops, observe::LogStream& log,
          observe::Counters& counters);
  ~Notices();

  void set_snapshot(policy::SnapshotPointer snapshot, policy::SettingsPointer settings);

  void add(queue::MessageId id, NoticeRow row);
  // Rows have been noted for it.
  const std::vector<NoticeRow>* rows(queue::MessageId id) const;
  void drop_rows(queue::MessageId id) { rows_.erase(id); }
  // Who was refused is tried once more; a success stays one, and is told of later.
  void drop_refused(queue::MessageId id);
  // A job has it or will: nobody else may touch it. Who finds it in a list, takes it out of there,
  // and it is given back by next_ended() to be put into one.
  bool claim(queue::MessageId id);
  bool has(queue::MessageId id) const { return owned_.contains(id); }

  void begin(NoticeCause cause);
  void on_read(const io::Completion& completion);
  void on_commit(const queue::CommitResult& result);
  // End of turn: goes on with what waited for room.
  void pump();
  [[nodiscard]] bool next_ended(NoticeCause& cause);
  [[nodiscard]] bool next_generated(queue::MessageId& id);
  size_t jobs() const { return owned_.size(); }
  // Operations under way, of the ring or the journal: their memory must stay.
  uint32_t in_flight() const { return in_flight_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  // One notice to make: who gets it, from whom, about which rows.
  struct Notice {
    std::string to, from;
    mail::ReportKind kind = mail::ReportKind::failed;
    bool to_postmaster = false;
    bool copy = false;  // for information only
    bool whole = false;
    std::vector<uint32_t> rows;
  };
  struct Job {
    NoticeCause cause;
    queue::MessageInfo info;
    std::vector<NoticeRow> rows;
    bool planned = false;
    std::vector<bool> untold;  // for each row, once it is planned: a notice of it has to wait
    std::vector<std::byte> envelope;
    std::vector<queue::ChunkRef> chunks;
    std::vector<Notice> notices;
    size_t notice = 0;  // being made
    // reading
    std::unique_ptr<std::byte, Free> window;
    queue::Extent extent;
    queue::RecordType extent_type = queue::RecordType::commit;
    uint32_t chunk = 0;
    bool reading = false;
    std::string content;
    bool content_is_lost = false;  // can't be read back
    // writing
    Posting posting;
    bool committing = false;
  };

  void start();
  void read(Job& job, uint32_t slot, const queue::Extent& extent, queue::RecordType type);
  void unreadable(Job& job, uint32_t slot);
  bool take_commit(Job& job, Bytes payload);
  void plan(Job& job);
  void plan_rows(Job& job, mail::EnvelopeReader& envelope);
  void plan_row(Job& job, uint32_t row, const mail::EnvelopeHead& head,
                const mail::EnvelopeRecipient& recipient);
  Notice to_postmaster(const std::string& who, mail::ReportKind kind) const;
  void want(Job& job, Notice notice, uint32_t row);
  bool content_is_enough(const Job& job) const;
  void read_on(Job& job, uint32_t slot);
  policy::Expansion::Result compose(Job& job);
  void go_on(Job& job, uint32_t slot);
  bool written(Job& job, uint32_t slot);
  void waits(Job& job);
  void drop(Job& job, std::string_view why);
  void finish(Job& job, uint32_t slot);
  void log_notice(const Job& job, queue::MessageId id);

  io::Loop& loop_;
  spool::Spool& spool_;
  const NextHops& next_hops_;
  observe::LogStream& log_;
  observe::Counters& counters_;
  policy::SnapshotPointer snapshot_;
  policy::SettingsPointer settings_;
  std::unordered_map<queue::MessageId, std::vector<NoticeRow>> rows_;
  std::unordered_map<queue::MessageId, bool> owned_;  // true: claimed
  std::deque<NoticeCause> waiting_;
  io::SlotPool<Job> jobs_;
  std::deque<NoticeCause> ended_;
  std::deque<queue::MessageId> generated_;
  uint32_t in_flight_ = 0;
};

}  // namespace mx::relay
