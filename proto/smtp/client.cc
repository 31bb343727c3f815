#include "proto/smtp/client.h"

#include <charconv>
#include <iterator>

#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"
#include "proto/smtp/client_text.h"

namespace mx::smtp {
namespace {

static_assert(limits::recipients_max <= UINT16_MAX, "outcome_index_ has 16 bits, and 0 is shared");

template <typename Out>
void append_number(Out& out, uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

// Can this go between angle brackets without being read as anything but an address? The grammar was
// checked when the address came in; this is the last gate before the wire, so it depends on nothing
// before it.
bool safe_on_wire(std::string_view address) {
  if (address.size() > limits::address_bytes_max) return false;
  bool quoted = false;
  for (size_t i = 0; i < address.size(); ++i) {
    const char c = address[i];
    if (is_control(c)) return false;
    if (c == '"') quoted = !quoted;
    if (quoted && c == '\\') {
      ++i;
      if (i == address.size() || is_control(address[i])) return false;
    }
    if (!quoted && (c == ' ' || c == '<' || c == '>')) return false;
  }
  return !quoted;
}

}  // namespace

Duration Client::timeout() const {
  switch (stage_) {
    case Stage::greeting:
      return settings_->greeting_timeout;
    case Stage::ehlo:
    case Stage::helo:
      return settings_->helo_timeout;
    case Stage::idle:
      return {};
    case Stage::rset:
      return settings_->rset_timeout;
    case Stage::mail:
      return settings_->mail_timeout;
    case Stage::rcpt:
      return settings_->rcpt_timeout;
    case Stage::data:
      return settings_->data_init_timeout;
    case Stage::body:
      return settings_->data_xfer_timeout;
    case Stage::end_of_data:
    case Stage::empty_message:
      return settings_->data_done_timeout;
    case Stage::quit:
      return settings_->quit_timeout;
  }
  MX_ASSERT(false);
}

// ---- input
// -----------------------------------------------------------------------------------------------

size_t Client::feed(std::string_view in) {
  if (need_ == Need::closed) return 0;
  const size_t size = in.size();
  // No command goes out before the end of this: whatever is left over when all those that went out
  // before have their replies answers nothing (V62).
  while (!in.empty() && need_ != Need::closed) {
    if (unanswered_ == 0) {
      on_early_input(in);
      break;
    }
    switch (parser_.feed(in)) {
      case ReplyParser::Event::more:
        break;
      case ReplyParser::Event::line:
        on_line();
        append_bounded(earlier_lines_, parser_.line());
        append_bounded(earlier_lines_, " ");
        break;
      case ReplyParser::Event::reply:
        on_line();
        on_reply();
        earlier_lines_.clear();
        break;
      case ReplyParser::Event::malformed:
        protocol_error("malformed reply");
        break;
    }
  }
  send_commands();
  return size;
}

// A line of any reply: only those to EHLO and HELO say something that the code does not.
void Client::on_line() {
  if (stage_ != Stage::ehlo && stage_ != Stage::helo) return;
  if (parser_.code() / 100 != 2) return;
  if (parser_.lines() > 1) {
    if (stage_ == Stage::ehlo && !parser_.line_cut()) on_capability(parser_.text());
    return;
  }
  std::string_view text = parser_.text();
  const std::string_view name = take_word(text, " \t");
  if (port_ == 25 && !name.empty() && equals_ignoring_case(name, settings_->own_hostname))
    close(local_outcome(Result::refused, {5, 4, 6}, "mail loops back to myself"));
}

void Client::on_capability(std::string_view keyword_line) {
  const std::string_view keyword = take_word(keyword_line, " \t");
  const auto is = [&](std::string_view name) { return equals_ignoring_case(keyword, name); };
  if (is("PIPELINING")) capabilities_.pipelining = true;
  if (is("8BITMIME")) capabilities_.eight_bit_mime = true;
  if (is("DSN")) capabilities_.dsn = true;
  if (is("SMTPUTF8")) capabilities_.smtputf8 = true;
  if (is("CHUNKING")) capabilities_.chunking = true;
  if (is("STARTTLS")) capabilities_.starttls = true;
  if (is("SIZE")) {
    capabilities_.size = true;
    capabilities_.size_limit = parse_decimal(trim(keyword_line)).value_or(0);
  }
}

void Client::on_reply() {
  if (need_ == Need::closed) return;  // by on_line()
  MX_ASSERT(unanswered_ > 0);
  --unanswered_;
  ++replies_;
  const uint16_t code = parser_.code();
  if (stage_ == Stage::quit) return close({});
  if (code == 421) return close(from_reply(Result::deferred));
  if (stage_ == Stage::greeting) return on_greeting(code);
  if (stage_ == Stage::ehlo || stage_ == Stage::helo) return on_hello(code);
  on_transaction_reply(code);
}

void Client::on_greeting(uint16_t code) {
  if (code / 100 == 2) return await(Stage::ehlo);
  if (code / 100 == 3) return protocol_error("unexpected reply");
  Outcome outcome =
      from_reply(Result::deferred);  // smtp_skip_5xx_greeting: another host may take it
  outcome.enhanced.status = 4;
  close(outcome);
}

void Client::on_hello(uint16_t code) {
  const int reply_class = code / 100;
  if (reply_class == 2) {
    capabilities_.esmtp = stage_ == Stage::ehlo;
    stage_ = Stage::idle;
    need_ = Need::ready;
    return;
  }
  if (reply_class == 3) return protocol_error("unexpected reply");
  if (stage_ == Stage::ehlo) {
    capabilities_ = {};
    return await(Stage::helo);
  }
  close(from_reply(reply_class == 5 ? Result::refused : Result::deferred));
}

void Client::on_transaction_reply(uint16_t code) {
  answered_ = true;
  switch (stage_) {
    case Stage::rset:
      if (code / 100 != 2) return close(from_reply(Result::deferred));
      transaction_open_ = false;
      stage_ = Stage::mail;
      return go_on();
    case Stage::mail:
      return on_mail(code);
    case Stage::rcpt:
      return on_rcpt(code);
    case Stage::data:
      return on_data(code);
    case Stage::end_of_data:
      return on_end_of_data(code);
    case Stage::empty_message:  // whatever the server says, it has taken no message from us
      return complete();
    case Stage::greeting:
    case Stage::ehlo:
    case Stage::helo:
    case Stage::idle:
    case Stage::body:
    case Stage::quit:
      break;
  }
  MX_ASSERT(false);
}

void Client::on_mail(uint16_t code) {
  const int reply_class = code / 100;
  if (reply_class == 3) return protocol_error("unexpected reply");
  if (reply_class == 2) {
    transaction_open_ = true;
  } else {
    settle(from_reply(reply_class == 5 ? Result::refused : Result::deferred));
  }
  stage_ = Stage::rcpt;
  go_on();
}

void Client::on_rcpt(uint16_t code) {
  const int reply_class = code / 100;
  if (reply_class == 3) return protocol_error("unexpected reply");
  if (!settled_) {  // else MAIL was refused, and this is about nothing
    if (reply_class == 2) {
      ++accepted_;
    } else {
      own_outcome(reply_rcpt_, from_reply(reply_class == 5 ? Result::refused : Result::deferred));
    }
  }
  reply_rcpt_ = next_recipient(reply_rcpt_ + 1);
  if (reply_rcpt_ == delivery_.recipient_count) stage_ = Stage::data;
  go_on();
}

void Client::on_data(uint16_t code) {
  const int reply_class = code / 100;
  if (reply_class == 2) return protocol_error("unexpected reply");
  if (reply_class == 3 && (settled_ || accepted_ == 0)) {
    // DATA went ahead of the refusals. An empty message ends it; none was accepted for it (RFC
    // 2920 3.1).
    transaction_open_ = false;
    return await(Stage::empty_message);
  }
  if (reply_class == 3) {
    stage_ = Stage::body;
    need_ = Need::body;
    return;
  }
  if (!settled_) settle(from_reply(reply_class == 5 ? Result::refused : Result::deferred));
  complete();
}

void Client::on_end_of_data(uint16_t code) {
  transaction_open_ = false;
  const int reply_class = code / 100;
  if (reply_class == 3) return protocol_error("unexpected reply");
  if (reply_class == 2) {
    settle(from_reply(Result::sent));
  } else {
    settle(from_reply(reply_class == 5 ? Result::refused : Result::deferred));
  }
  complete();
}

// Bytes that no command of ours has asked for: at best a 421, at worst a lie about what comes next.
void Client::on_early_input(std::string_view in) {
  parser_ = ReplyParser();
  if (parser_.feed(in) != ReplyParser::Event::reply) return protocol_error("unexpected input");
  if (parser_.code() != 421) return protocol_error("unexpected reply");
  Outcome outcome = from_reply(Result::deferred);
  if (stage_ == Stage::body) append_bounded(outcome.text, " (while sending message body)");
  close(outcome);
}

// ---- output
// ----------------------------------------------------------------------------------------------

// One command, outside of a transaction's sequence or at its end.
void Client::await(Stage stage) {
  MX_ASSERT(unanswered_ == 0);
  stage_ = send_stage_ = stage;
  need_ = Need::input;
}

void Client::start(const Delivery& delivery) {
  MX_ASSERT(need_ == Need::ready && stage_ == Stage::idle && unanswered_ == 0);
  MX_ASSERT(delivery.recipient_count > 0 && delivery.recipient_count <= limits::recipients_max);
  delivery_ = delivery;
  outcomes_.resize(1);
  outcomes_[0] = {};
  outcome_index_.clear();
  outcome_index_.resize(delivery.recipient_count);
  accepted_ = 0;
  settled_ = false;
  attempted_ = true;
  answered_ = false;
  if (refused_without_dialogue()) return complete();

  need_ = Need::input;
  stage_ = send_stage_ = transaction_open_ ? Stage::rset : Stage::mail;
  send_rcpt_ = reply_rcpt_ = next_recipient(0);
  send_commands();
}

// What needs no word with the server; true when nothing is left to ask it.
bool Client::refused_without_dialogue() {
  if (!safe_on_wire(delivery_.sender)) {
    settle(local_outcome(Result::refused, {5, 1, 7}, "bad sender address syntax"));
    return true;
  }
  if (capabilities_.size_limit > 0 && delivery_.size > capabilities_.size_limit) {
    std::string text = "message size ";
    append_number(text, delivery_.size);
    text += " exceeds size limit ";
    append_number(text, capabilities_.size_limit);
    text += " of server";
    settle(local_outcome(Result::refused, {5, 3, 4}, text));
    return true;
  }
  if (delivery_.smtputf8_needed && !capabilities_.smtputf8) {
    settle(local_outcome(Result::refused, {5, 6, 7},
                         "SMTPUTF8 is required, but was not offered by the server"));
    return true;
  }
  for (uint32_t i = 0; i < delivery_.recipient_count; ++i) {
    if (!delivery_.recipients[i].empty() && safe_on_wire(delivery_.recipients[i])) continue;
    own_outcome(i, local_outcome(Result::refused, {5, 1, 3}, "bad recipient address syntax"));
  }
  return next_recipient(0) == delivery_.recipient_count;
}

// The first recipient from `from` on that the server is to be asked about.
uint32_t Client::next_recipient(uint32_t from) const {
  while (from < delivery_.recipient_count && outcome_index_[from] != 0) ++from;
  return from;
}

// Fills the window. Nothing is added while bytes wait in out(): the owner may have lent them to the
// kernel.
void Client::send_commands() {
  if (!out_.empty()) return;
  const uint32_t window = capabilities_.pipelining ? pipelined_commands_max : 1;
  while (send_stage_ != Stage::idle && unanswered_ < window) {
    send_command();
    ++unanswered_;
  }
}

// Writes the command of send_stage_ and moves it to the next.
void Client::send_command() {
  const Stage stage = send_stage_;
  send_stage_ = Stage::idle;
  switch (stage) {
    case Stage::ehlo:
    case Stage::helo:
      out_.append(stage == Stage::ehlo ? "EHLO " : "HELO ");
      out_.append(settings_->helo_name);
      out_.append("\r\n");
      return;
    case Stage::rset:
      out_.append("RSET\r\n");
      send_stage_ = Stage::mail;
      return;
    case Stage::mail:
      send_mail();
      send_stage_ = Stage::rcpt;
      return;
    case Stage::rcpt:
      send_rcpt(send_rcpt_);
      send_rcpt_ = next_recipient(send_rcpt_ + 1);
      send_stage_ = send_rcpt_ == delivery_.recipient_count ? Stage::data : Stage::rcpt;
      return;
    case Stage::data:
      out_.append("DATA\r\n");
      return;
    case Stage::end_of_data:
    case Stage::empty_message:
      out_.append(".\r\n");
      return;
    case Stage::quit:
      out_.append("QUIT\r\n");
      return;
    case Stage::greeting:
    case Stage::idle:
    case Stage::body:
      break;
  }
  MX_ASSERT(false);
}

void Client::send_mail() {
  out_.append("MAIL FROM:<");
  out_.append(delivery_.sender);
  out_.append(">");
  if (capabilities_.size) {
    out_.append(" SIZE=");
    append_number(out_, delivery_.size);
  }
  if (delivery_.eight_bit && capabilities_.eight_bit_mime) out_.append(" BODY=8BITMIME");
  if (delivery_.smtputf8 && capabilities_.smtputf8) out_.append(" SMTPUTF8");
  if (capabilities_.dsn && delivery_.dsn_return != mail::DsnReturn::unset)
    out_.append(delivery_.dsn_return == mail::DsnReturn::full ? " RET=FULL" : " RET=HDRS");
  if (capabilities_.dsn && mail::is_dsn_envelope_id(delivery_.envelope_id)) {
    out_.append(" ENVID=");
    out_.append(delivery_.envelope_id);
  }
  out_.append("\r\n");
}

void Client::send_rcpt(uint32_t recipient) {
  out_.append("RCPT TO:<");
  out_.append(delivery_.recipients[recipient]);
  out_.append(">");
  if (capabilities_.dsn && delivery_.dsn != nullptr) {
    const mail::RecipientDsn& dsn = delivery_.dsn[recipient];
    if (dsn.notify != 0) {
      out_.append(" NOTIFY=");
      out_.append(mail::dsn_notify_text(dsn.notify));
    }
    if (mail::is_dsn_original_recipient(dsn.original)) {
      out_.append(" ORCPT=");
      out_.append(dsn.original);
    }
  }
  out_.append("\r\n");
}

// After a reply to RSET, MAIL or RCPT: the next commands, or the end when no recipient is left and
// all that was sent ahead is answered.
void Client::go_on() {
  const bool no_recipient_left = settled_ || (stage_ == Stage::data && accepted_ == 0);
  if (no_recipient_left) send_stage_ = Stage::idle;
  if (no_recipient_left && unanswered_ == 0) complete();
}

void Client::body_sent() {
  MX_ASSERT(need_ == Need::body && stage_ == Stage::body);
  await(Stage::end_of_data);
  send_commands();
}

void Client::complete() {
  MX_ASSERT(attempted_ && unanswered_ == 0);
  send_stage_ = Stage::idle;
  stage_ = Stage::idle;
  need_ = Need::done;
}

void Client::finish() {
  MX_ASSERT(need_ == Need::done);
  attempted_ = false;
  delivery_ = {};
  need_ = Need::ready;
}

void Client::quit() {
  MX_ASSERT(need_ == Need::ready);
  await(Stage::quit);
  send_commands();
}

}  // namespace mx::smtp
