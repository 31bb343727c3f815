// engine/policy/decide.h - the answer of policy to a question of the SMTP server machine, as a pure
// function: no I/O, no clock, no state, no allocation.
//
// The restriction lists run where Postfix runs them. With smtpd_delay_reject (the default) nothing
// is decided before RCPT; each RCPT then evaluates client, helo, sender, relay and recipient lists
// afresh. An OK ends its own list only, a reject ends everything. A look-up that fails is a 451,
// never a "no".
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/policy/policy.h"
#include "proto/base/time.h"
#include "proto/smtp/server.h"
#include "proto/smtp/transaction.h"
#include "proto/smtp/verdict.h"

namespace mx::policy {

struct Client {
  std::string_view name = "unknown";  // verified name
  std::string_view address_text;      // as in log lines: no brackets
  IpAddress address;                  // an IPv4-mapped IPv6 address is given as IPv4
};

// What is known of the session when a question is asked.
struct SessionFacts {
  Client client;
  std::string_view helo;  // empty before HELO
};

struct Decision {
  // facts_needed: the answer depends on facts (DNS, a policy server) that are still missing; they
  // are asked for and decide() is called again. No restriction that is served now asks for any.
  enum class Kind : uint8_t { verdict, facts_needed };
  Kind kind = Kind::verdict;
  smtp::Verdict verdict;
};

// `now` is for facts that expire. Cost: for a usual RCPT of a relay domain two to four table
// look-ups.
Decision decide(const Policy& policy, const SessionFacts& session, const smtp::Question& question,
                const smtp::Transaction& transaction, WallTime now);

}  // namespace mx::policy
