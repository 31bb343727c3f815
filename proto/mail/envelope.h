// proto/mail/envelope.h - the envelope of an accepted message as bytes: what the journal's COMMIT
// record carries, what a delivery attempt and the queue tools read back.
//
// Format, little-endian: u8 version (1), u8 flags, u16 recipient count, u64 arrival (WallTime us),
// u64 size (unstuffed body bytes + header block), then length-prefixed (u16) texts: client name,
// client address, helo, sender, and each recipient (u8 recipient flags, then text). Addresses are
// in the form in which they go on the wire between the angle brackets. All bytes are used; anything
// else is malformed.
//
//   offset  0        1      2           4        12    20
//           version  flags  recipients  arrival  size  texts …
//   flags: 1 eight_bit, 2 esmtp, 4 held, 8 DSN (u8 RET= and the text of ENVID= follow the sender),
//   16 SMTPUTF8, 32 UTF-8 in header lines, 64 a notice of our own. Recipient flags: 1 own sender
//   (its text follows the recipient's), 2 DSN (u8 NOTIFY= and the text of ORCPT= follow), 4 an
//   alias that was expanded, 8 the same with an owner. The other bits are 0.
//
// The journal's checksum covers the bytes, yet the reader trusts none of them: a queue directory
// can be copied, and a wrong length must never be followed. Cost: one pass, no allocation for usual
// envelopes.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/bytes.h"
#include "proto/base/small_vector.h"
#include "proto/base/time.h"
#include "proto/mail/dsn.h"

namespace mx::mail {

struct EnvelopeHead {
  bool eight_bit = false;  // BODY=8BITMIME was given
  bool esmtp = false;
  bool held = false;         // not to be delivered until a person releases it
  bool smtputf8 = false;     // SMTPUTF8 was given
  bool utf8_header = false;  // … and the header has UTF-8
  bool own = false;          // a notice that we made
  DsnReturn dsn_return = DsnReturn::unset;
  uint16_t recipient_count = 0;  // set by the reader; the writer counts for itself
  WallTime arrival;
  uint64_t size = 0;
  std::string_view client_name, client_address, helo, sender;
  std::string_view envelope_id;  // ENVID= as given; empty: none
};

// A recipient that is none any more: an alias that became others, whose sender asked to hear of
// success. Nothing is delivered to it; the sender is told that it was expanded, or, when it has an
// owner (a mailing list, RFC 3461 5.2.7.3), that it was delivered to.
enum class AliasNote : uint8_t { none, expanded, delivered };

struct EnvelopeRecipient {
  std::string_view address;
  std::string_view sender;  // the message's sender, or its own
  bool own_sender = false;
  RecipientDsn dsn;
  AliasNote note = AliasNote::none;
};

// Builds an envelope. begin(), then one add_recipient() per recipient; bytes() is the result so
// far. Texts longer than 65,535 bytes and more than 65,535 recipients are asserted against (the
// protocol limits are far below, or equal). begin() again starts the next one in the same memory.
class EnvelopeWriter {
 public:
  void begin(const EnvelopeHead& head);
  // `sender` counts with own_sender only.
  void add_recipient(const EnvelopeRecipient& recipient);
  void add_recipient(std::string_view address) { add_recipient({address, {}, false, {}, {}}); }
  Bytes bytes() const { return {out_.data(), out_.size()}; }

 private:
  void add_text(std::string_view text);

  SmallVector<std::byte, 512> out_;
  uint16_t recipient_count_ = 0;
};

// Reads an envelope in place; views live as long as the bytes.
class EnvelopeReader {
 public:
  // False when malformed (truncated, unknown version, lengths that lie). The reader is then empty.
  [[nodiscard]] bool open(Bytes bytes);
  const EnvelopeHead& head() const { return head_; }
  // Recipients in order; false after the last one. rewind() starts over.
  [[nodiscard]] bool next_recipient(EnvelopeRecipient& recipient);
  [[nodiscard]] bool next_recipient(std::string_view& address);
  void rewind() { at_ = first_recipient_; }

 private:
  bool parse();
  bool take_byte(uint8_t& byte);
  bool take_text(std::string_view& text);
  bool take_recipient(EnvelopeRecipient& recipient);

  EnvelopeHead head_;
  Bytes bytes_;
  size_t first_recipient_ = 0;
  size_t at_ = 0;
};

}  // namespace mx::mail
