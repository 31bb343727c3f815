#include "proto/mail/envelope.h"

#include "proto/base/assert.h"
#include "proto/base/endian.h"

namespace mx::mail {
namespace {

constexpr uint8_t version = 1;
constexpr uint8_t flag_eight_bit = 1;
constexpr uint8_t flag_esmtp = 2;
constexpr uint8_t flag_held = 4;
constexpr uint8_t flag_dsn = 8;
constexpr uint8_t flag_smtputf8 = 16;
constexpr uint8_t flag_utf8_header = 32;
constexpr uint8_t flag_own = 64;
constexpr uint8_t flags_known = flag_eight_bit | flag_esmtp | flag_held | flag_dsn | flag_smtputf8 |
                                flag_utf8_header | flag_own;
constexpr uint8_t recipient_flag_own_sender = 1;
constexpr uint8_t recipient_flag_dsn = 2;
constexpr uint8_t recipient_flag_expanded = 4;
constexpr uint8_t recipient_flag_delivered = 8;
constexpr uint8_t recipient_flags_note = recipient_flag_expanded | recipient_flag_delivered;
constexpr uint8_t recipient_flags_known =
    recipient_flag_own_sender | recipient_flag_dsn | recipient_flags_note;

constexpr size_t flags_offset = 1;
constexpr size_t recipient_count_offset = 2;
constexpr size_t arrival_offset = 4;
constexpr size_t size_offset = 12;
constexpr size_t texts_offset = 20;
constexpr size_t text_length_bytes = sizeof(uint16_t);

}  // namespace

void EnvelopeWriter::begin(const EnvelopeHead& head) {
  std::byte fixed[texts_offset];
  store_le(fixed, version);
  const bool dsn = head.dsn_return != DsnReturn::unset || !head.envelope_id.empty();
  const int flags = (head.eight_bit ? flag_eight_bit : 0) | (head.esmtp ? flag_esmtp : 0) |
                    (head.held ? flag_held : 0) | (dsn ? flag_dsn : 0) |
                    (head.smtputf8 ? flag_smtputf8 : 0) |
                    (head.utf8_header ? flag_utf8_header : 0) | (head.own ? flag_own : 0);
  store_le(fixed + flags_offset, static_cast<uint8_t>(flags));
  store_le(fixed + recipient_count_offset, uint16_t{0});
  store_le(fixed + arrival_offset, head.arrival.us);
  store_le(fixed + size_offset, head.size);
  recipient_count_ = 0;
  out_.clear();
  out_.append(fixed, sizeof fixed);
  add_text(head.client_name);
  add_text(head.client_address);
  add_text(head.helo);
  add_text(head.sender);
  if (!dsn) return;
  out_.push_back(static_cast<std::byte>(head.dsn_return));
  add_text(head.envelope_id);
}

void EnvelopeWriter::add_recipient(const EnvelopeRecipient& recipient) {
  MX_ASSERT(out_.size() >= texts_offset);  // begin() came first
  MX_ASSERT(recipient_count_ < UINT16_MAX);
  const bool dsn = !recipient.dsn.empty();
  const int flags = (recipient.own_sender ? recipient_flag_own_sender : 0) |
                    (dsn ? recipient_flag_dsn : 0) |
                    (recipient.note == AliasNote::expanded ? recipient_flag_expanded : 0) |
                    (recipient.note == AliasNote::delivered ? recipient_flag_delivered : 0);
  out_.push_back(static_cast<std::byte>(flags));
  add_text(recipient.address);
  if (recipient.own_sender) add_text(recipient.sender);
  if (dsn) {
    out_.push_back(static_cast<std::byte>(recipient.dsn.notify));
    add_text(recipient.dsn.original);
  }
  store_le(out_.data() + recipient_count_offset, ++recipient_count_);
}

void EnvelopeWriter::add_text(std::string_view text) {
  MX_ASSERT(text.size() <= UINT16_MAX);
  std::byte length[text_length_bytes];
  store_le(length, static_cast<uint16_t>(text.size()));
  out_.append(length, sizeof length);
  const Bytes bytes = as_bytes(text);
  out_.append(bytes.data(), bytes.size());
}

bool EnvelopeReader::open(Bytes bytes) {
  *this = {};
  bytes_ = bytes;
  if (parse()) {
    rewind();
    return true;
  }
  *this = {};
  return false;
}

bool EnvelopeReader::parse() {
  if (bytes_.size() < texts_offset) return false;
  const std::byte* from = bytes_.data();
  if (load_le<uint8_t>(from) != version) return false;
  const uint8_t flags = load_le<uint8_t>(from + flags_offset);
  if ((flags & ~flags_known) != 0) return false;
  head_.eight_bit = (flags & flag_eight_bit) != 0;
  head_.esmtp = (flags & flag_esmtp) != 0;
  head_.held = (flags & flag_held) != 0;
  head_.smtputf8 = (flags & flag_smtputf8) != 0;
  head_.utf8_header = (flags & flag_utf8_header) != 0;
  head_.own = (flags & flag_own) != 0;
  head_.recipient_count = load_le<uint16_t>(from + recipient_count_offset);
  head_.arrival.us = load_le<int64_t>(from + arrival_offset);
  head_.size = load_le<uint64_t>(from + size_offset);
  at_ = texts_offset;
  if (!take_text(head_.client_name) || !take_text(head_.client_address)) return false;
  if (!take_text(head_.helo) || !take_text(head_.sender)) return false;
  if ((flags & flag_dsn) != 0) {
    uint8_t ret = 0;
    if (!take_byte(ret) || ret > static_cast<uint8_t>(DsnReturn::headers)) return false;
    head_.dsn_return = static_cast<DsnReturn>(ret);
    if (!take_text(head_.envelope_id)) return false;
    if (head_.dsn_return == DsnReturn::unset && head_.envelope_id.empty()) return false;
  }
  first_recipient_ = at_;
  EnvelopeRecipient recipient;
  for (uint32_t i = 0; i < head_.recipient_count; ++i)
    if (!take_recipient(recipient)) return false;
  return at_ == bytes_.size();
}

bool EnvelopeReader::next_recipient(EnvelopeRecipient& recipient) {
  if (at_ == bytes_.size()) return false;
  const bool whole = take_recipient(recipient);
  MX_ASSERT(whole);  // open() has walked over all of them
  return true;
}

bool EnvelopeReader::next_recipient(std::string_view& address) {
  EnvelopeRecipient recipient;
  if (!next_recipient(recipient)) return false;
  address = recipient.address;
  return true;
}

bool EnvelopeReader::take_recipient(EnvelopeRecipient& recipient) {
  uint8_t flags = 0;
  if (!take_byte(flags) || (flags & ~recipient_flags_known) != 0) return false;
  recipient = {};
  if ((flags & recipient_flags_note) == recipient_flags_note) return false;
  recipient.note = (flags & recipient_flag_expanded) != 0    ? AliasNote::expanded
                   : (flags & recipient_flag_delivered) != 0 ? AliasNote::delivered
                                                             : AliasNote::none;
  recipient.sender = head_.sender;
  recipient.own_sender = (flags & recipient_flag_own_sender) != 0;
  if (!take_text(recipient.address)) return false;
  if (recipient.own_sender && !take_text(recipient.sender)) return false;
  if ((flags & recipient_flag_dsn) == 0) return true;
  return take_byte(recipient.dsn.notify) && recipient.dsn.notify <= notify_all &&
         take_text(recipient.dsn.original) && !recipient.dsn.empty();
}

bool EnvelopeReader::take_byte(uint8_t& byte) {
  if (at_ == bytes_.size()) return false;
  byte = static_cast<uint8_t>(bytes_[at_++]);
  return true;
}

bool EnvelopeReader::take_text(std::string_view& text) {
  const size_t left = bytes_.size() - at_;
  if (left < text_length_bytes) return false;
  const size_t length = load_le<uint16_t>(bytes_.data() + at_);
  if (length > left - text_length_bytes) return false;
  text = as_text(bytes_.subspan(at_ + text_length_bytes, length));
  at_ += text_length_bytes + length;
  return true;
}

}  // namespace mx::mail
