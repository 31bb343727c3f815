#include "engine/spool/queue_reader.h"

#include <fmt/format.h>

#include "proto/base/text.h"
#include "proto/mail/envelope.h"

namespace mx::spool {

std::optional<Bytes> QueueReader::look(const queue::Extent& extent, const queue::Life& life,
                                       queue::RecordType type, queue::MessageId id) {
  const queue::Window window = queue::window_of(extent);
  if (window.offset > segment_bytes_ || window.length > segment_bytes_ - window.offset)
    return std::nullopt;
  return queue::decode_record(view_->at(window.offset, window.length), extent, life, type, id);
}

std::optional<Bytes> QueueReader::record(const queue::Extent& extent, const queue::Life& life,
                                         queue::RecordType type, queue::MessageId id) {
  const bool known = segment_ == extent.segment;
  if (known)
    if (const auto found = look(extent, life, type, id)) return found;
  // What was read ahead may have been written since.
  segment_ = extent.segment;
  view_.emplace(reader_, segment_, segment_bytes_);
  return look(extent, life, type, id);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

namespace {

constexpr std::string_view damaged_envelope = "(its envelope is damaged)";

struct Opened {
  mail::EnvelopeReader envelope;
  bool ok = false;
};

Opened open_envelope(Bytes payload) {
  Opened opened;
  queue::CommitView commit;
  opened.ok = commit.open(payload) && opened.envelope.open(commit.envelope());
  return opened;
}

// visit(address) for each pending recipient.
template <typename Visit>
void each_pending(const QueuedMessage& message, mail::EnvelopeReader& envelope, Visit&& visit) {
  mail::EnvelopeRecipient recipient;
  size_t next = 0;
  for (uint32_t i = 0; next < message.pending.size() && envelope.next_recipient(recipient); ++i) {
    if (message.pending[next] != i) continue;
    ++next;
    if (recipient.note == mail::AliasNote::none) visit(recipient.address);
  }
}

}  // namespace

std::string to_json(const QueuedMessage& message, Bytes commit, const WaitReason& waits) {
  Opened opened = open_envelope(commit);
  const queue::MessageInfo& info = message.info;
  std::string recipients;
  bool delayed = info.attempts > 0;
  const auto add = [&](std::string_view address, const std::string& why) {
    recipients += fmt::format("{}{{\"address\":{}", recipients.empty() ? "" : ",", quoted(address));
    if (!why.empty()) recipients += ",\"delay_reason\":" + quoted(why);
    recipients += "}";
  };
  if (opened.ok)
    each_pending(message, opened.envelope, [&](std::string_view address) {
      const std::string why = waits ? waits(address) : "";
      delayed |= !why.empty();
      add(address, why.empty() ? message.reason : why);
    });
  else
    add(damaged_envelope, message.reason);
  return fmt::format(
      "{{\"queue_name\":\"{}\",\"queue_id\":\"{}\",\"arrival_time\":{},\"message_size\":{},"
      "\"forced_expire\":false,\"sender\":{},{}\"recipients\":[{}]}}\n",
      info.next_attempt == queue::held_until ? "hold"
      : delayed                              ? "deferred"
                                             : "active",
      queue::to_text(info.id).view(), info.arrival.seconds(),
      opened.ok ? opened.envelope.head().size : 0,
      quoted(opened.ok ? opened.envelope.head().sender : damaged_envelope),
      opened.ok ? "" : "\"damaged\":true,", recipients);
}

bool goes_to(const QueuedMessage& message, Bytes commit, std::string_view domain) {
  Opened opened = open_envelope(commit);
  bool found = false;
  if (!opened.ok) return false;
  each_pending(message, opened.envelope, [&](std::string_view address) {
    const size_t at = address.rfind('@');
    found |= at != std::string_view::npos && equals_ignoring_case(address.substr(at + 1), domain);
  });
  return found;
}

}  // namespace mx::spool
