// engine/policy/route.h - where mail for an address goes: transport(5), else what its class says.
//
// Asked anew at every delivery attempt, so that a changed table acts on queued mail. Pure; no
// allocation; a temporary failure is a `retry` that says so.
#pragma once

#include <string_view>

#include "engine/policy/policy.h"
#include "proto/base/fixed_text.h"
#include "proto/smtp/verdict.h"

namespace mx::policy {

struct Route {
  enum class Kind : uint8_t {
    hop,      // by SMTP
    error,    // can't be delivered
    retry,    // not now
    discard,  // thrown away, as the operator asked
  };
  Kind kind = Kind::hop;
  bool relay = false;       // hop: transport relay; else smtp
  bool own = false;         // hop: the class's next hop and relayhost count, if there is one
  bool by_domain = false;   // hop: next_hop is the address's domain; else as the table has it
  bool from_table = false;  // transport_maps named the transport
  bool ours = false;        // hop: for a domain of relay_domains
  FixedText<512> next_hop;
  smtp::EnhancedCode enhanced;
  FixedText<480> text;  // error, retry, discard: why
};

// `address` in internal form.
Route route(const Policy& policy, std::string_view address);

}  // namespace mx::policy
