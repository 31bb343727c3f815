#include "engine/policy/expand.h"

#include <algorithm>

#include "engine/policy/resolve.h"
#include "maps/keys.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"
#include "proto/mail/address.h"

namespace mx::policy {

namespace {

struct Found {
  maps::Outcome outcome = maps::Outcome::miss;
  std::string value;
  size_t index = 0;  // of the key
};

// All tables are asked for one key before the next key.
Found find(const Tables& tables, std::span<const maps::Key> keys) {
  Found found;
  for (const TablePointer& table : tables) {
    maps::ValueText made;
    const maps::AnyTable::First first = table->find_first(keys, made);
    if (first.lookup.outcome == maps::Outcome::miss) continue;
    found = {first.lookup.outcome, std::string(first.lookup.value), first.index};
    keys = keys.first(first.index);
  }
  return found;
}

// What stands between angle brackets, else the whole.
std::string_view without_display_name(std::string_view item) {
  const size_t open = item.rfind('<');
  if (open == std::string_view::npos || !item.ends_with('>')) return item;
  return item.substr(open + 1, item.size() - open - 2);
}

std::string_view extension_of(const Policy& policy, std::string_view local) {
  const auto user = policy.delimiter.split(local);
  return user ? local.substr(*user) : std::string_view{};
}

}  // namespace

std::vector<std::string_view> split_addresses(std::string_view value) {
  std::vector<std::string_view> items;
  size_t start = 0;
  bool quoted = false;
  int brackets = 0, comments = 0;
  const auto end_item = [&](size_t end) {
    const std::string_view item = trim(value.substr(start, end - start));
    if (!item.empty()) items.push_back(item);
    start = end + 1;
  };
  for (size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (quoted) {
      continue;
    } else if (c == '(') {
      ++comments;
    } else if (c == ')') {
      comments -= comments > 0;
    } else if (c == '<') {
      ++brackets;
    } else if (c == '>') {
      brackets -= brackets > 0;
    } else if (c == ',' && brackets == 0 && comments == 0) {
      end_item(i);
    }
  }
  if (start < value.size()) end_item(value.size());
  return items;
}

bool Expansion::fail(std::string_view address, std::string_view why) {
  if (problem_.empty()) problem_ = "<" + printable(address, 200) + ">: " + std::string(why);
  return false;
}

void Expansion::keep(std::string_view address) {
  if (std::ranges::find(recipients_, address) == recipients_.end())
    recipients_.emplace_back(address);
}

bool Expansion::add(std::string_view address) {
  steps_ = 0;
  return expand(address, 0);
}

bool Expansion::expand(std::string_view address, uint32_t depth) {
  if (depth > limits::alias_depth_max) return fail(address, "possible alias database loop");
  if (++steps_ > limits::alias_steps_max || recipients_.size() >= limits::alias_recipients_max)
    return fail(address, "the aliases name too many recipients");
  maps::KeyText unquoted;
  if (!maps::unquote_address(unquoted, address)) return fail(address, "address too long");
  const ResolvedAddress resolved = resolve(policy_, unquoted.view());
  if (resolved.tempfail) return fail(address, "Temporary lookup failure");
  const bool local = resolved.address_class == AddressClass::local;
  maps::KeyList keys;
  maps::address_keys(keys, resolved.local(), resolved.domain(),
                     local || equals_ignoring_case(resolved.domain(), policy_.myorigin),
                     policy_.delimiter);
  Found found = find(policy_.virtual_alias_maps, keys.keys());
  if (found.outcome == maps::Outcome::hit) {
    // Only where the key without the extension was found the extension goes on.
    std::string_view extension = extension_of(policy_, resolved.local());
    const std::string key = lower(keys.keys()[found.index].text);
    if (key.starts_with('@') || key.find(lower(extension)) != std::string::npos) extension = {};
    return follow(found.value, resolved.text.view(), extension, false, depth);
  }
  if (found.outcome == maps::Outcome::tempfail) return fail(address, "Temporary lookup failure");
  if (resolved.address_class == AddressClass::virtual_alias)
    return fail(address, "User unknown in virtual alias table");
  if (local) {
    keys.clear();
    maps::alias_keys(keys, resolved.local(), policy_.delimiter);
    found = find(policy_.alias_maps, keys.keys());
    if (found.outcome == maps::Outcome::tempfail) return fail(address, "Temporary lookup failure");
    if (found.outcome == maps::Outcome::hit)
      return follow(found.value, resolved.text.view(), "", true, depth);
  }
  // What a client sent goes on as it came, what a table says with its domain completed.
  if (depth == 0) {
    keep(address);
    return true;
  }
  maps::KeyText wire;
  if (!maps::quote_local(wire, resolved.local()) || !wire.append("@") ||
      !wire.append(resolved.domain()))
    return fail(address, "address too long");
  keep(wire.view());
  return true;
}

bool Expansion::follow(std::string_view value, std::string_view from, std::string_view extension,
                       bool is_alias, uint32_t depth) {
  const auto items = split_addresses(value);
  if (items.empty()) return fail(from, "the alias names nobody");
  return std::ranges::all_of(items, [&](std::string_view item) {
    return follow_item(item, from, extension, is_alias, depth);
  });
}

bool Expansion::follow_item(std::string_view item, std::string_view from,
                            std::string_view extension, bool is_alias, uint32_t depth) {
  const std::string_view bare = item.starts_with('"') ? item.substr(1) : item;
  if (bare.starts_with('|') || bare.starts_with('/') || bare.starts_with(":include:"))
    return fail(from, "delivery to commands, files and :include: lists is not supported");
  const auto path = mail::parse_path(without_display_name(item), mail::PathRules::lenient);
  std::string text;
  if (item.starts_with('@')) {  // a whole domain stands for another: the local part stays
    extension = {};
    text = std::string(from.substr(0, from.rfind('@'))) + std::string(item);
  } else if (!path || path->address.null() || !path->rest.empty()) {
    return fail(from, "the alias names an address that can't be read: " + printable(item, 100));
  } else {
    text = path->address.text();
  }
  if (!extension.empty()) text.insert(std::min(text.rfind('@'), text.size()), extension);
  // An entry that names itself ends there: virtual(5) does so to except an address; in aliases(5)
  // it means the mailbox of that name, and there are no mailboxes.
  maps::KeyText unquoted;
  if (!maps::unquote_address(unquoted, text)) return fail(from, "address too long");
  const ResolvedAddress resolved = resolve(policy_, unquoted.view());
  if (!resolved.tempfail && equals_ignoring_case(resolved.text.view(), from)) {
    if (is_alias) return fail(from, "the alias names itself, and there are no mailboxes");
    keep(text);
    return true;
  }
  return expand(text, depth + 1);
}

}  // namespace mx::policy
