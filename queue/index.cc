#include "queue/index.h"

#include <algorithm>
#include <bit>

#include "proto/base/assert.h"
#include "proto/base/limits.h"

namespace mx::queue {
namespace {
constexpr uint32_t inline_recipients = 64;
}

// Entries are not touched before their first use, so capacity that is never used costs no memory.
Index::Index(uint32_t capacity, uint32_t segment_count)
    : capacity_(capacity), bucket_mask_(std::bit_ceil(std::max(capacity, 8U) * 2) - 1) {
  MX_ASSERT(capacity >= 1 && capacity <= 1U << 28);
  entries_ = std::allocator<Entry>().allocate(capacity);
  buckets_ = std::make_unique_for_overwrite<uint32_t[]>(size_t{bucket_mask_} + 1);
  std::fill_n(buckets_.get(), size_t{bucket_mask_} + 1, none);
  segment_head_ = std::make_unique_for_overwrite<uint32_t[]>(segment_count);
  segment_tail_ = std::make_unique_for_overwrite<uint32_t[]>(segment_count);
  std::fill_n(segment_head_.get(), segment_count, none);
  std::fill_n(segment_tail_.get(), segment_count, none);
  reasons_.emplace_back();
}

Index::~Index() {
  static_assert(std::is_trivially_destructible_v<Entry>);
  std::allocator<Entry>().deallocate(entries_, capacity_);
}

uint32_t Index::bucket_of(MessageId id) const {
  return static_cast<uint32_t>(std::hash<MessageId>{}(id)) & bucket_mask_;
}

uint32_t Index::lookup(MessageId id) const {
  for (uint32_t b = bucket_of(id); buckets_[b] != none; b = (b + 1) & bucket_mask_)
    if (entries_[buckets_[b]].id == id) return buckets_[b];
  return none;
}

Index::Entry& Index::insert(const MessageInfo& info) {
  MX_ASSERT(size_ < capacity_);
  MX_ASSERT(info.recipient_count > 0);
  uint32_t slot = free_head_;
  if (slot != none) {
    free_head_ = entries_[slot].next_in_segment;
  } else {
    slot = fresh_++;
    std::construct_at(&entries_[slot]);
  }
  Entry& entry = entries_[slot];
  entry = Entry{};
  entry.used = true;
  entry.id = info.id;
  entry.commit = info.commit;
  entry.size_class = info.size_class;
  entry.arrival_us = info.arrival.us;
  entry.recipient_count = entry.pending_count = info.recipient_count;
  pending_recipients_ += info.recipient_count;
  if (info.recipient_count <= inline_recipients) {
    entry.pending = ~uint64_t{0} >> (inline_recipients - info.recipient_count);
  } else {
    if (large_free_.empty()) {
      large_free_.push_back(static_cast<uint32_t>(large_.size()));
      large_.emplace_back();
    }
    entry.pending = large_free_.back();
    large_free_.pop_back();
    auto& words = large_[entry.pending];
    words.assign((info.recipient_count + 63U) / 64, ~uint64_t{0});
    if (info.recipient_count % 64 != 0)
      words.back() = ~uint64_t{0} >> (64 - info.recipient_count % 64);
  }
  uint32_t b = bucket_of(info.id);
  for (; buckets_[b] != none; b = (b + 1) & bucket_mask_)
    MX_ASSERT(entries_[buckets_[b]].id != info.id);
  buckets_[b] = slot;
  link(slot);
  ++size_;
  return entry;
}

// The list of a segment is in the order of commit offsets: relocation walks it so.
void Index::link(uint32_t slot) {
  Entry& entry = entries_[slot];
  uint32_t& tail = segment_tail_[entry.commit.segment];
  entry.previous_in_segment = tail;
  entry.next_in_segment = none;
  if (tail == none) {
    segment_head_[entry.commit.segment] = slot;
  } else {
    MX_ASSERT(entries_[tail].commit.offset < entry.commit.offset);
    entries_[tail].next_in_segment = slot;
  }
  tail = slot;
}

void Index::unlink(uint32_t slot) {
  const Entry& entry = entries_[slot];
  const uint32_t segment = entry.commit.segment;
  (entry.previous_in_segment == none ? segment_head_[segment]
                                     : entries_[entry.previous_in_segment].next_in_segment) =
      entry.next_in_segment;
  (entry.next_in_segment == none ? segment_tail_[segment]
                                 : entries_[entry.next_in_segment].previous_in_segment) =
      entry.previous_in_segment;
}

void Index::move(uint32_t slot, const Extent& commit, uint8_t size_class) {
  unlink(slot);
  entries_[slot].commit = commit;
  entries_[slot].size_class = size_class;
  link(slot);
}

void Index::erase(uint32_t slot) {
  Entry& entry = entries_[slot];
  MX_ASSERT(entry.used);
  MX_ASSERT(!entry.dirty && entry.pending_count == 0);
  uint32_t hole = bucket_of(entry.id);
  while (buckets_[hole] != slot) hole = (hole + 1) & bucket_mask_;
  for (uint32_t b = (hole + 1) & bucket_mask_; buckets_[b] != none; b = (b + 1) & bucket_mask_) {
    const uint32_t home = bucket_of(entries_[buckets_[b]].id);
    if (((b - home) & bucket_mask_) < ((b - hole) & bucket_mask_))
      continue;  // home is after the hole
    buckets_[hole] = buckets_[b];
    hole = b;
  }
  buckets_[hole] = none;

  unlink(slot);
  if (entry.recipient_count > inline_recipients) {
    large_[entry.pending] = {};
    large_free_.push_back(static_cast<uint32_t>(entry.pending));
  }
  set_reason(entry, {});
  entry = Entry{};
  entry.next_in_segment = free_head_;
  free_head_ = slot;
  --size_;
  --finished_;
}

bool Index::test_pending(const Entry& entry, uint32_t recipient) const {
  if (recipient >= entry.recipient_count) return false;
  const uint64_t word = entry.recipient_count <= inline_recipients
                            ? entry.pending
                            : large_[entry.pending][recipient / 64];
  return (word >> (recipient % 64) & 1) != 0;
}

uint32_t Index::clear_pending(Entry& entry, uint32_t first, uint32_t count) {
  uint32_t cleared = 0;
  for (uint32_t i = first; i < first + count; ++i) {
    if (!test_pending(entry, i)) continue;
    uint64_t& word =
        entry.recipient_count <= inline_recipients ? entry.pending : large_[entry.pending][i / 64];
    word &= ~(uint64_t{1} << (i % 64));
    ++cleared;
  }
  entry.pending_count = static_cast<uint16_t>(entry.pending_count - cleared);
  if (cleared > 0 && entry.pending_count == 0) ++finished_;
  pending_recipients_ -= cleared;
  if (entry.next_attempt_us == held_until.us) held_recipients_ -= cleared;
  return cleared;
}

void Index::set_next_attempt(Entry& entry, WallTime at) {
  if (entry.next_attempt_us == held_until.us) held_recipients_ -= entry.pending_count;
  entry.next_attempt_us = at.us;
  if (at == held_until) held_recipients_ += entry.pending_count;
}

// Backends mostly repeat themselves, so each text is kept once. When there are more different ones
// than the table takes, a new one is not kept in memory; the record on disk has it.
void Index::set_reason(Entry& entry, std::string_view text) {
  if (reasons_[entry.reason].text == text) return;
  if (entry.reason != 0 && --reasons_[entry.reason].users == 0) reasons_[entry.reason].text.clear();
  entry.reason = 0;
  if (text.empty()) return;
  uint32_t free = 0;
  for (uint32_t i = 1; i < reasons_.size(); ++i) {
    if (reasons_[i].users == 0) free = i;
    if (reasons_[i].text != text) continue;
    ++reasons_[i].users;
    entry.reason = static_cast<uint16_t>(i);
    return;
  }
  if (free == 0) {
    if (reasons_.size() >= limits::defer_reasons_max) return;
    free = static_cast<uint32_t>(reasons_.size());
    reasons_.emplace_back();
  }
  reasons_[free].text = text;
  reasons_[free].users = 1;
  entry.reason = static_cast<uint16_t>(free);
}

MessageInfo Index::info_of(const Entry& entry) const {
  return {.id = entry.id,
          .commit = entry.commit,
          .arrival = {entry.arrival_us},
          .next_attempt = {entry.next_attempt_us},
          .recipient_count = entry.recipient_count,
          .pending_count = entry.pending_count,
          .attempts = entry.attempts,
          .warned = entry.warned,
          .has_sender = entry.has_sender,
          .size_class = entry.size_class};
}

bool Index::find(MessageId id, MessageInfo& info) const {
  const uint32_t slot = lookup(id);
  if (slot == none || entries_[slot].pending_count == 0) return false;
  info = info_of(entries_[slot]);
  return true;
}

bool Index::is_pending(MessageId id, uint32_t recipient) const {
  const uint32_t slot = lookup(id);
  return slot != none && test_pending(entries_[slot], recipient);
}

uint32_t Index::next_pending(MessageId id, uint32_t from) const {
  const uint32_t slot = lookup(id);
  if (slot == none) return none;
  const Entry& entry = entries_[slot];
  for (uint32_t i = from; i < entry.recipient_count; ++i)
    if (test_pending(entry, i)) return i;
  return none;
}

std::string_view Index::reason(MessageId id) const {
  const uint32_t slot = lookup(id);
  return slot == none ? std::string_view{} : std::string_view{reasons_[entries_[slot].reason].text};
}

size_t Index::page(uint32_t& cursor, MessageInfo* out, size_t limit) const {
  size_t count = 0;
  while (cursor < fresh_ && count < limit) {
    const Entry& entry = entries_[cursor++];
    if (entry.used && entry.pending_count > 0) out[count++] = info_of(entry);
  }
  if (cursor >= fresh_) cursor = none;
  return count;
}

}  // namespace mx::queue
