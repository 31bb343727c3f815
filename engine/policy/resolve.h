// engine/policy/resolve.h - which class an address belongs to: Postfix's address rewriting and
// resolving (trivial-rewrite) as far as they decide that.
//
// An address is completed (@myorigin, .mydomain), and as long as its domain is our own, routing
// operators in the local part (`user%domain`, `domain!user`, `user@domain`) are followed. What
// remains is the address that is looked up. Pure; no allocation.
#pragma once

#include <string_view>

#include "engine/policy/policy.h"
#include "maps/keys.h"

namespace mx::policy {

struct ResolvedAddress {
  bool tempfail = false;  // a look-up failed: nothing else is valid
  AddressClass address_class = AddressClass::other;
  bool routed = false;  // a foreign domain, and routing operators in the local part
  maps::KeyText text;   // local@domain, unquoted
  size_t local_size = 0;
  std::string_view local() const { return text.view().substr(0, local_size); }
  std::string_view domain() const {
    return local_size == text.size() ? std::string_view{} : text.view().substr(local_size + 1);
  }
};

// `address` in internal form: local@domain, the local part without its quotes.
ResolvedAddress resolve(const Policy& policy, std::string_view address);

}  // namespace mx::policy
