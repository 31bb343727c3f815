// tools/load/target.h - the place on the command line of the load tools: [inet:][host]:port, as
// smtp-source and smtp-sink take it. A host is a number or a name; no host is the loopback address.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "engine/io/endpoint.h"

namespace mx::load {

std::expected<io::Endpoint, std::string> parse_target(std::string_view text);
// "127.0.0.1:25" or "[::1]:25".
std::string target_text(const io::Endpoint& endpoint);

}  // namespace mx::load
