// proto/mail/envelope.h - the envelope of an accepted message as bytes: what the journal's COMMIT record
// carries, what a delivery attempt and the queue tools read back.
//
// Format, little-endian: u8 version (1), u8 flags, u16 recipient count, u64 arrival (WallTime us),
// u64 size (unstuffed body bytes + header block), then length-prefixed (u16) texts: client name, client
// address, helo, sender, and each recipient (u8 recipient flags, then text). Addresses are in the form in
// which they go on the wire between the angle brackets. All bytes are used; anything else is malformed.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/bytes.h"
#include "proto/base/small_vector.h"
#include "proto/base/time.h"

namespace mx::mail {

struct EnvelopeHead {
  bool eight_bit = false;  // BODY=8BITMIME was given
  bool esmtp = false;
  uint16_t recipient_count = 0;
  WallTime arrival;
  uint64_t size = 0;
  std::string_view client_name, client_address, helo, sender;
};

// Builds an envelope. begin(), then one add_recipient() per recipient; bytes() is the result. Texts longer
// than 65,535 bytes are asserted against (the protocol limits are far below).
class EnvelopeWriter {
 public:
  void begin(const EnvelopeHead& head);
  void add_recipient(std::string_view address);
  Bytes bytes() const { return {out_.data(), out_.size()}; }

 private:
  SmallVector<std::byte, 512> out_;
};

// Reads an envelope in place; views live as long as the bytes.
class EnvelopeReader {
 public:
  // False when malformed (truncated, unknown version, lengths that lie).
  [[nodiscard]] bool open(Bytes bytes);
  const EnvelopeHead& head() const { return head_; }
  // Recipients in order; false after the last one. rewind() starts over.
  [[nodiscard]] bool next_recipient(std::string_view& address);
  void rewind() { at_ = first_recipient_; }

 private:
  EnvelopeHead head_;
  Bytes bytes_;
  size_t first_recipient_ = 0;
  size_t at_ = 0;
};

}  // namespace mx::mail
