// After an attempt: the message is done, waits, is held, or its sender is told that it is given up.

#include <algorithm>

#include "engine/relay/connection.h"
#include "engine/relay/outbound.h"
#include "proto/base/assert.h"

namespace mx::relay {
namespace {

constexpr uint32_t not_in_memory = UINT32_MAX;

}  // namespace

void Outbound::note_refused(const queue::MessageInfo& info, uint32_t recipient,
                            smtp::EnhancedCode enhanced, std::string_view remote,
                            std::string_view text) {
  notices_.add(info.id, {.recipient = recipient,
                         .kind = mail::ReportKind::failed,
                         .status_class = 5,
                         .subject = enhanced.subject,
                         .detail = enhanced.detail,
                         .remote = std::string(remote),
                         .text = std::string(text)});
}

// maximal_queue_lifetime, or bounce_queue_lifetime. 0: one attempt.
bool Outbound::is_expired(const queue::MessageInfo& info, bool null_sender) const {
  const config::BounceSettings& bounces = settings_->bounces;
  return loop_.wall() - info.arrival >=
         (null_sender ? bounces.bounce_lifetime : bounces.queue_lifetime);
}

// What is to be told is told first; the rest waits for the next attempt.
void Outbound::attempt_over(const queue::MessageInfo& info, std::string_view why,
                            bool null_sender) {
  queue::MessageInfo left;
  if (!spool_.index().find(info.id, left)) {
    notices_.drop_rows(info.id);
    return go_on(info, why);
  }
  const std::vector<NoticeRow>* const rows = notices_.rows(info.id);
  size_t refused = 0;
  for (size_t i = 0; rows != nullptr && i < rows->size(); ++i)
    if ((*rows)[i].kind == mail::ReportKind::failed) ++refused;
  const bool expired =
      left.pending_count > (rows ? rows->size() : 0) && is_expired(left, null_sender);
  if (settings_->bounces.quarantine && (refused > 0 || expired)) {
    const std::string text = refused > 0 ? (*rows)[0].text : std::string(why);
    notices_.drop_rows(info.id);
    if (expired || refused == left.pending_count) return quarantine(left, text);
    return go_on(info, text);  // the others are tried once more first
  }
  if (rows == nullptr && !expired) return go_on(info, why);
  if (expired)
    log_.line("qmgr", "{}: status=expired, returned to sender", queue::to_text(info.id).view());
  notices_.begin({.id = info.id,
                  .why = std::string(why),
                  .expired = expired,
                  .delayed = false,
                  .told = false});
}

// ringmx_bounce = quarantine: a person decides, see the digest to the postmaster.
void Outbound::quarantine(const queue::MessageInfo& info, std::string_view why) {
  hold(info, fmt::format("refused: {}", why));
  counters_.messages_quarantined.add();
}

// Messages that have been told of go on, and the notices are new mail.
void Outbound::take_notices() {
  NoticeCause cause;
  while (notices_.next_ended(cause)) {
    queue::MessageInfo info;
    info.id = cause.id;
    if (!cause.told && cause.why.empty()) cause.why = "its sender could not be told yet";
    go_on(info, cause.why);
  }
  queue::MessageId id;
  while (notices_.next_generated(id)) add(id, not_in_memory);
}

// The message is done, or waits.
void Outbound::go_on(const queue::MessageInfo& info, std::string_view why) {
  queue::MessageInfo left;
  if (!spool_.index().find(info.id, left)) {
    counters_.messages_done.add();
    log_.line("qmgr", "{}: removed", queue::to_text(info.id).view());
    return;
  }
  const auto attempts = static_cast<uint16_t>(std::min<uint32_t>(left.attempts + 1U, UINT16_MAX));
  const Duration delay = schedule_.delay(attempts);
  const bool known =
      spool_.journal().mark_deferred(info.id, loop_.wall() + delay, attempts,
                                     why.substr(0, limits::defer_reason_bytes_max), loop_.now());
  MX_ASSERT(known || spool_.journal().failed());
  schedule_.defer(info.id, loop_.now() + delay);
}

// The envelope says so until the first mark; from then on the mark does, and mxq -H ends it.
void Outbound::hold(const queue::MessageInfo& info, std::string_view why) {
  const bool known =
      spool_.journal().mark_deferred(info.id, held_until, std::max<uint16_t>(info.attempts, 1),
                                     why.substr(0, limits::defer_reason_bytes_max), loop_.now());
  MX_ASSERT(known || spool_.journal().failed());
  log_.line("qmgr", "{}: placed on hold", queue::to_text(info.id).view());
}

}  // namespace mx::relay
