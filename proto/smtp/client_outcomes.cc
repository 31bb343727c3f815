// The client machine's outcomes: from replies, and from what goes wrong without one.
#include <string>

#include "proto/base/assert.h"
#include "proto/base/text.h"
#include "proto/smtp/client.h"
#include "proto/smtp/client_text.h"

namespace mx::smtp {
namespace {

// Room that a reply leaves for " (in reply to end of DATA command)".
constexpr size_t suffix_bytes_max = 40;

bool plain(std::string_view text) {
  for (const char c : text)
    if (c < ' ' || c > '~') return false;
  return true;
}

}  // namespace

void append_bounded(OutcomeText& to, std::string_view raw, size_t limit) {
  constexpr std::string_view mark = "...";
  const size_t room_without_mark = limit - mark.size();
  if (to.size() > room_without_mark) return;  // marked already
  const size_t room = room_without_mark - to.size();
  if (raw.size() <= room && plain(raw)) {
    MX_ASSERT(to.append(raw));
    return;
  }
  const std::string clean = printable(raw, room);
  MX_ASSERT(to.append(clean));
  if (printable(raw).size() > clean.size()) MX_ASSERT(to.append(mark));
}

Outcome local_outcome(Result result, EnhancedCode enhanced, std::string_view text,
                      std::string_view more_text) {
  Outcome outcome;
  outcome.result = result;
  outcome.enhanced = enhanced;
  append_bounded(outcome.text, text);
  append_bounded(outcome.text, more_text);
  return outcome;
}

std::string_view Client::command_name(Stage stage) {
  switch (stage) {
    case Stage::greeting:
    case Stage::idle:
    case Stage::body:
      return {};
    case Stage::ehlo:
      return "EHLO command";
    case Stage::helo:
      return "HELO command";
    case Stage::rset:
      return "RSET command";
    case Stage::mail:
      return "MAIL FROM command";
    case Stage::rcpt:
      return "RCPT TO command";
    case Stage::data:
      return "DATA command";
    case Stage::end_of_data:
    case Stage::empty_message:
      return "end of DATA command";
    case Stage::quit:
      return "QUIT command";
  }
  MX_ASSERT(false);
}

std::string_view Client::activity(Stage stage) {
  switch (stage) {
    case Stage::greeting:
      return "receiving the initial server greeting";
    case Stage::ehlo:
      return "performing the EHLO handshake";
    case Stage::helo:
      return "performing the HELO handshake";
    case Stage::idle:
      return "between messages";
    case Stage::rset:
      return "sending RSET";
    case Stage::mail:
      return "sending MAIL FROM";
    case Stage::rcpt:
      return "sending RCPT TO";
    case Stage::data:
      return "sending DATA command";
    case Stage::body:
      return "sending message body";
    case Stage::end_of_data:
      return "sending end of data -- message may be sent more than once";
    case Stage::empty_message:
      return "giving up a message without recipients";
    case Stage::quit:
      return "sending QUIT";
  }
  MX_ASSERT(false);
}

const Outcome& Client::recipient_outcome(uint32_t i) const {
  MX_ASSERT(attempted_ && (need_ == Need::done || need_ == Need::closed));
  return outcomes_[outcome_index_[i]];
}

Outcome Client::from_reply(Result result) const {
  Outcome outcome;
  outcome.result = result;
  outcome.code = parser_.code();
  outcome.enhanced = parser_.enhanced();
  if (outcome.enhanced.status == 0)
    outcome.enhanced = {static_cast<uint8_t>(parser_.code() / 100), 0, 0};
  if (result == Result::deferred) outcome.enhanced.status = 4;
  const std::string_view command = result == Result::sent ? "" : command_name(stage_);
  const size_t limit = OutcomeText::capacity() - (command.empty() ? 0 : suffix_bytes_max);
  append_bounded(outcome.text, earlier_lines_.view(), limit);
  append_bounded(outcome.text, parser_.line(), limit);
  if (!command.empty()) {
    append_bounded(outcome.text, " (in reply to ");
    append_bounded(outcome.text, command);
    append_bounded(outcome.text, ")");
  }
  return outcome;
}

void Client::own_outcome(uint32_t recipient, const Outcome& outcome) {
  outcome_index_[recipient] = static_cast<uint16_t>(outcomes_.size());
  outcomes_.push_back(outcome);
}

void Client::settle(const Outcome& outcome) {
  MX_ASSERT(!settled_);
  outcomes_[0] = outcome;
  settled_ = true;
}

void Client::close(const Outcome& outcome) {
  session_outcome_ = outcome;
  if (attempted_ && !settled_) settle(outcome);
  need_ = Need::closed;
  send_stage_ = Stage::idle;
  stage_ = Stage::idle;
}

void Client::protocol_error(std::string_view what) {
  if (stage_ == Stage::quit) return close({});
  const Result result = stage_ == Stage::end_of_data ? Result::unknown : Result::deferred;
  Outcome outcome = local_outcome(result, {4, 5, 0}, "protocol error: ", what);
  append_bounded(outcome.text, " while ");
  append_bounded(outcome.text, activity(stage_));
  if (!parser_.line().empty()) {
    append_bounded(outcome.text, ": ");
    append_bounded(outcome.text, parser_.line());
  }
  close(outcome);
}

void Client::connection_lost() {
  if (need_ == Need::closed) return;
  if (stage_ == Stage::quit) return close({});
  const Result result = stage_ == Stage::end_of_data ? Result::unknown : Result::deferred;
  close(local_outcome(result, {4, 4, 2}, "lost connection while ", activity(stage_)));
}

void Client::command_timeout() {
  if (need_ == Need::closed) return;
  if (stage_ == Stage::quit) return close({});
  const Result result = stage_ == Stage::end_of_data ? Result::unknown : Result::deferred;
  close(local_outcome(result, {4, 4, 2}, "conversation timed out while ", activity(stage_)));
}

}  // namespace mx::smtp
