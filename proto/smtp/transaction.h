// proto/smtp/transaction.h - one mail transaction as a value: from MAIL to the end of data or a
// reset. Resetting is assignment (`tx = {}`), so that nothing of one message can stick to the next
// (V20-V22). The usual message (short sender, few recipients) lives inside the object without heap.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/small_vector.h"

namespace mx::smtp {

class Transaction {
 public:
  bool started() const { return started_; }  // MAIL was accepted
  std::string_view sender() const {
    return slice(sender_);
  }  // without <>; empty for the null sender
  uint32_t recipient_count() const { return recipients_.size(); }
  std::string_view recipient(uint32_t i) const { return slice(recipients_[i]); }
  uint64_t declared_size() const { return declared_size_; }  // SIZE=, 0 when absent
  bool eight_bit() const { return eight_bit_; }              // BODY=8BITMIME

  void start(std::string_view sender, uint64_t declared_size, bool eight_bit) {
    sender_ = store(sender);
    declared_size_ = declared_size;
    eight_bit_ = eight_bit;
    started_ = true;
  }
  void add_recipient(std::string_view address) { recipients_.push_back(store(address)); }

  // Counts that restrict a transaction but not its content.
  uint32_t recipients_refused = 0;
  uint32_t recipients_over_limit = 0;

 private:
  struct Slice {
    uint32_t offset = 0, length = 0;
  };
  std::string_view slice(Slice s) const { return text_.text().substr(s.offset, s.length); }
  Slice store(std::string_view text) {
    const Slice s{text_.size(), static_cast<uint32_t>(text.size())};
    text_.append(text);
    return s;
  }

  bool started_ = false;
  bool eight_bit_ = false;
  uint64_t declared_size_ = 0;
  Slice sender_;
  SmallVector<Slice, 8> recipients_;
  SmallVector<char, 384> text_;
};

}  // namespace mx::smtp
