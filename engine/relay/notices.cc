#include "engine/relay/notices.h"

#include <algorithm>

#include "engine/io/crash_point.h"
#include "engine/observe/delay.h"
#include "engine/observe/local_zone.h"
#include "engine/relay/age.h"
#include "engine/relay/way.h"
#include "proto/base/assert.h"
#include "proto/base/text.h"

namespace mx::relay {
namespace {

using Kind = mail::ReportKind;
using Addressed = policy::Expansion::Result;

bool wants(const mail::RecipientDsn& dsn, Kind kind) {
  switch (kind) {
    case Kind::failed:
      return dsn.notify == 0 || (dsn.notify & mail::notify_failure) != 0;
    case Kind::delayed:
      return dsn.notify == 0 || (dsn.notify & mail::notify_delay) != 0;
    case Kind::relayed:
      break;
  }
  return (dsn.notify & mail::notify_success) != 0;
}

// The header block ends where the original's own header ends.
bool has_whole_header(std::string_view content) {
  return content.find("\r\n\r\n") != std::string_view::npos;
}

}  // namespace

NoticeRow alias_row(uint32_t recipient, mail::AliasNote note) {
  return {.recipient = recipient,
          .kind = Kind::relayed,
          .status_class = 2,
          .subject = 0,
          .detail = 0,
          .remote = {},
          .text = "alias expanded",
          .action = note == mail::AliasNote::delivered ? "delivered" : "expanded"};
}

Notices::Notices(io::Loop& loop, spool::Spool& spool, const NextHops& next_hops,
                 observe::LogStream& log, observe::Counters& counters)
    : loop_(loop),
      spool_(spool),
      next_hops_(next_hops),
      log_(log),
      counters_(counters),
      jobs_(limits::notice_jobs_max) {}

Notices::~Notices() {
  jobs_.each([&](uint32_t, Job& job) { job.posting.abandon(spool_.journal()); });
}

void Notices::set_snapshot(policy::SnapshotPointer snapshot, policy::SettingsPointer settings) {
  snapshot_ = std::move(snapshot);
  settings_ = std::move(settings);
}

void Notices::add(queue::MessageId id, NoticeRow row) {
  rows_[id].push_back(std::move(row));
}

const std::vector<NoticeRow>* Notices::rows(queue::MessageId id) const {
  const auto found = rows_.find(id);
  return found == rows_.end() ? nullptr : &found->second;
}

void Notices::drop_refused(queue::MessageId id) {
  const auto found = rows_.find(id);
  if (found == rows_.end()) return;
  std::erase_if(found->second, [](const NoticeRow& row) { return row.kind == Kind::failed; });
  if (found->second.empty()) rows_.erase(found);
}

bool Notices::claim(queue::MessageId id) {
  if (owned_.empty()) return false;
  const auto found = owned_.find(id);
  if (found == owned_.end()) return false;
  found->second = true;
  return true;
}

void Notices::begin(NoticeCause cause) {
  const bool fresh = owned_.emplace(cause.id, false).second;
  MX_ASSERT(fresh);
  waiting_.push_back(std::move(cause));
}

void Notices::start() {
  while (!waiting_.empty() && jobs_.used() < jobs_.limit()) {
    uint32_t slot = 0;
    Job& job = *jobs_.make(&slot);
    job.cause = std::move(waiting_.front());
    waiting_.pop_front();
    if (const auto found = rows_.find(job.cause.id); found != rows_.end()) {
      job.rows = std::move(found->second);
      rows_.erase(found);
    }
    if (!spool_.index().find(job.cause.id, job.info)) {  // deleted meanwhile
      finish(job, slot);
      continue;
    }
    read(job, slot, job.info.commit, queue::RecordType::commit);
  }
}

void Notices::read(Job& job, uint32_t slot, const queue::Extent& extent, queue::RecordType type) {
  const queue::Window window = queue::window_of(extent);
  job.extent = extent;
  job.extent_type = type;
  job.window.reset(static_cast<std::byte*>(std::aligned_alloc(queue::block_bytes, window.length)));
  MX_ASSERT(job.window != nullptr);
  job.reading = true;
  ++in_flight_;
  loop_.ring.read(spool_.files().fd(extent.segment), {job.window.get(), window.length},
                  window.offset, jobs_.op(op_notice_read, slot));
}

void Notices::on_read(const io::Completion& completion) {
  --in_flight_;
  const uint32_t slot = completion.op.slot;
  Job* const found = jobs_.find(completion.op);
  MX_ASSERT(found != nullptr);
  Job& job = *found;
  job.reading = false;
  const queue::Window window = queue::window_of(job.extent);
  std::optional<Bytes> payload;
  if (completion.result >= 0 && static_cast<uint32_t>(completion.result) == window.length)
    payload =
        queue::decode_record({job.window.get(), window.length}, job.extent,
                             spool_.pool().life(job.extent.segment), job.extent_type, job.info.id);
  if (!payload) {
    log_.line("bounce", "warning: {}: can't be read back from the queue for a notice",
              queue::to_text(job.info.id).view());
    if (job.extent_type == queue::RecordType::commit) return unreadable(job, slot);
    job.content.clear();  // its sender is told without it
    job.chunk = static_cast<uint32_t>(job.chunks.size());
    job.content_is_lost = job.cause.damaged = true;
  } else if (job.extent_type == queue::RecordType::commit) {
    mail::EnvelopeReader envelope;
    if (!take_commit(job, *payload) || !envelope.open(job.envelope)) return unreadable(job, slot);
    plan(job);
  } else {
    job.content += as_text(*payload);
    ++job.chunk;
  }
  job.window.reset();
  read_on(job, slot);
}

// Nobody knows whose mail it is. When it is too old a person has to look, and nothing else is left
// to do with it.
void Notices::unreadable(Job& job, uint32_t slot) {
  job.cause.damaged = job.cause.unreadable = true;
  finish(job, slot);
}

bool Notices::take_commit(Job& job, Bytes payload) {
  queue::CommitView commit;
  if (!commit.open(payload)) return false;
  const Bytes envelope = commit.envelope();
  job.envelope.assign(envelope.begin(), envelope.end());
  for (uint32_t i = 0; i < commit.chunk_count(); ++i) job.chunks.push_back(commit.chunk(i));
  return true;
}

// Which notices there will be.
void Notices::plan(Job& job) {
  mail::EnvelopeReader envelope;
  if (!envelope.open(job.envelope)) return;
  // The sweep does not know the sender at first, and goes by the shorter of two times.
  if (job.cause.expired && job.cause.listed) {
    const config::BounceSettings& bounces = settings_->bounces;
    const bool null_sender = envelope.head().sender.empty();
    if (!null_sender) spool_.journal().note_sender(job.info.id);
    job.cause.expired = age_of(job.info.arrival, loop_) >=
                        (null_sender ? bounces.bounce_lifetime : bounces.queue_lifetime);
  }
  if (job.cause.quarantine && !envelope.head().own) {
    const auto is_refused = [](const NoticeRow& row) { return row.kind == Kind::failed; };
    job.cause.hold = std::erase_if(job.rows, is_refused) > 0 || job.cause.expired;
    if (job.cause.hold) job.cause.expired = job.cause.delayed = false;
  }
  if (job.cause.expired)
    log_.line("qmgr", "{}: from=<{}>, status=expired, returned to sender",
              queue::to_text(job.info.id).view(), observe::Peer{envelope.head().sender});
  plan_rows(job, envelope);
  job.untold.resize(job.rows.size());
  job.planned = true;
  std::stable_partition(job.notices.begin(), job.notices.end(),
                        [](const Notice& notice) { return !notice.copy; });
}

// Those that were noted, and those that are so old that they are told of.
void Notices::plan_rows(Job& job, mail::EnvelopeReader& envelope) {
  std::sort(job.rows.begin(), job.rows.end(),
            [](const NoticeRow& a, const NoticeRow& b) { return a.recipient < b.recipient; });
  const size_t noted = job.rows.size();
  size_t next = 0;
  const WaitReasons waits(*snapshot_, next_hops_);
  mail::EnvelopeRecipient recipient;
  for (uint32_t i = 0; envelope.next_recipient(recipient); ++i) {
    while (next < noted && job.rows[next].recipient < i) ++next;
    if (next < noted && job.rows[next].recipient == i) {
      plan_row(job, static_cast<uint32_t>(next), envelope.head(), recipient);
    } else if (!spool_.index().is_pending(job.info.id, i)) {
      continue;
    } else if (recipient.note != mail::AliasNote::none) {
      job.rows.push_back(alias_row(i, recipient.note));
      plan_row(job, static_cast<uint32_t>(job.rows.size()) - 1, envelope.head(), recipient);
    } else if (job.cause.expired || job.cause.delayed) {
      std::string why = waits.of(recipient.address);
      job.rows.push_back({.recipient = i,
                          .kind = job.cause.expired ? Kind::failed : Kind::delayed,
                          .status_class = 4,
                          .subject = 4,
                          .detail = job.cause.expired ? uint16_t{7} : uint16_t{1},
                          .remote = {},
                          .text = why.empty() ? job.cause.why : std::move(why)});
      // What waited for a next hop that was down has no other line.
      const NoticeRow& row = job.rows.back();
      log_.line("error", "{}: to=<{}>, relay=none, delay={}, dsn=4.4.{}, status=deferred ({})",
                queue::to_text(job.info.id).view(), observe::Peer{recipient.address},
                observe::delay_text(loop_.wall() - job.info.arrival).view(), row.detail,
                observe::Peer{row.text});
      plan_row(job, static_cast<uint32_t>(job.rows.size()) - 1, envelope.head(), recipient);
    }
  }
}

void Notices::plan_row(Job& job, uint32_t row, const mail::EnvelopeHead& head,
                       const mail::EnvelopeRecipient& recipient) {
  const config::BounceSettings& bounces = settings_->bounces;
  const Kind kind = job.rows[row].kind;
  const config::Domains& domains = settings_->domains;
  const std::string double_bounce = domains.double_bounce_sender + "@" + domains.myorigin;
  const std::string_view sender = recipient.sender;
  if (sender.empty() || equals_ignoring_case(sender, double_bounce)) {
    if (kind == Kind::failed && !sender.empty())
      log_.line("bounce", "{}: undeliverable postmaster notification discarded",
                queue::to_text(job.info.id).view());
    if (kind == Kind::failed && sender.empty() && bounces.notify_2bounce) {
      Notice notice = to_postmaster(bounces.double_bounce_recipient, kind);
      notice.whole = true;
      want(job, std::move(notice), row);
    }
    return;
  }
  if (kind == Kind::failed ? bounces.notify_bounce
                           : kind == Kind::delayed && bounces.notify_delay) {
    Notice notice = to_postmaster(
        kind == Kind::failed ? bounces.bounce_recipient : bounces.delay_recipient, kind);
    notice.copy = true;
    want(job, std::move(notice), row);
  }
  if (!wants(recipient.dsn, kind)) return;
  const bool whole = kind == Kind::failed && head.dsn_return != mail::DsnReturn::headers;
  want(job,
       {.to = std::string(sender),
        .from = {},
        .kind = kind,
        .to_postmaster = false,
        .copy = false,
        .whole = whole,
        .rows = {}},
       row);
}

Notices::Notice Notices::to_postmaster(const std::string& who, Kind kind) const {
  const config::Domains& domains = settings_->domains;
  Notice notice{.to = who,
                .from = domains.double_bounce_sender + "@" + domains.myorigin,
                .kind = kind,
                .to_postmaster = true,
                .copy = false,
                .whole = false,
                .rows = {}};
  if (notice.to.find('@') == std::string::npos) notice.to += "@" + domains.myorigin;
  return notice;
}

void Notices::want(Job& job, Notice notice, uint32_t row) {
  mail::EnvelopeReader envelope;
  const bool readable = envelope.open(job.envelope);
  MX_ASSERT(readable);
  notice.whole = notice.whole && envelope.head().size <= settings_->bounces.size_limit &&
                 !spool_.pool().low();  // then room is for saying it, not for sending it all back
  for (Notice& have : job.notices) {
    if (have.to != notice.to || have.from != notice.from || have.kind != notice.kind ||
        have.to_postmaster != notice.to_postmaster || have.copy != notice.copy)
      continue;
    have.rows.push_back(row);
    return;
  }
  notice.rows.push_back(row);
  job.notices.push_back(std::move(notice));
}

bool Notices::content_is_enough(const Job& job) const {
  if (job.notices.empty() || job.chunk == job.chunks.size()) return true;
  for (const Notice& notice : job.notices)
    if (notice.whole) return false;
  return job.content.size() > settings_->bounces.size_limit || has_whole_header(job.content);
}

void Notices::read_on(Job& job, uint32_t slot) {
  if (content_is_enough(job)) return go_on(job, slot);
  const queue::ChunkRef& chunk = job.chunks[job.chunk];
  read(job, slot, chunk.extent, chunk.type);
}

// The notice's text and envelope.
Addressed Notices::compose(Job& job) {
  const Notice& notice = job.notices[job.notice];
  mail::EnvelopeReader envelope;
  const bool readable = envelope.open(job.envelope);
  MX_ASSERT(readable);
  std::vector<mail::EnvelopeRecipient> recipients;
  mail::EnvelopeRecipient one;
  while (envelope.next_recipient(one)) recipients.push_back(one);
  std::vector<mail::ReportedRecipient> reported;
  for (const uint32_t at : notice.rows) {
    const NoticeRow& row = job.rows[at];
    const mail::EnvelopeRecipient& recipient = recipients[row.recipient];
    reported.push_back({recipient.address, recipient.dsn.original, row.status_class, row.subject,
                        row.detail, row.remote, row.text, row.action});
  }
  const WallTime now = loop_.wall();
  job.posting.begin(spool_.journal(), now);
  const queue::MessageIdText id = queue::to_text(job.posting.id());
  const queue::MessageIdText original_id = queue::to_text(job.info.id);
  const config::BounceSettings& bounces = settings_->bounces;
  mail::Report report;
  report.kind = notice.kind;
  report.to_postmaster = notice.to_postmaster;
  report.hostname = settings_->hostname;
  report.mail_name = settings_->mail_name;
  report.report_id = id.view();
  report.to = notice.to;
  report.original_id = original_id.view();
  report.sender = recipients[job.rows[notice.rows.front()].recipient].sender;
  report.envelope_id = envelope.head().envelope_id;
  report.arrival = job.info.arrival;
  report.now = now;
  report.zone = observe::local_zone(now);
  report.delay_warning = bounces.delay_warning;
  report.lifetime = bounces.queue_lifetime;
  report.recipients = reported;
  const bool whole = notice.whole && !job.content_is_lost;
  report.content_is_whole = whole;
  report.content =
      whole ? std::string_view(job.content) : mail::header_lines(job.content, bounces.size_limit);
  // A backend that refuses 8-bit mail would refuse this, too.
  if (settings_->relay.eight_bit_bounce && !is_ascii(report.content)) {
    report.content_is_whole = false;
    report.content = mail::header_lines(job.content, bounces.size_limit);
    if (!is_ascii(report.content)) report.content = {};
  }
  return job.posting.address(snapshot_->policy, notice.from, notice.to, mail::write_report(report));
}

// Writes notices until one has to wait for the journal, or all are durable.
void Notices::go_on(Job& job, uint32_t slot) {
  for (; job.notice < job.notices.size(); ++job.notice) {
    const Notice& next = job.notices[job.notice];
    const auto is_untold = [&](uint32_t row) { return bool{job.untold[row]}; };
    if (next.copy && std::ranges::any_of(next.rows, is_untold)) continue;  // it comes with these
    const Addressed addressed = job.posting.open() ? Addressed::ok : compose(job);
    if (addressed == Addressed::tempfail) {
      const Notice& notice = job.notices[job.notice];
      log_.line("bounce", "warning: {}: a notice to {} {}: a table can't be asked",
                queue::to_text(job.info.id).view(), observe::Peer{notice.to},
                notice.copy ? "is dropped" : "has to wait");
      waits(job);
    } else if (addressed == Addressed::limit) {
      drop(job, "its address can't be expanded (virtual_alias_maps, alias_maps)");
    } else if (job.posting.recipients() > 0) {  // else an alias throws its mail away
      if (!written(job, slot)) return;
    }
    job.posting.abandon(spool_.journal());
  }
  finish(job, slot);
}

// False: it is, or it has to wait, or the job is over. True: the next one's turn.
bool Notices::written(Job& job, uint32_t slot) {
  const queue::Status status =
      job.posting.write(spool_.journal(), jobs_.op(op_notice_commit, slot).pack());
  if (status == queue::Status::later) return false;
  if (status == queue::Status::too_large) {
    drop(job, "it is larger than a record of the queue may be");
    return true;
  }
  if (status == queue::Status::ok) {
    job.committing = true;
    ++in_flight_;
    return false;
  }
  log_.line(
      "bounce", "warning: {}: {} a notice", queue::to_text(job.info.id).view(),
      status == queue::Status::failed ? "a failed queue can't take" : "no room in the queue for");
  finish(job, slot);
  return false;
}

// The notice is made in another attempt, if it is more than a copy.
void Notices::waits(Job& job) {
  const Notice& notice = job.notices[job.notice];
  if (notice.copy) return;
  for (const uint32_t row : notice.rows) job.untold[row] = true;
}

// It can never be made.
void Notices::drop(Job& job, std::string_view why) {
  const Notice& lost = job.notices[job.notice];
  log_.line("bounce", "warning: {}: a notice to {} is dropped: {}",
            queue::to_text(job.info.id).view(), observe::Peer{lost.to}, why);
  const config::BounceSettings& bounces = settings_->bounces;
  if (lost.to_postmaster || lost.kind != Kind::failed || !bounces.notify_2bounce) return;
  Notice notice = to_postmaster(bounces.double_bounce_recipient, Kind::failed);
  notice.whole = lost.whole;
  notice.rows = lost.rows;
  job.notices.push_back(std::move(notice));
}

void Notices::on_commit(const queue::CommitResult& result) {
  const io::Op op = io::Op::unpack(result.cookie);
  Job* const job = jobs_.find(op);
  MX_ASSERT(job != nullptr && job->committing);
  --in_flight_;
  job->committing = false;
  if (!result.ok) return finish(*job, op.slot);
  io::crash_point(io::CrashPoint::notice_committed);
  log_notice(*job, result.id);
  counters_.recipients_generated.add(job->posting.recipients());
  generated_.push_back(result.id);
  if (job->notices[job->notice].kind == Kind::delayed) job->cause.warned = true;
  ++job->notice;
  go_on(*job, op.slot);
}

void Notices::log_notice(const Job& job, queue::MessageId id) {
  const Notice& notice = job.notices[job.notice];
  const char* what = notice.kind == Kind::failed    ? "non-delivery notification"
                     : notice.kind == Kind::delayed ? "delay notification"
                                                    : "delivery status notification";
  log_.line("bounce", "{}: {} {}: {}", queue::to_text(job.info.id).view(),
            notice.to_postmaster ? "postmaster" : "sender", what, queue::to_text(id).view());
}

// Who has been told of is done. All notices that are left wait.
void Notices::finish(Job& job, uint32_t slot) {
  job.posting.abandon(spool_.journal());
  for (; job.notice < job.notices.size(); ++job.notice) waits(job);
  for (size_t i = 0; i < job.rows.size(); ++i) {
    const NoticeRow& row = job.rows[i];
    // A success that could not be told is a success all the same.
    if (row.kind == Kind::delayed) continue;
    if (row.kind == Kind::failed && (!job.planned || job.untold[i])) continue;
    if (!spool_.journal().mark_done(job.info.id, row.recipient, 1, loop_.now())) continue;
    if (row.kind == Kind::failed) counters_.recipients_bounced.add();
    if (!row.action.empty()) counters_.recipients_expanded.add();
  }
  job.cause.told = job.planned && std::ranges::none_of(job.untold, std::identity{});
  job.cause.warned |= job.cause.told;
  ended_.push_back(std::move(job.cause));
  jobs_.free(slot);
}

void Notices::pump() {
  jobs_.each([&](uint32_t slot, Job& job) {
    if (!job.reading && !job.committing) go_on(job, slot);
  });
  start();
}

bool Notices::next_ended(NoticeCause& cause) {
  if (ended_.empty()) return false;
  cause = std::move(ended_.front());
  ended_.pop_front();
  const auto owned = owned_.find(cause.id);
  cause.claimed = owned->second;
  owned_.erase(owned);
  return true;
}

bool Notices::next_generated(queue::MessageId& id) {
  if (generated_.empty()) return false;
  id = generated_.front();
  generated_.pop_front();
  return true;
}

}  // namespace mx::relay
