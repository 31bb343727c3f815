#include "engine/session/transcript.h"

#include <algorithm>

#include "engine/session/inbound.h"
#include "engine/session/session.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"
#include "proto/mail/notice.h"

namespace mx::session {
namespace {

constexpr size_t columns = 78;  // Postfix's
constexpr Duration hour = seconds(3600);
// Classes that a client can cause: what came before is wanted, too.
constexpr smtp::ErrorClasses of_clients =
    smtp::error_policy | smtp::error_protocol | smtp::error_data | smtp::error_bounce;

}  // namespace

void Transcript::add(char direction, std::string_view bytes) {
  while (!bytes.empty()) {
    if (direction != direction_) end_line();
    if (line_.empty()) line_ = direction == '<' ? "In:  " : "Out: ";
    direction_ = direction;
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    const size_t room = limits::transcript_line_bytes_max -
                        std::min<size_t>(line_.size(), limits::transcript_line_bytes_max);
    line_ += bytes.substr(0, std::min(end, room));
    if (end < bytes.size()) end_line();
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
}

void Transcript::end_line() {
  if (line_.ends_with('\r')) line_.pop_back();
  if (!line_.empty()) text_.append(line_) += '\n';
  line_.clear();
  direction_ = 0;
  if (text_.size() > limits::transcript_bytes_max) shorten();
}

// The first half goes.
void Transcript::shorten() {
  const size_t end = text_.find('\n', text_.size() / 2) + 1;
  lines_dropped_ += static_cast<uint32_t>(
      std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
  text_.erase(0, end);
}

std::string Transcript::text() const {
  std::string out;
  if (lines_dropped_ > 0)
    out += " [" + std::string(Decimal(lines_dropped_).view()) + " lines left out]\n";
  const std::string all = text_ + line_;
  std::string_view rest = all;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    mail::add_wrapped(out, rest.substr(0, end), columns, " ", "     ");
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

// Before a command is taken, and before replies go out: what was said since is kept, if anybody
// will want it.
void Inbound::transcribe(Session& s) {
  if (!s.transcript && !begin_transcript(s)) return;
  s.transcript->add_replies(s.server.out().text());
}

bool Inbound::begin_transcript(Session& s) {
  const smtp::ErrorClasses wanted = s.settings->bounces.notify_errors;
  if ((wanted & (of_clients | s.server.error_classes())) == 0) return false;
  if (transcripts_ == limits::transcripts_max) return false;
  ++transcripts_;
  s.transcript = std::make_unique<Transcript>();
  return true;
}

// The session is over: the postmaster is told of errors of the classes that main.cf names. A flood
// of bad sessions is no flood of letters.
void Inbound::end_transcript(Session& s) {
  const config::BounceSettings& bounces = s.settings->bounces;
  const smtp::ErrorClasses classes = s.server.error_classes() & bounces.notify_errors;
  if (classes != 0) {
    if (!s.transcript) begin_transcript(s);
    if (s.transcript) s.transcript->add_replies(s.server.out().text());
    if (!s.transcript || !may_notify())
      counters_.error_notices_left_out.add();
    else
      notify(s, (classes & smtp::error_bounce) != 0 ? bounces.bounce_recipient
                                                    : bounces.error_recipient);
  }
  if (!s.transcript) return;
  s.transcript.reset();
  --transcripts_;
}

bool Inbound::may_notify() {
  const Instant now = loop_.now();
  if (now - notify_hour_ >= hour || notified_ == 0) {
    notify_hour_ = now;
    notified_ = 0;
  }
  const uint32_t shards = std::max(1U, settings_->resources.shards);
  const uint32_t most = std::max(1U, limits::error_notices_an_hour_max / shards);
  if (notified_ < most) {
    ++notified_;
    return true;
  }
  if (notified_++ == most)
    log_.line(
        "smtpd",
        "warning: {} letters about errors of sessions in an hour: no more of them until it is "
        "over (error_notices_left_out counts)",
        most);
  return false;
}

void Inbound::notify(Session& s, const std::string& to) {
  const std::string_view reason = s.server.too_many_errors() ? "too many errors" : s.end_reason;
  std::string text = "Transcript of session follows.\n\n" + s.transcript->text() + "\n";
  if (!reason.empty()) text.append("Session aborted, reason: ").append(reason) += '\n';
  text += "\nFor other details, see the local mail logfile\n";
  relay::Letter letter;
  letter.to = to;
  letter.subject = fmt::format("{} SMTP server: errors from {}[{}]", settings_->mail_name,
                               s.client_name(), s.ip.view());
  letter.text = std::move(text);
  letter.what = "transcript of a session";
  letters_.push_back(std::move(letter));
}

bool Inbound::next_letter(relay::Letter& letter) {
  if (letters_.empty()) return false;
  letter = std::move(letters_.back());
  letters_.pop_back();
  return true;
}

}  // namespace mx::session
