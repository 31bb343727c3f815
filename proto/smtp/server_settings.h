// proto/smtp/server_settings.h - what the configuration says of the SMTP server's dialogue.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/base/time.h"
#include "proto/smtp/ehlo_keywords.h"

namespace mx::smtp {

enum class BareNewline : uint8_t { normalize, reject };

// Constant after configuration; shared by all sessions of a snapshot and outlives them.
struct ServerSettings {
  std::string hostname = "localhost";
  std::string banner = "localhost ESMTP ringmx";  // the text after "220 "
  uint64_t message_size_limit = 10'240'000;       // 0: none
  uint32_t line_length_limit = 2048;              // bytes of a command line without its end
  uint32_t recipient_limit = 1000;
  uint32_t recipient_overshoot_limit = 1000;
  uint32_t soft_error_limit = 10;
  uint32_t hard_error_limit = 20;
  uint32_t junk_command_limit = 100;
  Duration error_sleep = seconds(1);
  bool helo_required = false;
  bool disable_vrfy = false;
  bool forbid_unauth_pipelining = true;
  bool strict_envelopes = false;  // strict_rfc821_envelopes
  bool soft_bounce = false;       // every 5xx reply is said as 4xx
  BareNewline bare_newline = BareNewline::normalize;
  bool smtputf8 = false;         // smtputf8_enable
  bool strict_smtputf8 = false;  // an address in UTF-8 needs SMTPUTF8
  EhloKeywords discard_ehlo_keywords = 0;
  // Verbs, in any case, that are answered as NOOP is, and that end the session.
  std::vector<std::string> noop_commands;
  std::vector<std::string> forbidden_commands = {"CONNECT", "GET", "POST"};
  bool forbid_non_letters = true;  // … so does what begins with no letter
};

}  // namespace mx::smtp
