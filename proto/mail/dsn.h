// proto/mail/dsn.h - the parameters by which a sender asks for delivery status notifications (RFC
// 3461): RET= and ENVID= of MAIL, NOTIFY= and ORCPT= of RCPT.
//
// They are checked here and kept as they were given, for the next server. Checked means: what is
// encoded as xtext ("+0A") is decoded and must hold no control byte, so that nothing of it can
// break a line of the queue, the log or a notification (V41).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mx::mail {

enum class DsnReturn : uint8_t { unset, full, headers };  // RET=

// NOTIFY= as a set; 0: not given. never comes alone.
using DsnNotify = uint8_t;
inline constexpr DsnNotify notify_never = 1, notify_success = 2, notify_failure = 4,
                           notify_delay = 8;
inline constexpr DsnNotify notify_all = 15;

// What one RCPT asked for. `original` is ORCPT= as given, "type;xtext"; empty: not given.
struct RecipientDsn {
  DsnNotify notify = 0;
  std::string_view original;
  bool empty() const { return notify == 0 && original.empty(); }
};

std::optional<DsnReturn> parse_dsn_return(std::string_view text);  // FULL or HDRS, any case
std::optional<DsnNotify> parse_dsn_notify(std::string_view text);  // NEVER, or a list of the others
// ENVID=: xtext of printable ASCII, at most limits::dsn_envelope_id_bytes_max.
bool is_dsn_envelope_id(std::string_view text);
// ORCPT=: an address type, ';' and an address in xtext (of type utf-8: as RFC 6533 writes it),
// at most limits::dsn_original_recipient_bytes_max.
bool is_dsn_original_recipient(std::string_view text);

// "NEVER", "SUCCESS,FAILURE" and so on. REQUIRES: notify is not 0.
std::string_view dsn_notify_text(DsnNotify notify);

}  // namespace mx::mail
