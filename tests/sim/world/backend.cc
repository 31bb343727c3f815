#include "tests/sim/world/backend.h"

#include <algorithm>
#include <utility>

namespace mx::sim {
namespace {

// One connection of the shard.
class Dialogue final : public Peer, public std::enable_shared_from_this<Dialogue> {
 public:
  Dialogue(Backend& backend, ConnectionPointer connection)
      : backend_(backend), world_(backend.world()), connection_(std::move(connection)) {}

  void on_open() override {
    if (world_.prng.chance(backend_.habits().busy)) {
      answer("421 4.3.2 too busy");
      return hang_up();
    }
    if (!misbehaves()) answer("220 backend.test ESMTP");
  }
  void on_closed() override { gone_ = true; }
  void on_bytes(std::string_view bytes) override {
    in_ += bytes;
    while (!gone_ && !stalled_) {
      if (in_data_) {
        if (!take_data()) return;
        continue;
      }
      const size_t end = in_.find("\r\n");
      if (end == std::string::npos) return;
      const std::string line = in_.substr(0, end);
      in_.erase(0, end + 2);
      command(line);
    }
  }

 private:
  void answer(std::string_view text, std::function<void()> told = {}) {
    if (gone_) return;
    world_.say("backend says {}", text);
    std::string bytes = std::string(text) + "\r\n";
    if (world_.prng.chance(10) && bytes.size() > 1) {  // in two pieces
      const size_t cut = 1 + world_.prng.below(bytes.size() - 1);
      world_.peer_sends(connection_, bytes.substr(0, cut));
      bytes.erase(0, cut);
    }
    world_.peer_sends(connection_, bytes, std::move(told));
  }
  // From here on the shard may take one answer for another.
  void lie(std::string_view text) {
    lies_ = true;
    backend_.ledger().lied_to(sender_);
    for (const std::string& each : to_) backend_.ledger().lied_to(each);
    answer(text);
  }
  void hang_up() {
    if (std::exchange(gone_, true)) return;
    world_.say("backend hangs up");
    world_.peer_closes(connection_, world_.prng.chance(40));
  }
  // Something else than the answer.
  bool misbehaves() {
    const BackendHabits& habits = backend_.habits();
    if (world_.prng.chance(habits.hangs_up)) return hang_up(), true;
    if (world_.prng.chance(habits.stalls)) {
      world_.say("backend stalls");
      stalled_ = true;
      if (world_.prng.chance(50)) world_.peer_reads(connection_, false);
      return true;
    }
    if (world_.prng.chance(habits.says_more)) lie("250 2.0.0 and one more");
    return false;
  }
  void command(const std::string& line) {
    if (misbehaves()) return;
    const BackendHabits& habits = backend_.habits();
    if (line.starts_with("EHLO")) {
      std::string text = "250-backend.test\r\n";
      if (habits.pipelining) text += "250-PIPELINING\r\n";
      if (habits.eight_bit) text += "250-8BITMIME\r\n";
      if (habits.dsn) text += "250-DSN\r\n";
      if (habits.size) text += "250-SIZE 10000000\r\n";
      answer(text + "250 ENHANCEDSTATUSCODES");
    } else if (line.starts_with("MAIL FROM:<")) {
      sender_ = line.substr(11, line.find('>') - 11);
      to_.clear();
      has_mail_ = !refuses_now();
      if (has_mail_) answer("250 2.1.0 ok");
    } else if (line.starts_with("RCPT TO:<")) {
      const std::string address = line.substr(9, line.find('>') - 9);
      if (lies_) backend_.ledger().lied_to(address);
      if (!has_mail_) return answer("503 5.5.1 MAIL first");
      if (!backend_.knows(address)) {
        backend_.ledger().refused(address);
        return answer("550 5.1.1 not known here");
      }
      if (refuses_now(address)) return;
      to_.push_back(address);
      answer("250 2.1.5 ok");
    } else if (line == "DATA") {
      if (to_.empty()) return answer("554 5.5.1 no valid recipients");
      if (refuses_now()) return to_.clear();
      content_.clear();
      in_data_ = true;
      answer("354 go on");
      if (world_.prng.chance(habits.says_early)) lie("250 2.0.0 queued too early");
    } else if (line == "RSET") {
      to_.clear();
      has_mail_ = false;
      answer("250 2.0.0 ok");
    } else if (line == "QUIT") {
      answer("221 2.0.0 bye");
      hang_up();
    } else {
      answer("502 5.5.2 what?");
    }
  }
  bool refuses_now(const std::string& address = {}) {
    const BackendHabits& habits = backend_.habits();
    if (world_.prng.chance(habits.later)) {
      const bool leaves = world_.prng.chance(15);
      answer(leaves ? "421 4.3.0 later" : "451 4.3.0 later");
      if (leaves) hang_up();
      return true;
    }
    // A refused MAIL of a null sender would not say whose it was.
    if (to_.empty() && address.empty() && sender_.empty()) return false;
    if (!world_.prng.chance(habits.refuses)) return false;
    note_refused(address);
    answer("554 5.7.1 refused");
    return true;
  }
  // For all of the transaction, unless it is one's own refusal. Those of whom the shard has not
  // spoken yet are not known here: a refused MAIL is all of the message's.
  void note_refused(const std::string& address) {
    if (!address.empty()) return backend_.ledger().refused(address);
    for (const std::string& each : to_) backend_.ledger().refused(each);
    if (to_.empty()) backend_.ledger().refused_sender(sender_);
  }
  bool take_data() {
    while (true) {
      const size_t end = in_.find("\r\n");
      if (end == std::string::npos) return false;
      std::string line = in_.substr(0, end + 2);
      in_.erase(0, end + 2);
      if (line == ".\r\n") break;
      if (line.front() == '.') line.erase(0, 1);
      content_ += line;
    }
    in_data_ = has_mail_ = false;
    Prng& prng = world_.prng;
    const BackendHabits& habits = backend_.habits();
    if (refuses_now()) return true;
    if (prng.chance(habits.hangs_up) && prng.chance(50)) return hang_up(), true;  // not taken
    // Taken: what comes now may reach the shard or not.
    const Ledger::Taken taken = backend_.ledger().taken(sender_, to_, content_);
    if (backend_.on_taken) backend_.on_taken(taken);
    if (prng.chance(habits.hangs_up)) return hang_up(), true;
    if (prng.chance(habits.stalls)) return stalled_ = true;
    const Duration takes = habits.takes.us > 0 ? habits.takes : world_.up_to(3000);
    world_.after(takes, [self = shared_from_this(), taken] {
      self->answer("250 2.0.0 taken", [self, taken] { self->backend_.ledger().told(taken); });
    });
    return true;
  }

  Backend& backend_;
  World& world_;
  ConnectionPointer connection_;
  std::string in_, sender_, content_;
  std::vector<std::string> to_;
  bool in_data_ = false, has_mail_ = false, gone_ = false, stalled_ = false, lies_ = false;
};

}  // namespace

void Backend::calm() {
  habits_.later = habits_.hangs_up = habits_.stalls = habits_.says_more = habits_.says_early =
      habits_.refuses = habits_.is_down = habits_.busy = 0;
  come_up();
}

// By the address alone, so that it is the same each time.
bool Backend::knows(std::string_view address) const {
  uint32_t sum = 7;
  for (const char c : address) sum = sum * 31 + static_cast<unsigned char>(c);
  return sum % 100 >= habits_.never;
}

World::Answer Backend::connect() {
  ++attempts;
  if (down_) ++attempts_down;
  if (down_ || world_.prng.chance(habits_.is_down)) {
    if (black_hole_ && down_) return {0, {-1}, {}};
    constexpr int errors[] = {ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT};
    return {-errors[world_.prng.below(std::size(errors))], world_.up_to(5000), {}};
  }
  return {0, world_.up_to(2000), [this](const ConnectionPointer& connection) {
            return std::make_shared<Dialogue>(*this, connection);
          }};
}

}  // namespace mx::sim
