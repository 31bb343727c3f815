#include "tests/sim/world/ledger.h"

#include <algorithm>
#include <charconv>

namespace mx::sim {
namespace {
constexpr std::string_view postmaster = "postmaster@mx.example.test";
constexpr std::string_view letters_from = "double-bounce@";

constexpr std::string_view domain = "example.test";
constexpr std::string_view mark = "X-Sim: ";

}  // namespace

std::string Ledger::sender(const Mail& mail) {
  return mail.null_sender ? "" : fmt::format("s{}@src.test", mail.number);
}

std::string Ledger::address(const Mail& mail, uint32_t recipient) const {
  if (domains_ == 0) return fmt::format("u{}.{}@{}", mail.number, recipient, domain);
  const uint32_t place = (mail.number / 3 + recipient * 7) % domains_;  // neighbours share some
  return fmt::format("u{}.{}@d{}.{}", mail.number, recipient, place, domain);
}

Mail& Ledger::make(uint32_t recipients, size_t bytes, bool null_sender, bool eight_bit) {
  Mail& mail = mails_.emplace_back();
  mail.number = static_cast<uint32_t>(mails_.size() - 1);
  mail.null_sender = null_sender;
  mail.recipients.resize(recipients);
  std::string& text = mail.content;
  text = fmt::format("{}{}\r\nSubject: message {}\r\n\r\n", mark, mail.number, mail.number);
  Prng prng(world_.prng.next());
  while (text.size() < bytes) {
    const size_t length = 1 + prng.below(prng.chance(10) ? 900 : 78);
    if (prng.chance(5)) text += '.';
    for (size_t i = 0; i < length; ++i)
      text += eight_bit && prng.chance(3) ? static_cast<char>(0xC0 + prng.below(60))
                                          : static_cast<char>('!' + prng.below(90));
    text += "\r\n";
  }
  return mail;
}

Mail* Ledger::find_id(std::string_view id) {
  const auto found = ids_.find(id);
  return found == ids_.end() ? nullptr : &mails_[found->second];
}

void Ledger::log_line(std::string_view line) {
  static constexpr std::string_view notice = ": sender non-delivery notification: ";
  const std::string_view id = line.substr(0, line.find(':'));
  if (const size_t at = line.find(notice); at != std::string_view::npos && at == id.size()) {
    if (const Mail* mail = find_id(id))
      notice_ids_[std::string(line.substr(at + notice.size()))] = mail->number;
  } else if (lies_ && line.find("status=bounced") != std::string_view::npos) {
    // Whatever a liar's answers were taken for.
    static constexpr std::string_view to = ": to=<";
    const size_t from = line.find(to) + to.size();
    refused(line.substr(from, line.find('>') - from));
  } else if (line.find(">, status=expired, returned to sender") != std::string_view::npos) {
    if (Mail* mail = find_id(id)) mail->expired = true;
    if (const auto found = notice_ids_.find(id); found != notice_ids_.end())
      for (Recipient& each : mails_[found->second].recipients) each.notice = true;
  }
}

// "u12.3@example.test", or "s12@src.test" with recipient 0.
bool Ledger::parse(std::string_view address, char kind, uint32_t& mail, uint32_t& recipient) const {
  if (address.empty() || address.front() != kind) return false;
  const char* const end = address.data() + address.size();
  auto [at, error] = std::from_chars(address.data() + 1, end, mail);
  recipient = 0;
  if (error == std::errc() && kind == 'u' && at != end && *at == '.')
    at = std::from_chars(at + 1, end, recipient).ptr;
  return error == std::errc() && at != end && *at == '@' && mail < mails_.size() &&
         recipient < mails_[mail].recipients.size();
}

// Our header block, then what was sent, byte for byte.
void Ledger::take_copy(Mail& mail, uint32_t recipient, std::string_view content) {
  const std::string own = fmt::format("{}{}\r\n", mark, mail.number);
  const size_t at = content.find(own);
  if (at == std::string_view::npos) return world_.wrong("delivered without what it began with");
  const std::string_view header = content.substr(0, at);
  if (header.find("Received: ") == std::string_view::npos || !header.ends_with("\r\n"))
    world_.wrong("delivered without our header block");
  if (content.substr(at) != mail.content)
    world_.wrong(fmt::format("message {} was delivered with other bytes", mail.number));
  Recipient& to = mail.recipients[recipient];
  if (!to.permitted) world_.wrong("delivered to a recipient that was refused");
  if (mail.answer == Answer::refused && !mail.device_failed)
    world_.wrong(fmt::format("message {} was refused, and delivered", mail.number));
  ++delivered;
  if (!to.deliveries.empty()) {
    ++twice;
    if (!to.lied_to && !may_come_again(to.deliveries.back()))
      world_.wrong(fmt::format("{} was delivered twice for no reason", address(mail, recipient)));
  }
  if (to.notice) world_.say("note: delivered after its notice");
  to.deliveries.push_back({world_.now, life(), false, {}});
}

bool Ledger::may_come_again(const Delivered& before) const {
  if (!before.told) return true;
  const Life& life = lives_[before.life - 1];
  if (life.failed && before.told_at + mark_lag >= life.failed_at) return true;
  return before.life < lives_.size() && !life.clean && before.told_at + mark_lag >= life.ended;
}

void Ledger::device_failed() {
  if (lives_.back().failed) return;
  lives_.back().failed = true;
  lives_.back().failed_at = world_.now;
  // What is under way may be on the disk all the same.
  for (Mail& mail : mails_)
    if (mail.answer != Answer::accepted) mail.device_failed = true;
}

// Each recipient has a part of its own: its action, and who it was.
void Ledger::take_notice(std::string_view content) {
  static constexpr std::string_view field = "\r\nFinal-Recipient: rfc822; ";
  ++notices;
  for (size_t at = content.find(field); at != std::string_view::npos;
       at = content.find(field, at + 1)) {
    const std::string_view address =
        content.substr(at + field.size(), content.find("\r\n", at + 2) - at - field.size());
    const std::string_view rest = content.substr(at, content.find("\r\n\r\n", at) - at);
    uint32_t mail = 0, recipient = 0;
    if (!parse(address, 'u', mail, recipient)) return world_.wrong("a notice about nobody");
    const bool failed = rest.find("\r\nAction: failed") != std::string_view::npos;
    world_.say("notice of {}: {}", address, failed ? "failed" : "something else");
    if (!failed) continue;
    ++told_of;
    mails_[mail].recipients[recipient].notice = true;
  }
}

Ledger::Taken Ledger::taken(std::string_view from, const std::vector<std::string>& to,
                            std::string_view content) {
  Taken taken;
  for (const std::string& each : to) {
    uint32_t mail = 0, recipient = 0;
    if (parse(each, 's', mail, recipient)) {
      if (!from.empty()) world_.wrong("a notice with a sender");
      take_notice(content);
    } else if (each == postmaster) {
      if (!from.starts_with(letters_from))
        world_.wrong("a letter to the postmaster from " + std::string(from));
      ++letters;
    } else if (!parse(each, 'u', mail, recipient)) {
      world_.wrong("delivered to nobody: " + each);
    } else {
      if (from != sender(mails_[mail])) world_.wrong("delivered from somebody else");
      take_copy(mails_[mail], recipient, content);
      taken.emplace_back(mail, recipient);
    }
  }
  return taken;
}

void Ledger::told(const Taken& taken) {
  for (const auto& [mail, recipient] : taken) {
    Delivered& last = mails_[mail].recipients[recipient].deliveries.back();
    last.told = true;
    last.told_at = world_.now;
  }
}

// A notice that is refused is not sent again, and not told of either.
void Ledger::refused(std::string_view address) {
  uint32_t mail = 0, recipient = 0;
  if (parse(address, 's', mail, recipient)) {
    for (Recipient& each : mails_[mail].recipients) each.notice = true;
  } else if (parse(address, 'u', mail, recipient)) {
    mails_[mail].recipients[recipient].refused_for_good = true;
  }
}

void Ledger::lied_to(std::string_view address) {
  lies_ = true;
  uint32_t mail = 0, recipient = 0;
  if (parse(address, 'u', mail, recipient)) mails_[mail].recipients[recipient].lied_to = true;
  if (parse(address, 's', mail, recipient))
    for (Recipient& each : mails_[mail].recipients) each.lied_to = true;
}

void Ledger::refused_sender(std::string_view from) {
  uint32_t mail = 0, unused = 0;
  if (from.starts_with(letters_from)) return;
  if (!parse(from, 's', mail, unused)) return world_.wrong("mail from nobody");
  for (Recipient& each : mails_[mail].recipients) each.refused_for_good = true;
}

void Ledger::check(const std::vector<std::string>& held) {
  for (const Mail& mail : mails_) {
    if (mail.answer != Answer::accepted) continue;
    ++acknowledged;
    for (uint32_t i = 0; i < mail.recipients.size(); ++i) {
      const Recipient& each = mail.recipients[i];
      if (!each.permitted || !each.deliveries.empty() || each.notice || mail.deleted ||
          each.lied_to)
        continue;
      if (each.quiet && (each.refused_for_good || mail.expired)) continue;  // nobody hears of it
      const std::string own = address(mail, i);
      if (std::find(held.begin(), held.end(), own) != held.end()) continue;
      world_.wrong(fmt::format("{} was accepted and is lost", own));
    }
  }
}

}  // namespace mx::sim
