#include "engine/relay/lookup.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::relay {
namespace {

using dns::Outcome;

// How long a list holds that lacks a host which could not be looked up now.
constexpr Duration partial_ttl = seconds(60);

bool is_unspecified(const IpAddress& address) {
  return std::ranges::all_of(address.bytes, [](uint8_t byte) { return byte == 0; });
}

bool is_loopback(const IpAddress& address) {
  if (!address.v6) return address.bytes[0] == 127;
  IpAddress one;
  one.v6 = true;
  one.bytes.back() = 1;
  return address == one;
}

std::string not_found(const dns::Question& question, std::string_view why) {
  return fmt::format("Host or domain name not found. Name service error for name={} type={}: {}",
                     question.name, dns::to_text(question.type), why);
}

}  // namespace

// A connection to 0.0.0.0 or :: goes to the loopback. What somebody else may listen on (an address
// of this machine with a port that is not ours) is not us.
bool Self::is(const IpAddress& given, uint16_t port) const {
  const IpAddress address = unmapped(given);
  const bool here = is_unspecified(address) || is_loopback(address) ||
                    std::ranges::find(addresses, address) != addresses.end();
  for (const config::ListenAddress& at : listen) {
    if (at.port != port || at.address.v6 != address.v6) continue;
    if (at.address == address || (is_unspecified(at.address) && here)) return true;
    if (is_unspecified(address) && is_loopback(at.address)) return true;
  }
  return port == smtp_port && !is_loopback(address) && !is_unspecified(address) && here;
}

bool Self::is(std::string_view host, uint16_t port) const {
  const bool ours = port == smtp_port ||
                    std::ranges::any_of(listen, [port](const auto& at) { return at.port == port; });
  return ours && equals_ignoring_case(host, hostname);
}

Lookup::Lookup(std::span<const config::NextHop> hosts, bool ordered,
               const config::LookupSettings& settings, const Self& self)
    : ordered_(ordered), settings_(settings), self_(self) {
  result_.ttl = seconds(INT32_MAX);
  for (const config::NextHop& hop : hosts) {
    Site& site = sites_.emplace_back();
    site.hop = &hop;
    if (hop.is_address) {
      site.exchanges.push_back({hop.host, 0, {hop.address}});
    } else if (hop.bracketed || !settings.mx) {
      ask_addresses(site, hop.host, 0);
    } else {
      askers_.push_back({sites_.size() - 1, SIZE_MAX});
      questions_.push_back({hop.host, dns::Type::mx});
    }
  }
  if (questions_.empty()) finish();
}

void Lookup::ask_addresses(Site& site, std::string host, uint32_t preference) {
  const auto index = static_cast<size_t>(&site - sites_.data());
  for (const dns::Type type : {dns::Type::a, dns::Type::aaaa}) {
    if (type == dns::Type::a ? !settings_.ipv4 : !settings_.ipv6) continue;
    askers_.push_back({index, site.exchanges.size()});
    questions_.push_back({host, type});
  }
  site.exchanges.push_back({std::move(host), preference, {}});
}

// A failure that may pass is not forgotten for one that is certain, but a certain one is for it.
void Lookup::trouble(Site& site, smtp::EnhancedCode code, std::string why) {
  if (site.code.status == 4 && code.status != 4) return;
  site.code = code;
  site.why = std::move(why);
}

void Lookup::resume(std::span<const dns::Answer> answers) {
  MX_ASSERT(answers.size() == questions_.size());
  const std::vector<dns::Question> asked = std::exchange(questions_, {});
  const std::vector<Asker> askers = std::exchange(askers_, {});
  for (size_t i = 0; i < answers.size(); ++i) {
    const dns::Answer& answer = answers[i];
    Site& site = sites_[askers[i].site];
    if (answer.outcome == Outcome::found) {
      result_.ttl = std::min(result_.ttl, answer.ttl);
      if (result_.warning.empty()) result_.warning = answer.why;
    }
    if (asked[i].type == dns::Type::mx) {
      take_mx(site, answer);
      continue;
    }
    Exchange& exchange = site.exchanges[askers[i].exchange];
    if (answer.outcome == Outcome::found)
      exchange.addresses.insert(exchange.addresses.end(), answer.addresses.begin(),
                                answer.addresses.end());
    else if (answer.outcome == Outcome::failed)
      trouble(site, {4, 4, 3}, not_found(asked[i], "Host not found, try again"));
    else if (answer.outcome == Outcome::no_name || site.why.empty())
      trouble(site, {5, 4, 4},
              not_found(asked[i], answer.outcome == Outcome::no_name
                                      ? "Host not found"
                                      : "Host found but no data record of requested type"));
  }
  if (questions_.empty()) finish();
}

void Lookup::take_mx(Site& site, const dns::Answer& answer) {
  const std::string& name = site.hop->host;
  if (answer.outcome == Outcome::failed && !settings_.ignore_mx_error) {
    trouble(site, {4, 4, 3}, not_found({name, dns::Type::mx}, "Host not found, try again"));
    return;
  }
  if (answer.outcome != Outcome::found) {  // no MX: the name itself (RFC 5321 5.1)
    ask_addresses(site, name, 0);
    return;
  }
  site.by_mx = true;
  const bool null_mx = answer.exchanges.size() == 1 && answer.exchanges[0].host.empty();
  if (null_mx) {
    trouble(site, {5, 1, 0}, fmt::format("Domain {} does not accept mail (nullMX)", name));
    return;
  }
  std::vector<dns::MailExchanger> exchanges = answer.exchanges;
  std::ranges::sort(exchanges, {}, [](const dns::MailExchanger& one) {
    return std::tuple(one.preference, one.host);
  });
  for (const dns::MailExchanger& one : exchanges) {
    if (site.exchanges.size() >= limits::mx_hosts_max) break;
    if (one.host.empty()) continue;  // beside others it means nothing
    ask_addresses(site, one.host, one.preference);
  }
  if (site.exchanges.empty())
    trouble(site, {4, 4, 3}, not_found({name, dns::Type::mx}, "Malformed or unexpected reply"));
}

void Lookup::finish() {
  bool may_pass = false;
  for (Site& site : sites_) {
    finish(site);
    may_pass |= site.code.status == 4;
  }
  std::ranges::stable_sort(result_.list, {}, &Target::rank);
  for (const Site& site : sites_) {
    if (site.code.status == 0) continue;
    if (!result_.list.empty()) {
      result_.warning = site.why;
    } else if (!may_pass || site.code.status == 4) {  // the last one's word, as in Postfix
      result_.code = site.code;
      result_.why = site.why;
    }
  }
}

// The addresses of a site in order. An exchange that is ourselves ends the list: mail goes towards
// better ones only (RFC 5321 5.1).
void Lookup::finish(Site& site) {
  const config::NextHop& hop = *site.hop;
  uint32_t own = UINT32_MAX, best = UINT32_MAX, best_found = UINT32_MAX;
  for (const Exchange& exchange : site.exchanges) {
    best = std::min(best, exchange.preference);
    bool is_self = site.by_mx && self_.is(exchange.host, hop.port);
    for (const IpAddress& address : exchange.addresses) is_self |= self_.is(address, hop.port);
    if (is_self) own = std::min(own, exchange.preference);
    if (is_self || !exchange.addresses.empty())
      best_found = std::min(best_found, exchange.preference);
  }
  std::vector<Target> found;
  const auto family_rank = [&](const Target& target) {
    if (settings_.preference == config::AddressPreference::any) return 0;
    return target.address.v6 == (settings_.preference == config::AddressPreference::ipv6) ? 0 : 1;
  };
  for (const Exchange& exchange : site.exchanges)
    for (const IpAddress& address : exchange.addresses)
      if (exchange.preference < own)
        found.push_back({address, hop.port, exchange.host, exchange.preference});
  // Name servers give equal ones in another order each time: that is no other list.
  std::ranges::sort(found, {}, [&](const Target& t) {
    return std::tuple(t.rank, family_rank(t), t.host, to_string(t.address));
  });
  if (found.empty()) {
    if (own != UINT32_MAX && own == best_found) {
      const bool is_best = !site.by_mx || best == own;
      site.code = is_best ? smtp::EnhancedCode{5, 4, 6} : smtp::EnhancedCode{4, 4, 4};
      site.why = is_best ? fmt::format("mail for {} loops back to myself", hop.host)
                         : fmt::format("unable to find primary relay for {}", hop.host);
    } else if (site.by_mx && site.code.status == 5 && site.code.subject == 4 &&
               settings_.defer_without_address) {
      site.code.status = 4;
    }
    return;
  }
  if (site.code.status == 4) result_.ttl = std::min(result_.ttl, partial_ttl);
  site.code = {};
  // Preferences become ranks: 0, 1, 2, …
  if (!ordered_) rank_ = 0;
  std::pair<uint32_t, int> before{found[0].rank, family_rank(found[0])};
  for (Target& target : found) {
    if (result_.list.size() == limits::backends_max) break;
    const std::pair<uint32_t, int> mine{target.rank, family_rank(target)};
    if (mine != before || (!settings_.randomize && &target != &found[0])) ++rank_;
    before = mine;
    target.rank = rank_;
    result_.list.push_back(std::move(target));
  }
  ++rank_;  // the next site is worse than all of this one
}

}  // namespace mx::relay
