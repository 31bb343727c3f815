// engine/spool/message.h - a message on its way to the backend: its envelope, and its bytes either
// still in memory (just accepted) or as places in the journal to read them back from.
#pragma once

#include <vector>

#include "engine/spool/block_pool.h"
#include "proto/base/small_vector.h"
#include "queue/message_id.h"
#include "queue/reader.h"

namespace mx::spool {

using EnvelopeBytes = SmallVector<std::byte, 512>;
using HeaderBlock = SmallVector<char, 640>;

struct Message {
  queue::MessageId id;
  EnvelopeBytes envelope;  // proto/mail/envelope.h
  bool in_memory = false;
  HeaderBlock header;                   // in_memory: wire form, ends in CRLF
  BodyParts parts;                      // in_memory: wire form, dot-stuffed, without the final dot
  std::vector<queue::ChunkRef> chunks;  // else: header and body chunks in order
};

}  // namespace mx::spool
