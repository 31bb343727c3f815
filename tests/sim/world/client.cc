#include "tests/sim/world/client.h"

#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace mx::sim {

uint32_t Client::active = 0;

Client::Client(World& world, Ledger& ledger, const ClientHabits& habits, bool calm)
    : world_(world), ledger_(ledger), habits_(habits) {
  Prng& prng = world.prng;
  messages_left_ = 1 + static_cast<uint32_t>(prng.below(habits.messages_max));
  pipelined_ = prng.chance(habits.pipelined);
  chunked_ = prng.chance(habits.chunked);
  if (calm) return;
  slow_ = prng.chance(habits.slow);
  if (prng.chance(habits.hangs_up)) hangs_up_at_ = prng.below(20'000);
}

void Client::start(World& world, Ledger& ledger, const ClientHabits& habits, bool calm) {
  auto client = std::make_shared<Client>(world, ledger, habits, calm);
  sockaddr_storage from{};
  auto* const in = reinterpret_cast<sockaddr_in*>(&from);
  in->sin_family = AF_INET;
  in->sin_port = htons(1025);
  in->sin_addr.s_addr = htonl(0x0A090000U + static_cast<uint32_t>(world.prng.below(60'000)));
  ++active;
  client->awaits_.push_back(Awaits::banner);
  client->connection_ = world.connect_client(client, from);
}

void Client::on_open() {}

void Client::on_closed() {
  if (!std::exchange(gone_, true)) --active;
}

// In pieces, as networks have it.
void Client::put(std::string bytes) {
  if (gone_) return;
  Prng& prng = world_.prng;
  Duration pause;
  while (!bytes.empty()) {
    size_t n = bytes.size();
    if (prng.chance(30)) n = 1 + prng.below(n);
    if (slow_ && n > 400) n = 400 + prng.below(n - 399);
    said_ += n;
    if (said_ > hangs_up_at_) {
      world_.after(pause, [self = shared_from_this()] { self->hang_up(); });
      return;
    }
    world_.after(pause, [self = shared_from_this(), piece = bytes.substr(0, n)] {
      if (!self->gone_) self->world_.peer_sends(self->connection_, piece);
    });
    bytes.erase(0, n);
    if (slow_) pause = pause + world_.up_to(4'000'000);
  }
}

void Client::hang_up() {
  if (gone_) return;
  world_.peer_closes(connection_, world_.prng.chance(50));
  on_closed();
}

void Client::on_bytes(std::string_view bytes) {
  in_ += bytes;
  for (size_t end = in_.find("\r\n"); end != std::string::npos; end = in_.find("\r\n")) {
    const std::string line = in_.substr(0, end);
    in_.erase(0, end + 2);
    uint32_t code = 0;
    std::from_chars(line.data(), line.data() + std::min<size_t>(3, line.size()), code);
    if (line.size() > 3 && line[3] == '-') continue;
    world_.say("client got {}", line);
    if (awaits_.empty()) {
      if (code != 421) world_.wrong("a reply to nothing: " + line);
      continue;
    }
    reply(code, line);
  }
}

void Client::say(Awaits what, std::string line) {
  awaits_.push_back(what);
  out_ += line + "\r\n";
}

void Client::flush() {
  put(std::exchange(out_, {}));
}

void Client::begin_mail() {
  Prng& prng = world_.prng;
  script_.clear();
  has_mail_ = refused_ = false;
  if (messages_left_ == 0) {
    say(Awaits::quit, "QUIT");
    return flush();
  }
  --messages_left_;
  const bool null_sender = prng.chance(habits_.null_sender);
  const bool eight_bit = prng.chance(habits_.eight_bit);
  size_t bytes = prng.below(habits_.bytes_max);
  if (prng.chance(habits_.big)) bytes = prng.below(habits_.big_bytes_max);
  if (prng.chance(habits_.too_big)) bytes = habits_.too_big_bytes;
  const auto count = static_cast<uint32_t>(1 + prng.below(habits_.recipients_max));
  Mail& made = ledger_.make(count, bytes, null_sender, eight_bit);
  mail_ = made.number;
  has_mail_ = true;
  rcpt_at_ = 0;
  chunk_at_ = 0;
  std::string line = fmt::format("MAIL FROM:<{}>", Ledger::sender(made));
  if (prng.chance(30)) line += fmt::format(" SIZE={}", made.content.size());
  if (eight_bit) line += " BODY=8BITMIME";
  script_.emplace_back(Awaits::mail, line);
  for (uint32_t i = 0; i < count; ++i) {
    made.recipients[i].quiet = null_sender || prng.chance(habits_.never);
    line = fmt::format("RCPT TO:<{}>", ledger_.address(made, i));
    if (made.recipients[i].quiet && !null_sender) line += " NOTIFY=NEVER";
    script_.emplace_back(Awaits::rcpt, line);
  }
  if (prng.chance(habits_.resets))
    script_.emplace_back(Awaits::rset, "RSET");
  else if (!chunked_)
    script_.emplace_back(Awaits::data, "DATA");
  go_on();
}

// The next command, or with pipelining all of them.
void Client::go_on() {
  if (!awaits_.empty()) return;
  if (script_.empty()) {
    if (chunked_ && has_mail_) next_chunk();
    return;
  }
  do {
    say(script_.front().first, script_.front().second);
    script_.pop_front();
  } while (pipelined_ && !script_.empty());
  flush();
}

void Client::send_body() {
  std::string wire;
  const std::string& content = mail().content;
  for (size_t at = 0; at < content.size();) {
    const size_t end = content.find("\r\n", at) + 2;
    if (content[at] == '.') wire += '.';
    wire.append(content, at, end - at);
    at = end;
  }
  awaits_.push_back(Awaits::end);
  ended_ = world_.now;
  put(wire + ".\r\n");
}

void Client::next_chunk() {
  const std::string& content = mail().content;
  size_t n = content.size() - chunk_at_;
  if (n > 0 && world_.prng.chance(60)) n = 1 + world_.prng.below(n);  // "BDAT 0" is refused
  const bool last = chunk_at_ + n == content.size();
  say(Awaits::chunk, fmt::format("BDAT {}{}", n, last ? " LAST" : ""));
  out_.append(content, chunk_at_, n);
  chunk_at_ += n;
  ended_ = world_.now;
  flush();
}

void Client::accepted(std::string_view text) {
  mail().answer = Answer::accepted;
  mail().answered = world_.now;
  mail().waited = world_.now - ended_;
  const size_t at = text.rfind("queued as ");
  if (at == std::string_view::npos) return world_.wrong("a 250 without a queue id");
  ledger_.queued_as(text.substr(at + 10), mail_);
}

void Client::reply(uint32_t code, std::string_view text) {
  const Awaits what = awaits_.front();
  awaits_.pop_front();
  const bool good = code / 100 == 2;
  switch (what) {
    case Awaits::banner:
      say(good ? Awaits::ehlo : Awaits::quit, good ? "EHLO client.test" : "QUIT");
      return flush();
    case Awaits::ehlo:
      return begin_mail();
    case Awaits::mail:
      refused_ |= !good;
      break;
    case Awaits::rcpt:
      mail().recipients[rcpt_at_++].permitted = good;
      break;
    case Awaits::data:
      if (code == 354) return send_body();
      refused_ = true;
      break;
    case Awaits::end:
    case Awaits::chunk:
      if (!good) {
        refused_ = true;
      } else if (what == Awaits::chunk && chunk_at_ < mail().content.size()) {
        break;
      } else {
        accepted(text);
        return begin_mail();
      }
      break;
    case Awaits::rset:
      mail().answer = Answer::refused;
      return begin_mail();
    case Awaits::quit:
      return;  // the server closes
  }
  if (code == 421) return;
  if (refused_ && awaits_.empty()) {
    mail().answer = Answer::refused;
    script_.clear();
    script_.emplace_back(Awaits::rset, "RSET");
    has_mail_ = false;
  }
  go_on();
}

}  // namespace mx::sim
