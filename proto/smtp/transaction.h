// proto/smtp/transaction.h - one mail transaction as a value: from MAIL to the end of data or a
// reset. Resetting is assignment (`tx = {}`), so that nothing of one message can stick to the next
// (V20-V22). The usual message (short sender, few recipients) lives inside the object without heap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "proto/base/small_vector.h"
#include "proto/mail/dsn.h"

namespace mx::smtp {

// What MAIL says besides the sender.
struct MailOptions {
  uint64_t size = 0;       // SIZE=, 0 when absent
  bool eight_bit = false;  // BODY=8BITMIME
  bool smtputf8 = false;   // SMTPUTF8
  mail::DsnReturn dsn_return = mail::DsnReturn::unset;
  std::string_view envelope_id;  // ENVID= as given; empty when absent
};

class Transaction {
 public:
  bool started() const { return started_; }  // MAIL was accepted
  std::string_view sender() const {
    return slice(sender_);
  }  // without <>; empty for the null sender
  uint32_t recipient_count() const { return recipients_.size(); }
  std::string_view recipient(uint32_t i) const { return slice(recipients_[i]); }
  // NOTIFY= and ORCPT= of recipient `i`.
  mail::RecipientDsn recipient_dsn(uint32_t i) const {
    const Dsn* found = std::ranges::lower_bound(dsn_, i, {}, &Dsn::recipient);
    if (found == dsn_.end() || found->recipient != i) return {};
    return {found->notify, slice(found->original)};
  }
  bool asks_dsn_by_recipient() const { return !dsn_.empty(); }
  // envelope_id is a view of the transaction.
  MailOptions options() const {
    MailOptions options = options_;
    options.envelope_id = slice(envelope_id_);
    return options;
  }

  void start(std::string_view sender, const MailOptions& options) {
    sender_ = store(sender);
    options_ = options;
    envelope_id_ = store(options.envelope_id);
    started_ = true;
  }
  void add_recipient(std::string_view address, const mail::RecipientDsn& dsn = {}) {
    recipients_.push_back(store(address));
    if (!dsn.empty()) dsn_.push_back({recipients_.size() - 1, store(dsn.original), dsn.notify});
  }

  // Counts that restrict a transaction but not its content.
  uint32_t recipients_refused = 0;
  uint32_t recipients_over_limit = 0;
  // BDAT. refused: the chunks up to the last are swallowed.
  enum class Chunks : uint8_t { none, received, refused };
  Chunks chunks = Chunks::none;
  uint64_t chunk_bytes = 0;  // of all chunks so far, the swallowed ones too

 private:
  struct Slice {
    uint32_t offset = 0, length = 0;
  };
  struct Dsn {
    uint32_t recipient;
    Slice original;
    mail::DsnNotify notify;
  };
  std::string_view slice(Slice s) const { return text_.text().substr(s.offset, s.length); }
  Slice store(std::string_view text) {
    const Slice s{text_.size(), static_cast<uint32_t>(text.size())};
    text_.append(text);
    return s;
  }

  bool started_ = false;
  MailOptions options_;  // but for envelope_id
  Slice sender_, envelope_id_;
  SmallVector<Slice, 8> recipients_;
  SmallVector<Dsn, 1> dsn_;  // of the recipients that asked for something, in their order
  SmallVector<char, 384> text_;
};

}  // namespace mx::smtp
