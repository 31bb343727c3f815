// engine/policy/expand.h - who gets a message in the end: virtual_alias_maps and aliases(5).
//
// Postfix's cleanup maps every recipient through virtual_alias_maps, again and again; its local(8)
// then expands what is in mydestination by alias_maps. Here both happen before the message is made
// durable, so that a 250 covers all recipients. Expansion is a pure function of the snapshot; its
// memory is the Expansion's, which the owner uses again. Cost of an address that no table changes:
// one resolve(), no allocation. With tables: bounded by virtual_alias_expansion_limit and
// _recursion_limit, and by recipients_max.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/policy/policy.h"
#include "proto/smtp/transaction.h"

namespace mx::policy {

// What access(5) made of the recipients.
struct Rewrites {
  std::string_view redirect;         // all mail to here instead; empty: none
  std::span<const std::string> bcc;  // these as well
};

class Expansion {
 public:
  enum class Result : uint8_t {
    ok,        // recipients() may be empty: all that was asked for is thrown away
    tempfail,  // a table could not be asked
    limit,     // more than an expansion may be
  };

  Result expand(const Policy& policy, const smtp::Transaction& transaction,
                const Rewrites& rewrites);
  // Of one address, to see whether it can be delivered to.
  Result expand(const Policy& policy, std::string_view address);

  uint32_t size() const { return size_; }
  // In the form in which it goes on the wire.
  std::string_view address(uint32_t i) const { return recipients_[i].address; }
  // The RCPT it came from; not less than their number: of none.
  uint32_t original(uint32_t i) const { return recipients_[i].original; }
  // owner-NAME's, when the recipient came out of alias NAME that has one.
  bool has_own_sender(uint32_t i) const { return recipients_[i].owned; }
  std::string_view own_sender(uint32_t i) const { return recipients_[i].sender; }
  // What became of the RCPT: nothing, an alias, or one with an owner (a mailing list).
  enum class Change : uint8_t { none, alias, list };
  Change change(uint32_t original) const;
  // Nobody among the recipients is without a place to be delivered to.
  bool deliverable() const { return deliverable_; }
  // What the log should say.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  friend class Expander;
  struct Recipient {
    uint32_t original = 0;  // index of the RCPT, or behind them
    bool owned = false;
    std::string address, sender;
  };
  Recipient& append();
  bool same(const smtp::Transaction& transaction, const Recipient& a, const Recipient& b) const;
  void drop_duplicates(const smtp::Transaction& transaction);

  std::vector<Recipient> recipients_;  // the first size_ count; their memory is used again
  uint32_t size_ = 0;
  struct Changed {
    uint32_t original = 0;
    Change change = Change::none;
  };
  std::vector<Changed> changes_;  // those that are aliases, in order
  std::vector<std::string> warnings_;
  bool deliverable_ = true;
};

}  // namespace mx::policy
