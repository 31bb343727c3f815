// engine/policy/decide.h - the answer of policy to a question of the SMTP server machine, as a pure
// function: no I/O, no clock, no state, and no allocation as long as nothing but a reply comes out.
//
// The restriction lists run where Postfix runs them. With smtpd_delay_reject (the default) nothing
// is decided before RCPT; each RCPT then evaluates client, helo, sender, relay and recipient lists
// afresh. An OK ends its own list only, a reject ends everything. A look-up that fails is a 451,
// never a "no".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/policy/effects.h"
#include "engine/policy/facts.h"
#include "engine/policy/policy.h"
#include "proto/base/time.h"
#include "proto/smtp/server.h"
#include "proto/smtp/transaction.h"
#include "proto/smtp/verdict.h"

namespace mx::policy {

// What is known of the session when a question is asked.
struct SessionFacts {
  Client client;
  std::string_view helo;          // empty before HELO
  std::string_view etrn_domain;   // set by decide()
  bool pipelining_abuse = false;  // Server::pipelining_abuse()
  bool encrypted = false;
  Certificate certificate;
  Facts facts;
  bool discarding = false;  // an earlier recipient had the message thrown away
  // With smtpd_delay_reject = no: what the stage before this one deferred; nullptr: nothing.
  const smtp::Verdict* deferred = nullptr;
};

// A fact that is missing.
struct Needed {
  enum class Kind : uint8_t { client_name, reverse_client_name, domain, policy_reply };
  Kind kind = Kind::domain;
  std::string text;      // the domain, or the recipient of the request
  uint32_t service = 0;  // index in Policy::policy_services
};

struct Decision {
  // facts_needed: the answer depends on `needed`, which is asked for, and decide() is called again.
  // A policy service is asked for only when evaluation reaches it.
  enum class Kind : uint8_t { verdict, facts_needed };
  Kind kind = Kind::verdict;
  smtp::Verdict verdict;
  Effects effects;  // also of a refusal: notes and sleep
  std::optional<Needed> needed;
  // With smtpd_delay_reject = no: SessionFacts::deferred of the next stage.
  std::optional<smtp::Verdict> deferred;
};

// `now` is for facts that expire. Cost: for a usual RCPT of a relay domain two to four table
// look-ups.
Decision decide(const Policy& policy, const SessionFacts& session, const smtp::Question& question,
                const smtp::Transaction& transaction, WallTime now);

}  // namespace mx::policy
