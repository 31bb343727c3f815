#include "engine/policy/resolve.h"

#include <algorithm>

#include "proto/base/text.h"

namespace mx::policy {

namespace {

using maps::KeyText;

// Each turn takes a domain of ours off the end; an address with more of them is nobody's.
constexpr int turns_max = 16;

// An operator that is followed when it stands in front of a domain of ours.
bool names_next_domain(const Policy& policy, std::string_view local) {
  return local.find('@') != std::string_view::npos ||
         (policy.swap_bangpath && local.find('!') != std::string_view::npos) ||
         (policy.allow_percent_hack && local.find('%') != std::string_view::npos);
}

// An address without a domain gets one: site!user, user%site, else our own.
[[nodiscard]] bool give_domain(const Policy& policy, KeyText& text) {
  const KeyText before = text;
  const std::string_view bare = before.view();
  const size_t bang = policy.swap_bangpath ? bare.find('!') : std::string_view::npos;
  if (bang != std::string_view::npos) {
    return text.assign(bare.substr(bang + 1)) && text.append("@") &&
           text.append(bare.substr(0, bang));
  }
  const size_t percent = policy.allow_percent_hack ? bare.rfind('%') : std::string_view::npos;
  if (percent != std::string_view::npos) {
    return text.assign(bare.substr(0, percent)) && text.append("@") &&
           text.append(bare.substr(percent + 1));
  }
  if (bare.empty() || !policy.append_at_myorigin) return true;
  return text.append("@") && text.append(policy.myorigin);
}

// Rewriting to canonical form: a domain, completed by ours when it has no dot, without a dot at its
// end.
[[nodiscard]] bool complete(const Policy& policy, KeyText& text) {
  if (text.view().find('@') == std::string_view::npos && !give_domain(policy, text)) return false;
  const size_t at = text.view().rfind('@');
  if (at == std::string_view::npos) return true;
  const std::string_view domain = text.view().substr(at + 1);
  if (domain.empty() || domain.front() == '[') return true;
  if (domain.find('.') == std::string_view::npos) {
    if (!policy.append_dot_mydomain || policy.mydomain.empty()) return true;
    return text.append(".") && text.append(policy.mydomain);
  }
  if (domain.size() > 1 && domain.ends_with('.') && !domain.ends_with("..")) {
    const KeyText before = text;
    return text.assign(before.view().substr(0, before.size() - 1));
  }
  return true;
}

Match is_local(const Policy& policy, std::string_view domain) {
  const Match listed = policy.mydestination.match_domain(domain);
  if (listed != Match::no) return listed;
  if (!domain.starts_with('[') || !domain.ends_with(']')) return Match::no;
  std::string_view literal = domain.substr(1, domain.size() - 2);
  if (starts_with_ignoring_case(literal, "ipv6:")) literal.remove_prefix(5);
  const auto address = parse_ip_address(literal);
  if (!address) return Match::no;
  const auto& own = policy.own_addresses;
  return std::find(own.begin(), own.end(), *address) != own.end() ? Match::yes : Match::no;
}

}  // namespace

ResolvedAddress resolve(const Policy& policy, std::string_view address) {
  ResolvedAddress out;
  const auto nobodys = [&] {  // too long or too deep: foreign, and not to be relayed
    out.address_class = AddressClass::other;
    out.routed = true;
    return out;
  };
  if (!out.text.assign(address)) return nobodys();
  for (int turn = 0; turn < turns_max; ++turn) {
    if (!complete(policy, out.text)) return nobodys();
    // append_at_myorigin = no: an address without a domain is our host's.
    const bool is_bare = out.text.view().find('@') == std::string_view::npos && !out.text.empty();
    if (is_bare && (!out.text.append("@") || !out.text.append(policy.myhostname))) return nobodys();
    const size_t at = out.text.view().rfind('@');
    out.local_size = at == std::string_view::npos ? out.text.size() : at;
    const Match local = is_local(policy, out.domain());
    if (local == Match::tempfail) {
      out.tempfail = true;
      return out;
    }
    // Not by what is followed here: the next host may follow it.
    out.routed = out.local().find_first_of("@%!") != std::string_view::npos;
    if (local == Match::yes) {
      out.address_class = AddressClass::local;
      if (!names_next_domain(policy, out.local())) return out;
      const KeyText before = out.text;
      if (!out.text.assign(before.view().substr(0, out.local_size))) return nobodys();
      continue;
    }
    const Match aliased = policy.virtual_alias_domains.match_domain(out.domain());
    if (aliased != Match::no) {
      out.tempfail = aliased == Match::tempfail;
      out.address_class = AddressClass::virtual_alias;
      return out;
    }
    const Match relayed = policy.relay_domains.match_domain(out.domain());
    out.tempfail = relayed == Match::tempfail;
    out.address_class = relayed == Match::yes ? AddressClass::relay : AddressClass::other;
    return out;
  }
  return nobodys();
}

}  // namespace mx::policy
