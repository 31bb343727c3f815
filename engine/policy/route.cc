#include "engine/policy/route.h"

#include "engine/policy/find.h"
#include "engine/policy/resolve.h"
#include "proto/base/assert.h"
#include "proto/base/text.h"

namespace mx::policy {

namespace {

Route answer(Route::Kind kind, smtp::EnhancedCode enhanced, std::string_view text) {
  Route route;
  route.kind = kind;
  route.enhanced = enhanced;
  const bool fits = route.text.assign(text.substr(0, route.text.capacity()));
  MX_ASSERT(fits);
  return route;
}

// "4.7.1 text": takes the code off the front when there is one.
bool take_enhanced(std::string_view& text, smtp::EnhancedCode& code) {
  std::string_view rest = text;
  const std::string_view word = take_word(rest, " \t");
  std::string_view digits = word;
  const auto status = parse_decimal(take_word(digits, "."));
  const auto subject = parse_decimal(take_word(digits, "."));
  const auto detail = parse_decimal(digits.starts_with('.') ? digits.substr(1) : digits);
  if (!status || !subject || !detail || *status < 2 || *status > 5 || *status == 3 ||
      *subject > 999 || *detail > 999)
    return false;
  code = {static_cast<uint8_t>(*status), static_cast<uint16_t>(*subject),
          static_cast<uint16_t>(*detail)};
  text = trim_front(rest);
  return true;
}

// error:, retry: and discard: carry what to say in place of a next hop.
Route said(Route::Kind kind, smtp::EnhancedCode code, std::string_view instead,
           std::string_view text) {
  const uint8_t status = code.status;
  text = trim(text);
  take_enhanced(text, code);
  code.status = status;  // the transport decides between now and never
  return answer(kind, code, text.empty() ? instead : text);
}

// Longer than any domain is: it can't be one.
void set_next_hop(Route& route, std::string_view domain) {
  if (!route.next_hop.assign(domain))
    route = answer(Route::Kind::error, {5, 1, 3}, "bad address syntax");
}

Route by_class(const Policy& policy, const ResolvedAddress& address) {
  switch (address.address_class) {
    case AddressClass::local:
      if (equals_ignoring_case(address.local(), policy.delimiter.double_bounce_sender))
        return answer(Route::Kind::discard, {2, 0, 0},
                      "undeliverable postmaster notification discarded");
      return answer(Route::Kind::error, {5, 1, 1},
                    "unknown user: it has no alias, and there is no local delivery here");
    case AddressClass::virtual_alias:
      return answer(Route::Kind::error, {5, 1, 1}, "User unknown in virtual alias table");
    case AddressClass::relay:
    case AddressClass::other:
      break;
  }
  Route route;
  route.ours = route.relay = address.address_class == AddressClass::relay;
  route.own = route.by_domain = true;
  set_next_hop(route, address.domain());
  return route;
}

Route by_table(const Policy& policy, const ResolvedAddress& address, std::string_view value) {
  const size_t colon = value.find(':');
  const std::string_view transport = trim(value.substr(0, colon));
  const std::string_view next_hop =
      colon == std::string_view::npos ? std::string_view{} : trim(value.substr(colon + 1));
  Route route = by_class(policy, address);
  if (transport.empty()) {  // `:` changes nothing, `:next_hop` only that
    if (next_hop.empty() || route.kind != Route::Kind::hop) return route;
  } else if (transport == "relay" || transport == "smtp") {
    const bool ours = route.ours;
    route = {};
    route.ours = ours;
    route.relay = transport == "relay";
    route.from_table = true;
  } else if (transport == "local" || transport == "virtual") {
    if (transport == "local" && address.address_class == AddressClass::local)
      return by_class(policy, address);  // what it is anyway: the aliases say where the mail goes
    route = answer(Route::Kind::error, {5, 1, 1}, "there is no local delivery here");
    route.from_table = true;
    return route;
  } else {
    if (transport == "error")
      route = said(Route::Kind::error, {5, 0, 0}, "undeliverable", next_hop);
    else if (transport == "retry")
      route = said(Route::Kind::retry, {4, 0, 0}, "delivery is put off", next_hop);
    else if (transport == "discard")
      route = said(Route::Kind::discard, {2, 0, 0}, "discarded", next_hop);
    else
      route = answer(Route::Kind::retry, {4, 3, 5}, "mail transport unavailable");
    route.from_table = true;
    return route;
  }
  route.own = false;
  // Without one: the domain itself, not relayhost.
  route.by_domain = next_hop.empty();
  if (!route.by_domain && !route.next_hop.assign(next_hop))
    return answer(Route::Kind::retry, {4, 3, 5}, "the next hop in transport_maps is too long");
  if (route.by_domain) set_next_hop(route, address.domain());
  return route;
}

}  // namespace

Route route(const Policy& policy, std::string_view address) {
  const ResolvedAddress resolved = resolve(policy, address);
  if (resolved.tempfail) return answer(Route::Kind::retry, {4, 3, 0}, "address resolver failure");
  if (policy.transport_maps.empty()) return by_class(policy, resolved);
  maps::KeyList keys;
  maps::transport_keys(keys, resolved.local().empty() ? maps::null_recipient : resolved.local(),
                       resolved.domain(), policy.transport_style, policy.delimiter);
  maps::ValueText made;
  const Found found = find_in(policy.transport_maps, keys.keys(), made);
  if (found.lookup.outcome == maps::Outcome::tempfail)
    return answer(Route::Kind::retry, {4, 3, 0}, "transport_maps: look-up failure");
  return found.lookup.is_hit() ? by_table(policy, resolved, found.lookup.value)
                               : by_class(policy, resolved);
}

}  // namespace mx::policy
