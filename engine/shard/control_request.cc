#include "engine/shard/control_request.h"

#include <array>
#include <utility>

#include "proto/base/text.h"

namespace mx::shard {
namespace {

using Steer = relay::Outbound::Steer;

constexpr std::array<std::pair<std::string_view, Steer>, 5> steers{{{"hold", Steer::hold},
                                                                    {"release", Steer::release},
                                                                    {"requeue", Steer::requeue},
                                                                    {"kick", Steer::kick},
                                                                    {"delete", Steer::remove}}};

std::expected<Selection, std::string> parse_selection(std::string_view text) {
  Selection selection;
  while (true) {
    const std::string_view word = take_word(text, " \t\r");
    if (word.empty()) break;
    if (selection.all || !selection.domain.empty())
      return std::unexpected("ALL or @DOMAIN stands alone");
    if (word == "ALL" || word.starts_with('@')) {
      if (!selection.ids.empty() || word == "@")
        return std::unexpected("ALL or @DOMAIN stands alone");
      selection.all = word == "ALL";
      if (!selection.all) selection.domain = word.substr(1);
      continue;
    }
    const auto id = queue::parse_message_id(word);
    if (!id) return std::unexpected("bad queue id: " + printable(word, 40));
    selection.ids.push_back(*id);
  }
  return selection;
}

}  // namespace

std::expected<Request, std::string> parse_request(std::string_view line) {
  Request request;
  const std::string_view verb = take_word(line, " \t\r");
  auto selection = parse_selection(line);
  if (!selection) return std::unexpected(selection.error());
  const bool none = !selection->all && selection->domain.empty() && selection->ids.empty();
  request.selection = std::move(*selection);
  if (verb == "list") {
    request.verb = Request::Verb::list;
    return request;
  }
  if (verb == "status" || verb == "flush") {
    if (!none) return std::unexpected(std::string(verb) + " takes no selection");
    request.verb = verb == "status" ? Request::Verb::status : Request::Verb::flush;
    return request;
  }
  for (const auto& [name, steer] : steers) {
    if (verb != name) continue;
    if (none) return std::unexpected(std::string(verb) + ": of which messages?");
    request.verb = Request::Verb::steer;
    request.steer = steer;
    return request;
  }
  return std::unexpected("unknown request");
}

}  // namespace mx::shard
