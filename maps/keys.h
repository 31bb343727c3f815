// maps/keys.h - which keys a name is looked up by, and in what order: Postfix's rules for
// addresses, access(5), domain lists, clients, transport(5) and aliases(5), in one place.
//
// A generator appends all keys of one question to a KeyList; the first key that a table has
// decides, so they can be looked up together. Keys are folded to lower case (ASCII). A key that
// would be longer than any table's key cannot be in a table and is left out, which is exact. No
// allocation; pure functions, any thread; linear in the text of the keys.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proto/base/fixed_text.h"
#include "proto/base/limits.h"

namespace mx::maps {

// A key, and whether it is only a part of what was asked for: a pattern table is not asked then.
struct Key {
  std::string_view text;
  bool partial = false;
};

// The keys of one question in their order. The texts are in the object: it neither moves nor
// copies.
class KeyList {
 public:
  KeyList() {}  // NOLINT(modernize-use-equals-default): the union has no default
  KeyList(const KeyList&) = delete;
  KeyList& operator=(const KeyList&) = delete;

  std::span<const Key> keys() const { return {keys_, count_}; }
  void clear() { count_ = text_size_ = 0; }
  // The parts one after the other, folded; left out when it is empty or too long for a table.
  void append(std::initializer_list<std::string_view> parts, bool partial);
  // `name`, then its parents from long to short, which are views of it: `parent` or `.parent`.
  // Those above the length of a domain name are left out. `partial` is that of the name itself.
  void append_with_parents(std::string_view name, bool parent_style, bool partial);

 private:
  // The most that a generator makes: an address and all parents of its domain, which may be dots.
  static constexpr size_t keys_max = 16 + limits::domain_bytes_max;
  static constexpr size_t texts_max = 10;  // that are not views of another

  void push(std::string_view text, bool partial);

  uint32_t count_ = 0, text_size_ = 0;
  union {  // not set to zeros for each question
    Key keys_[keys_max];
  };
  char text_[texts_max * limits::table_key_bytes_max];
};

using KeyText = FixedText<limits::table_key_bytes_max>;

// Lower-cased copy; false when it does not fit.
[[nodiscard]] bool fold(KeyText& out, std::string_view text);

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

// exact: names only, for mydestination. parent: parent_domain_matches_subdomains lists the
// parameter, and `domain.tld` matches its subdomains. dot: only `.domain.tld` does.
enum class SubdomainStyle : uint8_t { exact, parent, dot };

// Whether a plain `pattern` of a list (in lower case) matches `name` (in lower case).
bool domain_matches(std::string_view pattern, std::string_view name, SubdomainStyle style);

// All below append to `out`. A `local` is unquoted; an address to look up has a domain.

// Address maps (relay_recipient_maps, canonical(5) and their like): user+ext@domain, user@domain,
// and for a local domain user+ext, user; then @domain. Each in quoted form, then unquoted where
// that differs.
void address_keys(KeyList& out, std::string_view local, std::string_view domain,
                  bool domain_is_local, const Delimiter& delimiter);

// check_sender_access, check_recipient_access: user+ext@domain, user@domain, domain and its
// parents, user+ext@, user@.
void access_address_keys(KeyList& out, std::string_view local, std::string_view domain,
                         SubdomainStyle style, const Delimiter& delimiter);
// The null sender, under smtpd_null_access_lookup_key.
void null_sender_keys(KeyList& out, std::string_view null_access_lookup_key);

// Tables in domain lists (relay_domains, mydestination): the name, then its parents.
void domain_keys(KeyList& out, std::string_view name, SubdomainStyle style);

// access(5) by the name of a host (check_helo_access, check_reverse_client_hostname_access): as
// domain_keys, but an address in place of a name has no parents.
void access_name_keys(KeyList& out, std::string_view name, SubdomainStyle style);
// access(5) by an address in text form: the address, then without its last octet (IPv6: what
// follows the last colon), and so on.
void access_ip_keys(KeyList& out, std::string_view address);
// check_client_access: the verified name (or `unknown`), then the address.
void client_keys(KeyList& out, std::string_view name, std::string_view address,
                 SubdomainStyle style);

// transport(5): user+ext@domain, user@domain, the domain, its parents, `*`. The caller puts
// `null_recipient` for the local part of the null recipient.
inline constexpr std::string_view null_recipient = "mailer-daemon";
void transport_keys(KeyList& out, std::string_view local, std::string_view domain,
                    SubdomainStyle style, const Delimiter& delimiter);

// aliases(5): the local part, then without its extension.
void alias_keys(KeyList& out, std::string_view local, const Delimiter& delimiter);

// relay_clientcerts and check_ccert_access: the fingerprint of the certificate, then that of its
// public key. An empty one is not there.
void fingerprint_keys(KeyList& out, std::string_view certificate, std::string_view public_key);

}  // namespace mx::maps
