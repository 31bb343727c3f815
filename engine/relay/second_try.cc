// A backend that says "later", or goes away in the middle: another one of the next hop is asked in
// the same attempt, once, as Postfix does (smtp_mx_session_limit). What may have been delivered is
// not among it.

#include <algorithm>

#include "engine/relay/connection.h"
#include "engine/relay/outbound.h"

namespace mx::relay {
namespace {
constexpr std::ptrdiff_t looked_at = 16;
}  // namespace

bool Outbound::may_go_again(const Connection& c) const {
  return c.tried_before == 0 && !c.unknown && !shutting_down_ &&
         std::ranges::any_of(c.destination.lanes.all(), [&](const auto& lane) {
           return lane != c.lane && lane->backend->up();
         });
}

// One of the oldest that this connection's backend has not had yet.
bool Outbound::take_again(Connection& c) {
  Destination& d = c.destination;
  while (!shutting_down_ && spool_.journal().keeps_marks()) {
    const auto end = d.again.begin() + std::min<std::ptrdiff_t>(std::ssize(d.again), looked_at);
    const auto at = std::find_if(d.again.begin(), end, [&](const Work& work) {
      return work.tried != c.lane->backend->number();
    });
    if (at == end) return false;
    Work work = std::move(*at);
    d.again.erase(at);
    if (is_current(work.id, work.attempts, c.info)) {
      begin_delivery(c, std::move(work));
      if (c.busy) return true;
    } else if (work.message_slot != UINT32_MAX) {
      spool_.forget(work.message_slot);
    }
  }
  return false;
}

// Each goes to an idle connection to another backend, or one is opened. When there is no other
// any more it is new mail, for whom it may be.
void Outbound::pump_again(Destination& d) {
  for (size_t left = d.again.size(); left > 0 && !d.again.empty(); --left) {
    const uint8_t tried = d.again.front().tried;
    Connection* idle = nullptr;
    bool hope = false;
    for (const auto& lane : d.lanes.all()) {
      if (lane->backend->number() == tried || !lane->backend->up()) continue;
      if (idle = take_idle(*lane); idle != nullptr) break;
      hope |= lane->ready > 0 || lane->hopeful() > 0 || open_connection(d, *lane);
    }
    if (idle == nullptr && hope) return;  // it leads here again
    if (idle == nullptr) {
      d.fresh.push_front(std::move(d.again.front()));
      d.again.pop_front();
      continue;
    }
    next_work(*idle);
    advance(*idle);
    settle(*idle);
  }
}

}  // namespace mx::relay
