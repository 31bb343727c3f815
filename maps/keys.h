// maps/keys.h - which keys a name is looked up by, and in what order: Postfix's rules for addresses
// (mail_addr_find, split_addr) and for domain lists (match_list), in one place.
//
// All keys are folded to lower case (ASCII). Generators hand out one key after the other in a
// buffer of their own: no allocation. A key that would be longer than any table's key cannot be in
// a table and is left out, which is exact.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/base/fixed_text.h"
#include "proto/base/limits.h"

namespace mx::maps {

using KeyText = FixedText<limits::table_key_bytes_max>;

// Lower-cased copy; false when it does not fit.
[[nodiscard]] bool fold(KeyText& out, std::string_view text);

// --- Addresses
// -------------------------------------------------------------------------------------------

// `local@domain` split at the last @ outside quotes. Without one the whole text is the local part.
struct AddressParts {
  std::string_view local, domain;
  bool has_domain = false;
};
AddressParts split_address(std::string_view address);

// The internal form of an address: as it is on the wire, the local part without its quotes. The
// domain is what follows the last @. False when it does not fit.
[[nodiscard]] bool unquote_address(KeyText& out, std::string_view address);

// RFC 5321 quoted form ↔ what it means: `"a b"` ↔ `a b`. unquote leaves text outside quotes as it
// is; quote adds quotes only where the text is no dot-string. False when the result does not fit.
[[nodiscard]] bool unquote_local(KeyText& out, std::string_view local);
[[nodiscard]] bool quote_local(KeyText& out, std::string_view local);

// recipient_delimiter: a set of characters; a local part is split at the first that is in the set.
struct Delimiter {
  std::string set;
  bool owner_request_special = true;
  std::string double_bounce_sender = "double-bounce";

  // Length of `user` in `user+ext`; nothing when `local` (unquoted) must not be split.
  std::optional<size_t> split(std::string_view local) const;
};

// The keys of an address map (relay_recipient_maps and its like): user+ext@domain, user@domain, and
// for a local domain user+ext, user; then @domain. Each in quoted form, then unquoted where that
// differs.
class AddressKeys {
 public:
  // `local` unquoted. The arguments must outlive the generator.
  AddressKeys(std::string_view local, std::string_view domain, bool domain_is_local,
              const Delimiter& delimiter);
  // Fills `key` with the next key; false after the last.
  bool next(KeyText& key);

 private:
  bool make(KeyText& key, uint32_t step) const;

  std::string_view local_, domain_;
  bool domain_is_local_;
  std::optional<size_t> user_size_;
  uint32_t step_ = 0;
};

// --- Domain lists
// ----------------------------------------------------------------------------------------

// exact: names only, for mydestination. parent: parent_domain_matches_subdomains lists the
// parameter, and `domain.tld` matches its subdomains. dot: only `.domain.tld` does.
enum class SubdomainStyle : uint8_t { exact, parent, dot };

// Whether a plain `pattern` of a list (in lower case) matches `name` (in lower case).
bool domain_matches(std::string_view pattern, std::string_view name, SubdomainStyle style);

// The keys under which a table in a domain list is asked for `name`: itself, then its parents,
// written `parent` or `.parent`. Views into `name`.
class DomainKeys {
 public:
  DomainKeys(std::string_view name, SubdomainStyle style) : rest_(name), style_(style) {}
  bool next(std::string_view& key);

 private:
  std::string_view rest_;
  SubdomainStyle style_;
  bool started_ = false;
};

}  // namespace mx::maps
