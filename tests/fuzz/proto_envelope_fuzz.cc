// The envelope reader: any bytes are refused, or are exactly what the writer makes of what was
// read.
#include <cstdint>
#include <cstring>

#include "proto/base/assert.h"
#include "proto/base/bytes.h"
#include "proto/mail/envelope.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const mx::Bytes in(reinterpret_cast<const std::byte*>(data), size);
  mx::mail::EnvelopeReader reader;
  if (!reader.open(in)) return 0;
  mx::mail::EnvelopeWriter writer;
  writer.begin(reader.head());
  uint32_t recipients = 0;
  mx::mail::EnvelopeRecipient recipient;
  while (reader.next_recipient(recipient)) {
    writer.add_recipient(recipient);
    ++recipients;
  }
  MX_ASSERT(recipients == reader.head().recipient_count);
  MX_ASSERT(mx::as_text(writer.bytes()) == mx::as_text(in));
  return 0;
}
