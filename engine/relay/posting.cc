#include "engine/relay/posting.h"

#include "proto/base/assert.h"
#include "proto/mail/envelope.h"

namespace mx::relay {

void Posting::begin(queue::Journal& journal, WallTime now) {
  MX_ASSERT(!open());
  written_ = 0;
  recipients_ = 0;
  journal.begin(draft_, now, queue::SegmentPool::Purpose::notices);
}

policy::Expansion::Result Posting::address(const policy::Policy& policy, std::string_view from,
                                           std::string_view to, mail::ReportText text) {
  policy::Expansion expansion;
  const policy::Expansion::Result result = expansion.expand(policy, to);
  if (result != policy::Expansion::Result::ok) return result;
  text_ = std::move(text);
  mail::EnvelopeHead head;
  head.esmtp = true;
  head.own = true;
  head.eight_bit = text_.eight_bit;
  head.smtputf8 = head.utf8_header = text_.utf8;
  head.arrival = draft_.arrival();
  head.size = text_.header.size() + text_.body.size();
  head.client_name = "localhost";
  head.client_address = "127.0.0.1";
  head.sender = from;
  mail::EnvelopeWriter writer;
  writer.begin(head);
  for (uint32_t i = 0; i < expansion.size(); ++i) {
    mail::EnvelopeRecipient recipient;
    recipient.address = expansion.address(i);
    recipient.dsn.notify = mail::notify_never;
    writer.add_recipient(recipient);
  }
  const Bytes bytes = writer.bytes();
  envelope_.assign(bytes.begin(), bytes.end());
  recipients_ = static_cast<uint16_t>(expansion.size());
  return result;
}

queue::Status Posting::write(queue::Journal& journal, uint64_t cookie) {
  const std::string& header = text_.header;
  const std::string& body = text_.body;
  while (written_ < header.size() + body.size()) {
    const bool in_header = written_ < header.size();
    const std::string_view all = in_header ? std::string_view(header) : std::string_view(body);
    const std::string_view piece =
        all.substr(in_header ? written_ : written_ - header.size(), journal.chunk_bytes_max());
    const queue::Status status = journal.append_chunk(
        draft_, in_header ? queue::ChunkKind::header : queue::ChunkKind::body, as_bytes(piece));
    if (status != queue::Status::ok) return status;
    written_ += piece.size();
  }
  return journal.commit(draft_, recipients_, envelope_, cookie);
}

void Posting::abandon(queue::Journal& journal) {
  if (open()) journal.abandon(draft_);
}

}  // namespace mx::relay
