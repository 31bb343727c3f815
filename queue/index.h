// queue/index.h - the unfinished messages of one shard, in memory: about 80 bytes each; envelopes
// and bodies stay on disk.
//
// Filled by the journal when a COMMIT is durable and by recovery; changed only through the
// journal's mark functions, so that memory and disk tell the same story. Fixed capacity, no
// allocation after construction except the recipient sets of messages with more than 64 recipients.
// Owned by one shard thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/time.h"
#include "queue/format.h"
#include "queue/message_id.h"
#include "queue/message_info.h"

namespace mx::queue {

class Index {
 public:
  static constexpr uint32_t none = UINT32_MAX;

  Index(uint32_t capacity, uint32_t segment_count);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  uint32_t size() const { return size_; }  // finished ones with an unwritten mark included
  uint32_t unfinished() const { return size_ - finished_; }
  uint32_t capacity() const { return capacity_; }
  // Recipients that are not finished, and how many of them are held.
  uint64_t pending_recipients() const { return pending_recipients_; }
  uint64_t held_recipients() const { return held_recipients_; }

  // False when there is no unfinished message of this id.
  [[nodiscard]] bool find(MessageId id, MessageInfo& info) const;
  [[nodiscard]] bool is_pending(MessageId id, uint32_t recipient) const;
  // The next recipient >= `from` that is not finished, or `none`.
  uint32_t next_pending(MessageId id, uint32_t from) const;
  // Why the last attempt failed; empty when not known. Valid until the next change.
  std::string_view reason(MessageId id) const;

  // Bounded pages for listings: fills `out`, returns how many; `cursor` starts at 0 and is `none`
  // after the last page. Messages that come or go between pages may or may not be seen.
  size_t page(uint32_t& cursor, MessageInfo* out, size_t limit) const;

 private:
  friend class Journal;

  struct Entry {
    MessageId id;
    int64_t arrival_us = 0;
    int64_t next_attempt_us = 0;
    uint64_t pending = 0;  // one bit a recipient; above 64 recipients the slot in large_
    Extent commit;
    uint32_t previous_in_segment = none;  // in the order of commit offsets
    uint32_t next_in_segment = none;
    uint32_t next_dirty = none;
    uint16_t recipient_count = 0;
    uint16_t pending_count = 0;
    uint16_t attempts = 0;
    uint16_t reason = 0;
    bool used = false;
    bool dirty = false;   // its state is to be written
    bool spans = false;   // chunks in other segments than the commit's: see Journal
    bool marked = false;  // a state record exists
    bool warned = false;
    bool has_sender = false;  // see MessageInfo
    bool moving = false;      // the COMMIT of a copy is staged: see journal_moves.cc
    uint8_t size_class = 0;
  };
  static_assert(sizeof(Entry) <= 72);

  struct Reason {
    std::string text;
    uint32_t users = 0;
  };

  Entry& insert(
      const MessageInfo& info);  // all recipients pending; the caller checked the capacity
  void erase(uint32_t slot);
  // The message stands there now: after all others of that segment.
  void move(uint32_t slot, const Extent& commit, uint8_t size_class);
  void link(uint32_t slot);  // into the list of its COMMIT's segment
  void unlink(uint32_t slot);
  uint32_t lookup(MessageId id) const;
  // Clears bits [first, first + count); returns how many were set.
  uint32_t clear_pending(Entry& entry, uint32_t first, uint32_t count);
  void set_next_attempt(Entry& entry, WallTime at);
  bool test_pending(const Entry& entry, uint32_t recipient) const;
  void set_reason(Entry& entry, std::string_view text);
  MessageInfo info_of(const Entry& entry) const;
  uint32_t bucket_of(MessageId id) const;

  uint32_t capacity_;
  uint32_t size_ = 0, finished_ = 0;
  uint64_t pending_recipients_ = 0, held_recipients_ = 0;
  uint32_t free_head_ = none;
  uint32_t fresh_ = 0;  // entries from here on were never used
  uint32_t bucket_mask_;
  Entry* entries_;                       // constructed up to fresh_
  std::unique_ptr<uint32_t[]> buckets_;  // linear probing, backward-shift deletion
  std::unique_ptr<uint32_t[]> segment_head_;
  std::unique_ptr<uint32_t[]> segment_tail_;
  std::vector<std::vector<uint64_t>> large_;
  std::vector<uint32_t> large_free_;
  std::vector<Reason> reasons_;  // [0] is "none"; bounded
};

}  // namespace mx::queue
