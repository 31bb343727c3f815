// engine/policy/effects.h - what a permitted question does to the message and to the log besides
// permitting: results of access tables and of the policy service (access(5)).
//
// A part of the verdict, so decide() stays without effects of its own; the session adds them up
// over the recipients of a transaction and applies each once. Strings that stay empty cost nothing.
#pragma once

#include <string>
#include <vector>

#include "proto/base/time.h"

namespace mx::policy {

// One line for the log, without the client and the envelope that the session adds:
// "<kind>: RCPT from name[ip]: <text>; from=…".
struct LogNote {
  std::string_view kind;  // "reject_warning", "discard", "redirect", "bcc", "warn", "info"
  std::string text;
};

struct Effects {
  std::string prepend;   // header lines above Received, each ends in CRLF
  std::string redirect;  // takes the place of all recipients; the last one counts
  std::vector<std::string> bcc;
  std::vector<LogNote> notes;
  Duration sleep;
  bool discard = false;  // the message is taken and thrown away
  bool hold = false;     // … and waits in the queue until a person releases it

  bool empty() const {
    return prepend.empty() && redirect.empty() && bcc.empty() && notes.empty() &&
           sleep == Duration() && !discard && !hold;
  }
};

}  // namespace mx::policy
