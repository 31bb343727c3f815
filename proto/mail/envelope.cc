#include "proto/mail/envelope.h"

#include "proto/base/assert.h"
#include "proto/base/endian.h"

namespace mx::mail {
namespace {

constexpr uint8_t version = 1;
constexpr uint8_t flag_eight_bit = 1;
constexpr uint8_t flag_esmtp = 2;
constexpr uint8_t flag_held = 4;
constexpr uint8_t flags_known = flag_eight_bit | flag_esmtp | flag_held;
constexpr std::byte recipient_flag_own_sender{1};

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
  const int flags = (head.eight_bit ? flag_eight_bit : 0) | (head.esmtp ? flag_esmtp : 0) |
                    (head.held ? flag_held : 0);
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
}

void EnvelopeWriter::add_recipient(std::string_view address) {
  begin_recipient(0, address);
}

void EnvelopeWriter::add_recipient(std::string_view address, std::string_view own_sender) {
  begin_recipient(static_cast<uint8_t>(recipient_flag_own_sender), address);
  add_text(own_sender);
}

void EnvelopeWriter::begin_recipient(uint8_t flags, std::string_view address) {
  MX_ASSERT(out_.size() >= texts_offset);  // begin() came first
  MX_ASSERT(recipient_count_ < UINT16_MAX);
  out_.push_back(std::byte{flags});
  add_text(address);
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
  head_.recipient_count = load_le<uint16_t>(from + recipient_count_offset);
  head_.arrival.us = load_le<int64_t>(from + arrival_offset);
  head_.size = load_le<uint64_t>(from + size_offset);
  at_ = texts_offset;
  if (!take_text(head_.client_name) || !take_text(head_.client_address)) return false;
  if (!take_text(head_.helo) || !take_text(head_.sender)) return false;
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
  if (at_ == bytes_.size()) return false;
  const std::byte flags = bytes_[at_++];
  if ((flags & ~recipient_flag_own_sender) != std::byte{0}) return false;
  recipient.sender = head_.sender;
  if (!take_text(recipient.address)) return false;
  return flags == std::byte{0} || take_text(recipient.sender);
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
