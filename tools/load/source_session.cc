#include "tools/load/source_session.h"

namespace mx::load {

void Dialogue::append_recipient(std::string& out, uint64_t message, uint32_t index) const {
  out += "RCPT TO:<";
  if (recipients > 1) out += std::to_string(index + 1);  // as smtp-source -r
  if (const size_t at = recipient.rfind('@'); domains > 0 && at != std::string::npos) {
    out.append(recipient, 0, at + 1);
    out += "d" + std::to_string((message * recipients + index) % domains) + ".";
    out.append(recipient, at + 1);
  } else {
    out += recipient;
  }
  out += ">\r\n";
}

void SourceSession::begin(const Dialogue& dialogue) {
  wants_message = refused = false;
  recipients_asked = recipients_answered = recipients_taken = 0;
  stage = Stage::mail;
  out = dialogue.mail;
  if (!pipelining) return;
  while (recipients_asked < dialogue.recipients) ask_recipient(dialogue);
  out += dialogue.data;
}

bool SourceSession::take(const Dialogue& dialogue, const ReplyLine& line, Ended& ended) {
  if (line.code == 0 || line.code == 421) return false;
  const bool good = line.code / 100 == 2;
  if (stage == Stage::ehlo && good && line.text == "PIPELINING") pipelining = dialogue.pipeline;
  if (!line.last) return true;
  switch (stage) {
    case Stage::greeting:
      out = dialogue.ehlo;
      stage = Stage::ehlo;
      return good;
    case Stage::ehlo:
      wants_message = true;
      return good;
    case Stage::mail:
      after_mail(dialogue, good);
      break;
    case Stage::rcpt:
      after_rcpt(dialogue, good);
      break;
    case Stage::data:
      after_data(dialogue, line.code, ended);
      return true;
    case Stage::dot:
      ended = good && !refused ? Ended::accepted : Ended::refused;
      next(dialogue);
      return true;
    case Stage::rset:
      next(dialogue);
      return true;
    case Stage::quit:
      stage = Stage::closed;
      return true;
    case Stage::connect:
    case Stage::closed:
      return false;
  }
  if (refused && !pipelining) give_up(dialogue, ended);
  return true;
}

void SourceSession::after_mail(const Dialogue& dialogue, bool good) {
  refused = !good;
  stage = Stage::rcpt;
  if (!good || pipelining) return;
  out.clear();
  ask_recipient(dialogue);
}

void SourceSession::after_rcpt(const Dialogue& dialogue, bool good) {
  ++recipients_answered;
  recipients_taken += good;
  if (recipients_answered < dialogue.recipients) {
    if (pipelining) return;
    out.clear();
    return ask_recipient(dialogue);
  }
  refused = refused || recipients_taken == 0;
  stage = Stage::data;
  if (!refused && !pipelining) out = dialogue.data;
}

void SourceSession::after_data(const Dialogue& dialogue, int code, Ended& ended) {
  if (code != 354) return give_up(dialogue, ended);
  stage = Stage::dot;
  if (refused) {
    out = ".\r\n";
  } else {
    out = header;
    with_body = true;
  }
}

void SourceSession::give_up(const Dialogue& dialogue, Ended& ended) {
  ended = Ended::refused;
  out = dialogue.rset;
  stage = Stage::rset;
}

void SourceSession::next(const Dialogue& dialogue) {
  if (dialogue.keep_connection) {
    wants_message = true;
  } else {
    out = dialogue.quit;
    stage = Stage::quit;
  }
}

}  // namespace mx::load
