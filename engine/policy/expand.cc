#include "engine/policy/expand.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "engine/policy/find.h"
#include "engine/policy/resolve.h"
#include "engine/policy/route.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"
#include "proto/mail/address_list.h"

namespace mx::policy {

namespace {

using Result = Expansion::Result;

constexpr size_t shown_bytes_max = 100;

std::string shown(std::string_view text) {
  return printable(text, shown_bytes_max);
}

// `user@site` with an extension before its `@`.
std::string with_extension(std::string address, std::string_view extension) {
  address.insert(std::min(address.rfind('@'), address.size()), extension);
  return address;
}

bool is_delivered_by_alias_only(std::string_view result) {
  return result.starts_with('|') || result.starts_with('/') ||
         starts_with_ignoring_case(result, ":include:");
}

// Its mail is thrown away when it has no alias, so that nothing bounces to and fro.
bool is_system_address(const Policy& policy, std::string_view local) {
  return equals_ignoring_case(local, "postmaster") ||
         equals_ignoring_case(local, "mailer-daemon") ||
         equals_ignoring_case(local, policy.delimiter.double_bounce_sender);
}

}  // namespace

// One expansion under way.
class Expander {
 public:
  Expander(const Policy& policy, Expansion& out) : policy_(policy), out_(out) {}
  // `address` as on the wire.
  Result add(uint32_t original, std::string_view address, bool with_virtual);

 private:
  struct Alias {  // an alias whose results are being expanded
    std::string name;
    const std::string* sender = nullptr;
    uint32_t depth = 0;
  };
  Result map_virtual(std::vector<std::string>& addresses);
  Result map_virtual_once(std::vector<std::string>& addresses, size_t at, bool& changed);
  Result deliver(const std::string& address, const Alias& from);
  Result deliver_local(const ResolvedAddress& address, const Alias& from);
  Result expand_alias(std::string_view name, std::string_view value, std::string_view extension,
                      const Alias& from);
  Result find_owner(const std::string& name, std::string& sender);
  Result undeliverable(const ResolvedAddress& address, const Alias& from, std::string_view why);
  Result emit(const ResolvedAddress& address, const Alias& from);
  bool complete(std::string& address) const;
  void note(Expansion::Change change);

  const Policy& policy_;
  Expansion& out_;
  uint32_t original_ = 0;
  std::unordered_set<std::string> seen_;    // aliases of this recipient
  std::unordered_set<std::string> selves_;  // virtual aliases that name themselves
};

bool Expander::complete(std::string& address) const {
  const ResolvedAddress resolved = resolve(policy_, address);
  if (!resolved.tempfail) address = resolved.text.view();
  return !resolved.tempfail;
}

// The first one counts: what Postfix's cleanup has answered for, local(8) does not report again.
void Expander::note(Expansion::Change change) {
  if (out_.changes_.empty() || out_.changes_.back().original != original_)
    out_.changes_.push_back({original_, change});
}

Result Expander::add(uint32_t original, std::string_view address, bool with_virtual) {
  original_ = original;
  seen_.clear();
  maps::KeyText internal;
  if (!maps::unquote_address(internal, address)) return Result::limit;
  if (!with_virtual ||
      policy_.virtual_alias_maps.empty()) {  // nothing to look up, most of all mail
    const ResolvedAddress resolved = resolve(policy_, internal.view());
    if (resolved.tempfail) return Result::tempfail;
    if (resolved.address_class != AddressClass::local) return emit(resolved, {});
  }
  std::vector<std::string> addresses{std::string(internal.view())};
  if (!complete(addresses.front())) return Result::tempfail;
  if (with_virtual) {
    const std::string before = addresses.front();
    const Result mapped = map_virtual(addresses);
    if (mapped != Result::ok) return mapped;
    if (addresses.size() > 1 || addresses.front() != before) note(Expansion::Change::alias);
  }
  for (const std::string& each : addresses)
    if (const Result result = deliver(each, {}); result != Result::ok) return result;
  return Result::ok;
}

// Each address that has an entry is replaced by what the entry says, which is looked up in turn.
Result Expander::map_virtual(std::vector<std::string>& addresses) {
  if (policy_.virtual_alias_maps.empty()) return Result::ok;
  selves_.clear();
  const std::string first = addresses.front();
  for (size_t at = 0; at < addresses.size(); ++at) {
    for (uint32_t count = 0;; ++count) {
      if (addresses.size() > policy_.virtual_alias_expansion_limit ||
          count >= policy_.virtual_alias_recursion_limit) {
        out_.warnings_.push_back("unreasonable virtual_alias_maps map " +
                                 std::string(count > 0 ? "nesting" : "expansion size") + " for " +
                                 shown(first) + " -- message not accepted, try again later");
        return Result::limit;
      }
      if (selves_.contains(lower(addresses[at]))) break;
      bool changed = false;
      const Result result = map_virtual_once(addresses, at, changed);
      if (result != Result::ok) return result;
      if (!changed) break;
    }
  }
  return Result::ok;
}

Result Expander::map_virtual_once(std::vector<std::string>& addresses, size_t at, bool& changed) {
  const std::string address = addresses[at];
  const size_t sign = std::min(address.rfind('@'), address.size());
  const std::string_view local = std::string_view(address).substr(0, sign);
  const std::string_view domain =
      sign < address.size() ? std::string_view(address).substr(sign + 1) : std::string_view{};
  const ResolvedAddress resolved = resolve(policy_, address);
  if (resolved.tempfail) return Result::tempfail;
  const bool is_local = resolved.address_class == AddressClass::local ||
                        equals_ignoring_case(domain, policy_.myorigin);
  maps::KeyList keys;
  maps::address_keys(keys, local, domain, is_local, policy_.delimiter);
  maps::ValueText made;
  const Found found = find_in(policy_.virtual_alias_maps, keys.keys(), made);
  if (found.lookup.outcome == maps::Outcome::tempfail) return Result::tempfail;
  changed = found.lookup.is_hit();
  if (!changed) return Result::ok;

  // The extension is passed on when the entry is one for the address without it.
  std::string_view extension;
  const std::string_view key = keys.keys()[found.index].text;
  if (const auto user = policy_.delimiter.split(local);
      user && policy_.propagate_virtual_extensions && !key.starts_with('@')) {
    maps::KeyList whole;
    maps::address_keys(whole, local, domain, is_local, {});
    const auto same = [&](const maps::Key& one) { return one.text == key; };
    if (std::ranges::none_of(whole.keys(), same)) extension = local.substr(*user);
  }
  mail::AddressList list(found.lookup.value);
  std::string result;
  bool first = true;
  while (list.next(result)) {
    if (result.starts_with('@')) result.insert(0, local);
    if (!complete(result)) return Result::tempfail;
    result = with_extension(std::move(result), extension);
    if (result.size() > policy_.virtual_alias_address_length_limit) {
      out_.warnings_.push_back("unreasonable virtual_alias_maps result " + shown(result) +
                               "... -- message not accepted, try again later");
      return Result::limit;
    }
    if (equals_ignoring_case(result, address)) selves_.insert(lower(address));
    if (first)
      addresses[at] = result;
    else
      addresses.push_back(result);
    first = false;
    if (addresses.size() > policy_.virtual_alias_expansion_limit) return Result::ok;  // told above
  }
  changed = !first;
  return Result::ok;
}

Result Expander::deliver(const std::string& address, const Alias& from) {
  const ResolvedAddress resolved = resolve(policy_, address);
  if (resolved.tempfail) return Result::tempfail;
  if (resolved.address_class != AddressClass::local) return emit(resolved, from);
  if (!policy_.transport_maps.empty() && route(policy_, resolved.text.view()).from_table)
    return emit(resolved, from);  // not local(8)'s
  return deliver_local(resolved, from);
}

Result Expander::deliver_local(const ResolvedAddress& address, const Alias& from) {
  if (from.depth > limits::alias_depth_max)
    return undeliverable(address, from, "possible alias database loop");
  maps::KeyList keys;
  maps::alias_keys(keys, address.local(), policy_.delimiter);
  maps::ValueText made;
  const Found found = find_in(policy_.alias_maps, keys.keys(), made);
  if (found.lookup.outcome == maps::Outcome::tempfail) return Result::tempfail;
  if (!found.lookup.is_hit()) {
    if (!is_system_address(policy_, address.local()))
      return undeliverable(address, from, "no alias, and there is no local delivery");
    out_.warnings_.push_back("mail for " + shown(address.text.view()) +
                             " is discarded: it has no alias");
    return Result::ok;
  }
  const std::string name(keys.keys()[found.index].text);
  if (name == from.name)  // the real user of that name
    return undeliverable(address, from, "an alias names itself, and there is no local delivery");
  if (!seen_.insert(name).second) return Result::ok;  // its results are in already
  const std::string_view extension = policy_.propagate_alias_extensions && found.index > 0
                                         ? address.local().substr(name.size())
                                         : std::string_view{};
  const uint32_t before = out_.size();
  const std::string value(found.lookup.value);
  const Result result = expand_alias(name, value, extension, from);
  if (result != Result::ok || out_.size() > before || from.depth > 0) return result;
  return undeliverable(address, from, "its alias expands to nothing");
}

Result Expander::expand_alias(std::string_view name, std::string_view value,
                              std::string_view extension, const Alias& from) {
  Alias alias{std::string(name), policy_.reset_owner_alias ? nullptr : from.sender, from.depth + 1};
  std::string owner;
  const Result found = find_owner(alias.name, owner);
  if (found != Result::ok) return found;
  if (!owner.empty()) alias.sender = &owner;
  note(owner.empty() ? Expansion::Change::alias : Expansion::Change::list);
  mail::AddressList list(value);
  std::string each;
  while (list.next(each)) {
    if (is_delivered_by_alias_only(each)) {
      const ResolvedAddress user = resolve(policy_, alias.name);
      if (user.tempfail) return Result::tempfail;
      const Result kept =
          undeliverable(user, from, "files, commands and :include: are not delivered to here");
      if (kept != Result::ok) return kept;
      continue;
    }
    each = with_extension(std::move(each), extension);
    if (!complete(each)) return Result::tempfail;
    const ResolvedAddress resolved = resolve(policy_, each);
    if (resolved.tempfail) return Result::tempfail;
    std::vector<std::string> addresses{each};
    // What leaves local(8) goes through cleanup again.
    if (resolved.address_class != AddressClass::local)
      if (const Result mapped = map_virtual(addresses); mapped != Result::ok) return mapped;
    for (const std::string& one : addresses)
      if (const Result result = deliver(one, alias); result != Result::ok) return result;
  }
  return Result::ok;
}

// An alias owner-NAME makes that the envelope sender of what alias NAME sends.
Result Expander::find_owner(const std::string& name, std::string& sender) {
  const std::string owner = "owner-" + name;
  const maps::Key key{owner, false};
  maps::ValueText made;
  const Found found = find_in(policy_.alias_maps, {&key, 1}, made);
  if (found.lookup.outcome == maps::Outcome::tempfail) return Result::tempfail;
  if (!found.lookup.is_hit()) return Result::ok;
  std::string address = owner;
  if (policy_.expand_owner_alias) {
    mail::AddressList list(found.lookup.value);
    if (!list.next(address)) address = owner;
  }
  if (!complete(address)) return Result::tempfail;
  sender = address;
  return Result::ok;
}

// Stays a recipient, so that the operator finds it in the queue.
Result Expander::undeliverable(const ResolvedAddress& address, const Alias& from,
                               std::string_view why) {
  out_.warnings_.push_back("mail for " + shown(address.text.view()) +
                           " can't be delivered: " + std::string(why));
  out_.deliverable_ = false;
  return emit(address, from);
}

Result Expander::emit(const ResolvedAddress& address, const Alias& from) {
  if (out_.size() == limits::recipients_max) return Result::limit;
  maps::KeyText local;
  if (!maps::quote_local(local, address.local())) return Result::limit;
  Expansion::Recipient& recipient = out_.append();
  recipient.original = original_;
  recipient.owned = false;
  recipient.address = local.view();
  recipient.sender.clear();
  if (address.local_size != address.text.size())
    recipient.address.append("@").append(address.domain());
  if (from.sender != nullptr) {
    const maps::AddressParts parts = maps::split_address(*from.sender);
    if (!maps::quote_local(local, parts.local)) return Result::limit;
    recipient.owned = true;
    recipient.sender = local.view();
    if (parts.has_domain) recipient.sender.append("@").append(parts.domain);
  }
  // A table may hold any byte; on the wire they would be commands.
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; };
  if (std::ranges::any_of(recipient.address, is_control) ||
      std::ranges::any_of(recipient.sender, is_control)) {
    out_.warnings_.push_back("control bytes in an expansion: " + shown(recipient.address));
    return Result::limit;
  }
  if (recipient.address.size() > limits::envelope_address_bytes_max ||
      recipient.sender.size() > limits::envelope_address_bytes_max)
    return Result::limit;
  return Result::ok;
}

Expansion::Change Expansion::change(uint32_t original) const {
  const auto found = std::ranges::lower_bound(changes_, original, {}, &Changed::original);
  return found != changes_.end() && found->original == original ? found->change : Change::none;
}

Expansion::Recipient& Expansion::append() {
  if (size_ == recipients_.size()) recipients_.emplace_back();
  return recipients_[size_++];
}

// The same address out of the same RCPT is one recipient, as with enable_original_recipient = yes.
bool Expansion::same(const smtp::Transaction& transaction, const Recipient& a,
                     const Recipient& b) const {
  const auto original = [&](const Recipient& one) -> std::string_view {
    return one.original < transaction.recipient_count() ? transaction.recipient(one.original) : "";
  };
  return equals_ignoring_case(a.address, b.address) && a.owned == b.owned &&
         equals_ignoring_case(a.sender, b.sender) && equals_ignoring_case(original(a), original(b));
}

// Few are compared each with each, without an allocation; many by their keys.
void Expansion::drop_duplicates(const smtp::Transaction& transaction) {
  constexpr uint32_t few = 16;
  std::unordered_multimap<std::string, uint32_t> kept_by_address;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < size_; ++i) {
    Recipient& one = recipients_[i];
    bool known = false;
    if (size_ <= few) {
      for (uint32_t k = 0; k < kept && !known; ++k) known = same(transaction, recipients_[k], one);
    } else {
      std::string key = lower(one.address);
      const auto [first, last] = kept_by_address.equal_range(key);
      known = std::any_of(first, last, [&](const auto& entry) {
        return same(transaction, recipients_[entry.second], one);
      });
      if (!known) kept_by_address.emplace(std::move(key), kept);
    }
    if (known) continue;
    if (kept != i) std::swap(recipients_[kept], one);
    ++kept;
  }
  size_ = kept;
}

Expansion::Result Expansion::expand(const Policy& policy, const smtp::Transaction& transaction,
                                    const Rewrites& rewrites) {
  size_ = 0;
  changes_.clear();
  warnings_.clear();
  deliverable_ = true;
  Expander expander(policy, *this);
  const uint32_t count = transaction.recipient_count();
  if (!rewrites.redirect.empty()) {
    const Result result = expander.add(count, rewrites.redirect, false);
    drop_duplicates(transaction);
    return result;
  }
  for (uint32_t i = 0; i < count; ++i)
    if (const Result result = expander.add(i, transaction.recipient(i), true); result != Result::ok)
      return result;
  for (const std::string& bcc : rewrites.bcc)
    if (const Result result = expander.add(count, bcc, true); result != Result::ok) return result;
  drop_duplicates(transaction);
  return Result::ok;
}

Expansion::Result Expansion::expand(const Policy& policy, std::string_view address) {
  *this = {};
  return Expander(policy, *this).add(0, address, true);
}

}  // namespace mx::policy
