// tests/sim/world/ledger.h - what was promised to whom, and what became of it: the oracle of the
// shard simulator. Clients and backends write into it what they saw; check() holds the two against
// each other, for each recipient.
//
//   - every recipient of a message that got its 250 is delivered, or its sender has been told, or
//     nobody had to be told (null sender, NOTIFY), or an operator deleted it, or it is held
//   - nothing is delivered that was not sent, nor to whom it was not sent, nor with other bytes
//   - what was refused is not delivered, unless the device failed under it
//   - a second delivery only where the first was not heard of (the connection went before its
//     reply), or its mark was lost: a crash or a device error within mark_lag of it
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/time.h"
#include "tests/sim/world/world.h"

namespace mx::sim {

// A delivered mark is durable after this, or the device is broken.
inline constexpr Duration mark_lag = seconds(3);

enum class Answer : uint8_t { none, accepted, refused };

struct Delivered {
  Instant when;
  uint32_t life = 0;
  bool told = false;  // the shard has received the whole reply
  Instant told_at;
};

struct Recipient {
  bool permitted = false;         // RCPT got a 2xx
  bool quiet = false;             // NOTIFY=NEVER, or of a null sender: nobody is told
  bool refused_for_good = false;  // a backend said 5xx
  bool notice = false;            // a notice of its failure was delivered, or refused for good
  bool lied_to = false;  // by a backend that said more than was asked, of this recipient perhaps
  std::vector<Delivered> deliveries;
};

struct Mail {
  uint32_t number = 0;
  std::string content;  // unstuffed, as sent
  bool null_sender = false;
  Answer answer = Answer::none;
  Instant answered;            // valid when answer is
  Duration waited;             // from the final dot to its 250
  bool device_failed = false;  // a device error was given in the life that it came in
  bool deleted = false;        // an operator asked for that
  bool expired = false;        // it was too old (the clock had jumped)
  bool fresh = false;          // measured by a scenario
  std::vector<Recipient> recipients;
};

class Ledger {
 public:
  // `domains` > 0: so many domains have the recipients.
  Ledger(World& world, uint32_t domains) : world_(world), domains_(domains) {}

  Mail& make(uint32_t recipients, size_t bytes, bool null_sender, bool eight_bit);
  std::vector<Mail>& mails() { return mails_; }
  static std::string sender(const Mail& mail);
  std::string address(const Mail& mail, uint32_t recipient) const;

  void queued_as(std::string_view id, uint32_t mail) { ids_[std::string(id)] = mail; }
  Mail* find_id(std::string_view id);
  // A line of the shard's log: a message's notice, and what was given up as too old.
  void log_line(std::string_view line);

  // A backend has taken a message for these recipients; the result names the deliveries, for
  // told().
  using Taken = std::vector<std::pair<uint32_t, uint32_t>>;  // mail, recipient
  Taken taken(std::string_view sender, const std::vector<std::string>& to,
              std::string_view content);
  void told(const Taken& taken);
  void refused(std::string_view address);
  void lied_to(std::string_view address);
  void refused_sender(std::string_view sender);  // all recipients of its message

  // --- the lives
  void life_begins() { lives_.push_back({}); }
  void life_ends(bool clean) {
    lives_.back().ended = world_.now;
    lives_.back().clean = clean;
  }
  void device_failed();  // now
  uint32_t life() const { return static_cast<uint32_t>(lives_.size()); }

  // At the end. `held`: addresses that are still in the queue, held.
  void check(const std::vector<std::string>& held);

  uint64_t acknowledged = 0, delivered = 0, twice = 0, notices = 0, letters = 0, told_of = 0;

 private:
  struct Life {
    Instant ended;
    bool clean = false;
    bool failed = false;
    Instant failed_at;
  };
  bool parse(std::string_view address, char kind, uint32_t& mail, uint32_t& recipient) const;
  void take_notice(std::string_view content);
  void take_copy(Mail& mail, uint32_t recipient, std::string_view content);
  bool may_come_again(const Delivered& before) const;

  World& world_;
  uint32_t domains_;
  std::vector<Mail> mails_;
  std::map<std::string, uint32_t, std::less<>> ids_;
  std::map<std::string, uint32_t, std::less<>> notice_ids_;
  std::vector<Life> lives_;
  bool lies_ = false;
};

}  // namespace mx::sim
