#include "tools/mxq/rest.h"

#include "tools/mxq/client.h"

namespace mx::mxq {
namespace {

queue::Geometry geometry_of(const config::Settings& settings) {
  return {static_cast<uint32_t>(settings.queue.segment_size),
          static_cast<uint32_t>(settings.queue.size_limit / settings.queue.segment_size)};
}

spool::QueuedMessage row_of(const queue::RecoveredMessage& found) {
  spool::QueuedMessage row;
  for (const auto& [first, count] : found.pending)
    for (uint32_t i = 0; i < count; ++i) row.pending.push_back(first + i);
  row.info = {.id = found.id,
              .commit = found.commit,
              .arrival = found.arrival,
              .next_attempt = found.next_attempt,
              .recipient_count = found.recipient_count,
              .pending_count = static_cast<uint16_t>(row.pending.size()),
              .attempts = found.attempts,
              .warned = found.warned};
  row.reason = found.reason;
  return row;
}

}  // namespace

QueueAtRest::QueueAtRest(const config::Settings& settings, Access access, queue::Verify verify)
    : files_(settings.queue.directory, geometry_of(settings)),
      commits_(files_, geometry_of(settings).segment_bytes),
      chunks_(files_, geometry_of(settings).segment_bytes) {
  if (auto opened = files_.open(access); !opened) throw Unavailable(opened.error());
  recovered_ = queue::recover(files_, files_.geometry(), verify);
  if (!recovered_.refusal.empty())
    throw std::runtime_error(files_.path_of(recovered_.refused_segment) + ": " +
                             recovered_.refusal);
}

void QueueAtRest::each(const Choice& choice,
                       const std::function<void(const spool::QueuedMessage&, Bytes)>& visit) {
  missing_ = choice.ids;
  if (choice.ids.empty()) unreadable_ += recovered_.messages_lost;
  for (const queue::RecoveredMessage& found : recovered_.messages) {
    if (!choice.ids.empty() && !choice.ids.contains(found.id)) continue;
    const spool::QueuedMessage row = row_of(found);
    const auto commit = commits_.record(found.commit, life(found.commit.segment),
                                        queue::RecordType::commit, found.id);
    if (!commit) {
      ++unreadable_;
      missing_.erase(found.id);
      continue;
    }
    if (!choice.domain.empty() && !spool::goes_to(row, *commit, choice.domain)) continue;
    if (stopping_) {
      cut_short_ = true;
      missing_.clear();  // nobody looked
      return;
    }
    missing_.erase(found.id);
    visit(row, *commit);
  }
}

std::optional<std::string> QueueAtRest::content(const spool::QueuedMessage& message,
                                                Bytes payload) {
  queue::CommitView commit;
  if (!commit.open(payload)) return std::nullopt;
  std::string out;
  for (uint32_t i = 0; i < commit.chunk_count(); ++i) {
    const queue::ChunkRef chunk = commit.chunk(i);
    if (chunk.extent.segment >= recovered_.segments.size()) return std::nullopt;
    const auto part =
        chunks_.record(chunk.extent, life(chunk.extent.segment), chunk.type, message.info.id);
    if (!part) return std::nullopt;
    out += as_text(*part);
  }
  return out;
}

}  // namespace mx::mxq
