// engine/policy/expand.h - who gets a message that was accepted for somebody: virtual_alias_maps
// and, for domains that are local, aliases(5), followed until no table says more. Private lists,
// so that the queue holds the recipients that are delivered to and nothing else.
//
// Pure; the tables are those of the snapshot. An expansion that cannot be made whole (a table that
// fails, a loop, a command or file as a target) makes nothing: the recipient is refused for now.
// Cost: two look-ups for an address that no table knows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/policy/policy.h"

namespace mx::policy {

class Expansion {
 public:
  explicit Expansion(const Policy& policy) : policy_(policy) {}

  // Adds the recipients that `address` (as it is on the wire) stands for, each once. False: it
  // can't be expanded; problem() says why, and recipients() is of no use.
  bool add(std::string_view address);
  // As they go on the wire, in the order in which they came.
  const std::vector<std::string>& recipients() const { return recipients_; }
  const std::string& problem() const { return problem_; }

  // Whether tables of `policy` could change a recipient at all.
  static bool is_wanted(const Policy& policy) {
    return !policy.alias_maps.empty() || !policy.virtual_alias_maps.empty();
  }

 private:
  bool expand(std::string_view address, uint32_t depth);
  bool follow(std::string_view value, std::string_view from, std::string_view extension,
              bool is_alias, uint32_t depth);
  bool follow_item(std::string_view item, std::string_view from, std::string_view extension,
                   bool is_alias, uint32_t depth);
  void keep(std::string_view address);
  bool fail(std::string_view address, std::string_view why);

  const Policy& policy_;
  std::vector<std::string> recipients_;
  std::string problem_;
  uint32_t steps_ = 0;
};

// Splits the value of an alias at the commas outside quotes, comments and angle brackets; blanks
// around the items are gone. Views of `value`.
std::vector<std::string_view> split_addresses(std::string_view value);

}  // namespace mx::policy
