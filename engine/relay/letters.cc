#include "engine/relay/letters.h"

#include "engine/observe/local_zone.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/mail/notice.h"

namespace mx::relay {

Letters::Letters(io::Loop& loop, spool::Spool& spool, observe::LogStream& log,
                 observe::Counters& counters)
    : loop_(loop), spool_(spool), log_(log), counters_(counters) {}

Letters::~Letters() {
  posting_.abandon(spool_.journal());
}

void Letters::set_snapshot(policy::SnapshotPointer snapshot, policy::SettingsPointer settings) {
  snapshot_ = std::move(snapshot);
  settings_ = std::move(settings);
}

bool Letters::add(Letter letter) {
  if (waiting_.size() >= limits::letters_waiting_max || !spool_.journal().accepting()) return false;
  waiting_.push_back(std::move(letter));
  return true;
}

bool Letters::compose(const Letter& letter) {
  const std::string& origin = settings_->domains.myorigin;
  std::string to = letter.to;
  if (to.find('@') == std::string::npos) to += "@" + origin;
  const WallTime now = loop_.wall();
  posting_.begin(spool_.journal(), now);
  const queue::MessageIdText id = queue::to_text(posting_.id());
  mail::Notice notice;
  notice.hostname = settings_->hostname;
  notice.mail_name = settings_->mail_name;
  notice.origin = origin;
  notice.id = id.view();
  notice.to = to;
  notice.subject = letter.subject;
  notice.text = letter.text;
  notice.now = now;
  notice.zone = observe::local_zone(now);
  return posting_.address(snapshot_->policy, settings_->domains.double_bounce_sender + "@" + origin,
                          to, mail::write_notice(notice)) == policy::Expansion::Result::ok;
}

void Letters::pump() {
  while (!waiting_.empty() && !committing_) {
    if (!posting_.open() && !compose(waiting_.front())) {
      over(false);
      continue;
    }
    if (posting_.recipients() == 0) {  // an alias throws its mail away
      over(true);
      continue;
    }
    const uint64_t cookie = io::Op{op_letter_commit, 0, 0}.pack();
    const queue::Status status = posting_.write(spool_.journal(), cookie);
    if (status == queue::Status::later) return;
    if (status == queue::Status::ok)
      committing_ = true;
    else
      over(false);
  }
}

void Letters::on_commit(const queue::CommitResult& result) {
  MX_ASSERT(committing_ && !waiting_.empty());
  committing_ = false;
  if (result.ok) {
    log_.line("bounce", "{}: {} to the postmaster", queue::to_text(result.id).view(),
              waiting_.front().what);
    counters_.recipients_generated.add(posting_.recipients());
    generated_.push_back(result.id);
  }
  over(result.ok);
}

void Letters::over(bool told) {
  posting_.abandon(spool_.journal());
  const Letter letter = std::move(waiting_.front());
  waiting_.pop_front();
  if (!told)
    log_.line("bounce",
              "warning: a letter to the postmaster ({}) is lost: no room for it in the "
              "queue, or its address can't be expanded",
              letter.what);
  if (letter.done) letter.done(told);
}

bool Letters::next_generated(queue::MessageId& id) {
  if (generated_.empty()) return false;
  id = generated_.front();
  generated_.pop_front();
  return true;
}

}  // namespace mx::relay
