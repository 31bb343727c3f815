// What an operator asks for (mxq): flush, hold, release, requeue, delete.

#include "engine/relay/connection.h"
#include "engine/relay/outbound.h"
#include "proto/base/assert.h"

namespace mx::relay {
namespace {
constexpr size_t stale_turns_min = 1000;
constexpr uint32_t stale_turns_look = 256;  // every so often they are counted
}  // namespace

// A next hop that is down is probed at once, too, and mail that waits for it is routed anew.
void Outbound::flush() {
  for (const auto& d : destinations_)
    if (!takes_schedule(*d) && !d->lanes.up()) route_anew(*d);
  schedule_.wake_all();
  for (const queue::Turn& turn : std::exchange(undecided_, {})) schedule_.add_ready(turn);
  probe_now();
}

// At the next look: there may be many who want it.
void Outbound::probe_now() {
  probe_all_ = true;
  arm_health(loop_.now());
}

Outbound::Steered Outbound::steer(Steer what, queue::MessageId id) {
  queue::MessageInfo info;
  if (!spool_.index().find(id, info)) return Steered::unknown;
  if (!spool_.journal().keeps_marks()) return Steered::not_so;
  const bool held = info.next_attempt == queue::held_until;
  if (what == Steer::release)
    if (const auto wish = wishes_.find(id); wish != wishes_.end() && wish->second == Steer::hold) {
      wishes_.erase(wish);  // asked for while it was tried, and taken back
      return Steered::done;
    }
  if (what == Steer::hold ? held : what == Steer::release ? !held : what == Steer::kick && held)
    return Steered::not_so;
  if (is_being_tried(id)) {
    // To be tried again is what happens anyway: it takes nothing back.
    if (what == Steer::hold || what == Steer::remove)
      wishes_[id] = what;
    else
      wishes_.try_emplace(id, what);
    return Steered::after_attempt;
  }
  switch (what) {
    case Steer::hold:
      hold(info);
      break;
    case Steer::remove:
      remove(info);
      break;
    case Steer::release:
    case Steer::requeue:
    case Steer::kick:
      if (held) log_.line("qmgr", "{}: released", queue::to_text(id).view());
      try_now(info);
      break;
  }
  return Steered::done;
}

void Outbound::remove(const queue::MessageInfo& info) {
  counters_.recipients_deleted.add(info.pending_count);
  const bool known = spool_.journal().mark_done(info.id, 0, info.recipient_count, loop_.now());
  MX_ASSERT(known || spool_.journal().failed());
  notices_.drop_rows(info.id);
  counters_.messages_done.add();
  log_.line("qmgr", "{}: deleted by the operator", queue::to_text(info.id).view());
}

void Outbound::try_now(const queue::MessageInfo& info) {
  const auto attempts = static_cast<uint16_t>(std::min<uint32_t>(info.attempts + 1U, UINT16_MAX));
  const std::string why(spool_.index().reason(info.id));
  const bool known =
      spool_.journal().mark_deferred(info.id, loop_.wall(), attempts, why, loop_.now());
  MX_ASSERT(known || spool_.journal().failed());
  schedule_.add_ready({info.id, attempts});
  probe_now();
  drop_stale_turns();
}

bool Outbound::is_stale(queue::MessageId id, uint16_t attempts) const {
  queue::MessageInfo info;
  return !spool_.index().find(id, info) || info.attempts != attempts ||
         info.next_attempt == queue::held_until;
}

// Each of these leaves the message's earlier turn behind. While a next hop is down none comes up to
// be dropped, so they are when they are the most: memory follows the messages, not the operator.
void Outbound::drop_stale_turns() {
  if (steered_++ % stale_turns_look != 0) return;
  if (waiting() <= 2 * size_t{spool_.index().size()} + stale_turns_min) return;
  const auto turn_is_stale = [&](const queue::Turn& t) { return is_stale(t.id, t.attempts); };
  schedule_.erase_if(
      [&](queue::MessageId id, uint16_t attempts) { return is_stale(id, attempts); });
  std::erase_if(undecided_, turn_is_stale);
  for (const auto& d : destinations_) {
    std::erase_if(d->retries, turn_is_stale);
    for (auto* list : d->works)
      std::erase_if(*list, [&](const Work& work) {
        const bool stale = is_stale(work.id, work.attempts);
        if (stale && work.message_slot != UINT32_MAX) spool_.forget(work.message_slot);
        return stale;
      });
  }
}

// What was asked for while the message was being tried. True: there is nothing more to do with it.
bool Outbound::obey_wish(const queue::MessageInfo& info) {
  if (wishes_.empty()) return false;
  const auto wish = wishes_.find(info.id);
  if (wish == wishes_.end()) return false;
  const Steer what = wish->second;
  wishes_.erase(wish);
  queue::MessageInfo left;
  if (!spool_.index().find(info.id, left)) return false;
  if (what == Steer::hold)
    hold(left);
  else if (what == Steer::remove)
    remove(left);
  else
    try_now(left);
  return true;
}

}  // namespace mx::relay
