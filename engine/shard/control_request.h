// engine/shard/control_request.h - what a client of the control socket asks for: one line.
//
//   status | list [SELECTION] | flush
//   hold | release | requeue | kick | delete  SELECTION
//
// SELECTION is ALL, @DOMAIN (messages with a recipient there that is not finished), or queue ids,
// separated by blanks. The line ends in LF and is at most limits::control_request_bytes_max long.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "engine/relay/outbound.h"
#include "queue/message_id.h"

namespace mx::shard {

struct Selection {
  bool all = false;
  std::string domain;  // not empty: of these
  std::vector<queue::MessageId> ids;
};

struct Request {
  enum class Verb : uint8_t { status, list, flush, steer } verb = Verb::status;
  relay::Outbound::Steer steer = relay::Outbound::Steer::hold;
  Selection selection;
};

// `line` without its end. The error is for the client.
std::expected<Request, std::string> parse_request(std::string_view line);

}  // namespace mx::shard
