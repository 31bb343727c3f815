// After an attempt: the message is done, waits, is held, or its sender is told that it is given up.

#include <algorithm>

#include "engine/relay/age.h"
#include "engine/relay/connection.h"
#include "engine/relay/outbound.h"
#include "proto/base/assert.h"

namespace mx::relay {
namespace {

constexpr uint32_t not_in_memory = UINT32_MAX;
constexpr int64_t sweep_parts = 20;  // an interval is this part of the shortest lifetime
constexpr Duration sweep_interval_min = seconds(1), sweep_interval_max = seconds(900);
constexpr size_t sweep_page = 512, sweep_jobs_max = 1000;
constexpr std::string_view no_known_reason =
    "delivery temporarily suspended: a next hop is down or has put it off";

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

// Its sender wants to know that it went to others; it is no recipient itself.
void Outbound::note_alias(const queue::MessageInfo& info, uint32_t recipient,
                          mail::AliasNote note) {
  notices_.add(info.id, alias_row(recipient, note));
}

Duration Outbound::age(const queue::MessageInfo& info) const {
  return age_of(info.arrival, loop_);
}

// maximal_queue_lifetime, or bounce_queue_lifetime. 0: one attempt.
bool Outbound::is_expired(const queue::MessageInfo& info, bool null_sender) const {
  const config::BounceSettings& bounces = settings_->bounces;
  return age(info) >= (null_sender ? bounces.bounce_lifetime : bounces.queue_lifetime);
}

bool Outbound::warning_is_due(const queue::MessageInfo& info) const {
  const Duration after = settings_->bounces.delay_warning;
  return after.us > 0 && !info.warned && age(info) >= after;
}

// What is to be told is told first; the rest waits for the next attempt.
void Outbound::attempt_over(const queue::MessageInfo& info, std::string_view said,
                            bool null_sender) {
  queue::MessageInfo left;
  if (!spool_.index().find(info.id, left)) {
    notices_.drop_rows(info.id);
    return go_on(info, said);
  }
  const std::vector<NoticeRow>* const rows = notices_.rows(info.id);
  const NoticeRow* refused = nullptr;
  for (size_t i = 0; rows != nullptr && refused == nullptr && i < rows->size(); ++i)
    if ((*rows)[i].kind == mail::ReportKind::failed) refused = &(*rows)[i];
  const bool others = left.pending_count > (rows ? rows->size() : 0);
  std::string why(said);
  // The last next hop had nothing to say of those that wait for others.
  if (others && why.empty()) why = spool_.index().reason(info.id);
  if (others && why.empty()) why = no_known_reason;
  const bool expired = others && is_expired(left, null_sender);
  if (settings_->bounces.quarantine && (refused != nullptr || expired)) {
    if (refused != nullptr) why = refused->text;
    if (!expired && others) {
      notices_.drop_refused(info.id);
      return go_on(info, why);  // the others are tried once more first
    }
    return notices_.begin({.id = info.id, .why = why, .expired = expired, .quarantine = true});
  }
  const bool delayed = !expired && warning_is_due(left);
  if (rows == nullptr && !expired && !delayed) return go_on(info, why);
  notices_.begin({.id = info.id, .why = why, .expired = expired, .delayed = delayed});
}

// ringmx_bounce = quarantine: a person decides, see the digest to the postmaster.
void Outbound::quarantine(const queue::MessageInfo& info, std::string_view why) {
  log_.line("qmgr", "{}: quarantined: {}", queue::to_text(info.id).view(), observe::Peer{why});
  hold(info, fmt::format("{}{}", refused_reason, why));
  counters_.messages_quarantined.add();
}

// Messages that have been told of go on, and the notices are new mail.
void Outbound::take_notices() {
  NoticeCause cause;
  while (notices_.next_ended(cause)) {
    queue::MessageInfo info;
    info.id = cause.id;
    if (cause.delayed && !cause.expired && cause.warned && spool_.index().find(cause.id, info)) {
      const bool known = spool_.journal().mark_warned(cause.id, loop_.now());
      MX_ASSERT(known || spool_.journal().failed());
    }
    if (cause.damaged) tell_damage(cause.id, "it can't be read back from the queue");
    if (cause.unreadable && cause.expired && spool_.index().find(cause.id, info)) {
      if (!obey_wish(info)) hold(info, damaged_reason);
      continue;
    }
    if (cause.hold && spool_.index().find(cause.id, info)) {
      if (!obey_wish(info)) quarantine(info, cause.why);
      continue;
    }
    // Found by the sweep, it still has its place, unless it is done; or gets its turn now, if that
    // came meanwhile.
    if (cause.listed && spool_.index().find(cause.id, info)) {
      if (!obey_wish(info) && cause.claimed) schedule_.add_ready({info.id, info.attempts});
      continue;
    }
    if (!cause.told && cause.why.empty()) cause.why = "its sender could not be told yet";
    go_on(info, cause.why);
  }
  queue::MessageId id;
  while (notices_.next_generated(id)) add(id, not_in_memory);
  letters_.pump();
  while (letters_.next_generated(id)) add(id, not_in_memory);
}

void Outbound::on_commit(const queue::CommitResult& result) {
  if (io::Op::unpack(result.cookie).kind == op_letter_commit)
    letters_.on_commit(result);
  else
    notices_.on_commit(result);
}

// The message is done, or waits.
void Outbound::go_on(const queue::MessageInfo& info, std::string_view why) {
  if (obey_wish(info)) return;
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
  schedule_.defer({info.id, attempts}, loop_.now() + delay);
}

// The envelope says so until the first mark; from then on the mark does, and mxq -H ends it.
void Outbound::hold(const queue::MessageInfo& info, std::string_view why) {
  const auto attempts = static_cast<uint16_t>(std::min<uint32_t>(info.attempts + 1U, UINT16_MAX));
  const bool known =
      spool_.journal().mark_deferred(info.id, queue::held_until, attempts,
                                     why.substr(0, limits::defer_reason_bytes_max), loop_.now());
  MX_ASSERT(known || spool_.journal().failed());
  log_.line("qmgr", "{}: placed on hold", queue::to_text(info.id).view());
}

// How often the queue is looked through for mail that is too old: what waits for a next hop that is
// down is not tried, and must end all the same.
Duration Outbound::sweep_interval() const {
  const config::BounceSettings& bounces = settings_->bounces;
  Duration shortest = sweep_interval_max * sweep_parts;
  for (const Duration each :
       {bounces.queue_lifetime, bounces.bounce_lifetime, bounces.delay_warning})
    if (each.us > 0) shortest = std::min(shortest, each);
  return std::clamp(Duration{shortest.us / sweep_parts}, sweep_interval_min, sweep_interval_max);
}

// A page a time. While many notices wait to be made, no more are asked for.
void Outbound::sweep() {
  if (shutting_down_ || !spool_.journal().accepting()) return;
  Duration again = milliseconds(1);
  if (notices_.jobs() > sweep_jobs_max) {
    again = milliseconds(100);
  } else {
    queue::MessageInfo page[sweep_page];
    const size_t count = spool_.index().page(sweep_cursor_, page, sweep_page);
    for (size_t i = 0; i < count; ++i) sweep(page[i]);
    if (sweep_cursor_ == queue::Index::none) {
      sweep_cursor_ = 0;
      again = sweep_interval();
    }
  }
  loop_.timers.arm(sweep_timer_, loop_.now() + again);
}

void Outbound::sweep(const queue::MessageInfo& info) {
  if (info.next_attempt == queue::held_until) return;
  const config::BounceSettings& bounces = settings_->bounces;
  // With a lifetime of 0 the first attempt decides, if there is one within the usual time.
  const Duration shorter = std::min(bounces.queue_lifetime, bounces.bounce_lifetime);
  const Duration lifetime = info.has_sender ? bounces.queue_lifetime : shorter;
  const bool expired = age(info) >= std::max(lifetime, settings_->queue.minimal_backoff);
  const bool delayed = warning_is_due(info);
  if (!expired && !delayed) return;
  if (is_being_tried(info.id)) return;  // its attempt sees to it
  const std::string_view known = spool_.index().reason(info.id);
  const std::string why(known.empty() ? "delivery temporarily suspended: the next hop is down"
                                      : known);
  notices_.begin({.id = info.id,
                  .why = why,
                  .expired = expired,
                  .delayed = delayed,
                  .listed = true,
                  .quarantine = expired && bounces.quarantine});
}

bool Outbound::is_being_tried(queue::MessageId id) {
  bool found = notices_.has(id);
  connections_.each([&](uint32_t, Connection& c) { found |= c.busy && c.info.id == id; });
  route_reads_.each([&](uint32_t, RouteRead& read) { found |= read.info.id == id; });
  return found;
}

}  // namespace mx::relay
