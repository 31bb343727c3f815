#include "tools/mxq/check.h"

#include <sysexits.h>

#include <array>
#include <cstdio>

namespace mx::mxq {
namespace {

void print_damage(const queue::Damage& damage) {
  std::printf("%s segment %06u offset %u%s%s: %s\n", damage.torn_tail ? "unfinished" : "DAMAGED",
              damage.segment, damage.offset, damage.id ? " message " : "",
              damage.id ? std::string(queue::to_text(damage.id).view()).c_str() : "",
              damage.text.c_str());
}

}  // namespace

int check(QueueAtRest& queue, bool running) {
  const queue::Recovered& found = queue.recovered();
  if (running) std::printf("%s\n", running_remark);
  for (const queue::Damage& damage : found.damage) print_damage(damage);
  if (found.damage_count + found.torn_tails > found.damage.size())
    std::printf("… and %llu more\n",
                static_cast<unsigned long long>(found.damage_count + found.torn_tails -
                                                found.damage.size()));
  uint64_t recipients = 0, messages = 0, bytes = 0, unreadable = 0;
  queue.each({}, [&](const spool::QueuedMessage& message, Bytes commit) {
    const auto content = queue.content(message, commit);
    if (!content) {
      ++unreadable;
      std::printf("DAMAGED message %s: a part of it can't be read\n",
                  std::string(queue::to_text(message.info.id).view()).c_str());
      return;
    }
    ++messages;
    recipients += message.pending.size();
    bytes += content->size();
  });
  unreadable += queue.unreadable();
  std::array<uint64_t, 3> segments{};  // free, in use, held
  for (const queue::RecoveredSegment& segment : found.segments) {
    if (segment.state == queue::SegmentState::absent) continue;
    ++segments[segment.damaged ? 2 : segment.state == queue::SegmentState::free ? 0 : 1];
  }
  const auto n = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("%llu segments free, %llu in use, %llu kept because of damage\n", n(segments[0]),
              n(segments[1]), n(segments[2]));
  std::printf("%llu records verified; %llu damaged places, %llu unfinished ends of a batch\n",
              n(found.records), n(found.damage_count), n(found.torn_tails));
  std::printf("%llu messages for %llu recipients are whole (%llu bytes); %llu are lost\n",
              n(messages), n(recipients), n(bytes), n(unreadable));
  return found.damage_count + unreadable == 0 ? EX_OK : EX_DATAERR;
}

}  // namespace mx::mxq
