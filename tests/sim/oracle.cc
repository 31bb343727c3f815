#include "tests/sim/oracle.h"

#include <set>

#include "queue/reader.h"

namespace mx::sim {
namespace {

using queue::to_text;

std::string about(queue::MessageId id, const char* what) {
  return std::string(to_text(id).view()) + ": " + what;
}

std::vector<bool> pending_of(const queue::RecoveredMessage& message) {
  std::vector<bool> pending(message.recipient_count, false);
  for (const auto& [first, count] : message.pending)
    for (uint32_t i = first; i < first + count; ++i) pending.at(i) = true;
  return pending;
}

bool read_payload(queue::SegmentReader& reader, const queue::Recovered& recovered,
                  const queue::Extent& extent, queue::RecordType type, queue::MessageId id,
                  std::string& payload) {
  const queue::Window window = queue::window_of(extent);
  std::vector<std::byte> bytes(window.length);
  if (reader.read(extent.segment, window.offset, bytes) != int64_t{window.length}) return false;
  const auto found =
      queue::decode_record(bytes, extent, recovered.segments.at(extent.segment).life, type, id);
  if (found) payload.assign(as_text(*found));
  return found.has_value();
}

}  // namespace

std::string Oracle::check_message(const queue::RecoveredMessage& found,
                                  const queue::Recovered& recovered,
                                  queue::SegmentReader& reader) const {
  const auto at = messages_.find(found.id);
  if (at == messages_.end()) return about(found.id, "invented");
  const Tracked& tracked = at->second;
  if (tracked.fate == Fate::drafting) return about(found.id, "never committed");
  if (tracked.fate == Fate::gone) return about(found.id, "came back");
  if (found.recipient_count != tracked.done.size()) return about(found.id, "recipient count");
  const std::vector<bool> pending = pending_of(found);
  for (size_t i = 0; i < pending.size(); ++i) {
    if (!pending[i] && !tracked.done[i]) return about(found.id, "recipient lost");
    if (pending[i] && tracked.durably_done[i]) return about(found.id, "recipient came back");
  }
  if (found.attempts < tracked.durable_attempts || found.attempts > tracked.attempts)
    return about(found.id, "attempts");
  bool readable = true;
  return check_content(found, tracked, recovered, reader, readable);
}

std::string Oracle::check_content(const queue::RecoveredMessage& found, const Tracked& tracked,
                                  const queue::Recovered& recovered, queue::SegmentReader& reader,
                                  bool& readable) const {
  std::string payload;
  queue::CommitView view;
  if (!read_payload(reader, recovered, found.commit, queue::RecordType::commit, found.id,
                    payload) ||
      !view.open(as_bytes(payload))) {
    readable = false;
    return about(found.id, "COMMIT unreadable");
  }
  if (as_text(view.envelope()) != tracked.content->envelope) return about(found.id, "envelope");
  std::string header, body, piece;
  for (uint32_t i = 0; i < view.chunk_count(); ++i) {
    const queue::ChunkRef chunk = view.chunk(i);
    if (!read_payload(reader, recovered, chunk.extent, chunk.type, found.id, piece)) {
      readable = false;
      return about(found.id, "chunk unreadable");
    }
    (chunk.type == queue::RecordType::header_chunk ? header : body) += piece;
  }
  if (header != tracked.content->header) return about(found.id, "header block");
  if (body != tracked.content->body) return about(found.id, "body");
  return {};
}

std::string Oracle::check_rotten(const queue::Recovered& recovered, queue::SegmentReader& reader,
                                 uint64_t* unreadable) const {
  for (const queue::RecoveredMessage& found : recovered.messages) {
    const auto at = messages_.find(found.id);
    if (at == messages_.end()) return about(found.id, "invented");
    const Tracked& tracked = at->second;
    if (tracked.fate == Fate::drafting) return about(found.id, "never committed");
    if (tracked.content == nullptr) continue;  // it is gone, and its end has rotted: a duplicate
    bool readable = true;
    std::string wrong = check_content(found, tracked, recovered, reader, readable);
    if (!readable && unreadable != nullptr) {
      ++*unreadable;
      continue;
    }
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::string Oracle::check(const queue::Recovered& recovered, queue::SegmentReader& reader) const {
  std::set<queue::MessageId> there;
  for (const queue::RecoveredMessage& found : recovered.messages) {
    if (!there.insert(found.id).second) return about(found.id, "twice");
    std::string wrong = check_message(found, recovered, reader);
    if (!wrong.empty()) return wrong;
  }
  for (const auto& [id, tracked] : messages_)
    if (tracked.fate == Fate::acknowledged && !tracked.all_done() && !there.contains(id))
      return about(id, "acknowledged and lost");
  return {};
}

uint64_t Oracle::count_missing(const queue::Recovered& recovered) const {
  std::set<queue::MessageId> there;
  for (const queue::RecoveredMessage& found : recovered.messages) there.insert(found.id);
  uint64_t missing = 0;
  for (const auto& [id, tracked] : messages_)
    if (tracked.fate == Fate::acknowledged && !tracked.all_done() && !there.contains(id)) ++missing;
  return missing;
}

void Oracle::settle(const queue::Recovered& recovered) {
  std::map<queue::MessageId, const queue::RecoveredMessage*> there;
  for (const queue::RecoveredMessage& found : recovered.messages) there[found.id] = &found;
  for (auto& [id, tracked] : messages_) {
    const auto at = there.find(id);
    if (at == there.end()) {
      tracked.fate = Fate::gone;
      tracked.content.reset();
      continue;
    }
    tracked.fate = Fate::acknowledged;
    std::vector<bool> pending = pending_of(*at->second);
    pending.flip();
    tracked.done = tracked.durably_done = std::move(pending);
    tracked.attempts = tracked.durable_attempts = at->second->attempts;
  }
}

bool same_messages(const queue::Recovered& a, const queue::Recovered& b) {
  if (a.messages.size() != b.messages.size() || a.pins != b.pins || a.largest_id != b.largest_id)
    return false;
  for (size_t i = 0; i < a.messages.size(); ++i) {
    const auto& x = a.messages[i];
    const auto& y = b.messages[i];
    if (x.id != y.id || x.commit != y.commit || x.pending != y.pending ||
        x.attempts != y.attempts || x.next_attempt != y.next_attempt || x.reason != y.reason ||
        x.other_segments != y.other_segments || x.copies != y.copies ||
        x.size_class != y.size_class || x.recipient_count != y.recipient_count ||
        x.arrival != y.arrival || x.warned != y.warned)
      return false;
  }
  return true;
}

bool same(const queue::Recovered& a, const queue::Recovered& b) {
  return same_messages(a, b) && a.damage_count == b.damage_count && a.torn_tails == b.torn_tails &&
         a.records == b.records && a.largest_sequence == b.largest_sequence;
}

}  // namespace mx::sim
