// engine/shard/digest_record.h - what the digest of quarantined mail has to know after a restart:
// when the last one was (or would have been, with nothing to say), and of which held messages it
// has told. The text of the file QUEUE_DIRECTORY/digest.
//
//   ringmx quarantine digest 1
//   last 1795874204               seconds of Unix time
//   told 65E4A1B2C3D40001 2       queue id, and how many attempts it had; one line each
//
// A message that was let go and came back has more attempts, and is told of again.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "proto/base/time.h"
#include "queue/message_id.h"

namespace mx::shard {

struct DigestRecord {
  using Told = std::pair<queue::MessageId, uint16_t>;  // message, attempts
  int64_t last_seconds = 0;
  std::set<Told> told;  // at most limits::digest_remembered_max
};

// Nothing unless the whole text is well-formed.
std::optional<DigestRecord> parse_digest_record(std::string_view text);
std::string to_text(const DigestRecord& record);

}  // namespace mx::shard
