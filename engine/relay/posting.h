// engine/relay/posting.h - one notice of ours on its way into the journal: its text, who gets it,
// and how much of it is written.
//
// A notice goes where any mail to its address goes (virtual_alias_maps, aliases), asks for no
// notification itself, and says in its envelope that it is ours, so that it is never quarantined.
// It may use the journal's reserve. Owner and threads: one shard.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/policy/expand.h"
#include "engine/policy/policy.h"
#include "proto/mail/report.h"
#include "queue/journal.h"

namespace mx::relay {

class Posting {
 public:
  // From here on its id is known, and it has to be committed or abandoned.
  void begin(queue::Journal& journal, WallTime now);
  bool open() const { return draft_.open(); }
  queue::MessageId id() const { return draft_.id(); }
  // What it says, and to whom; only when ok it can be written.
  [[nodiscard]] policy::Expansion::Result address(const policy::Policy& policy,
                                                  std::string_view from, std::string_view to,
                                                  mail::ReportText text);
  // 0: an alias throws its mail away.
  uint16_t recipients() const { return recipients_; }
  // ok: committed, and a result with this cookie will follow; later: again after the next flush.
  queue::Status write(queue::Journal& journal, uint64_t cookie);
  void abandon(queue::Journal& journal);

 private:
  queue::Draft draft_;
  mail::ReportText text_;
  std::vector<std::byte> envelope_;
  uint16_t recipients_ = 0;
  size_t written_ = 0;  // of header and body
};

}  // namespace mx::relay
