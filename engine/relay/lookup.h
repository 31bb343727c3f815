// engine/relay/lookup.h - from what main.cf or transport_maps calls a next hop to the addresses
// that mail goes to: MX by preference, A and AAAA, Postfix's rules.
//
// A machine without I/O: it has questions, is told the answers, and has further questions or is
// over. Null MX, names that do not exist, and mail that would come back to ourselves are results as
// good as addresses: mail must be bounced, or wait, and never go in circles. RFC 5321 5.1, RFC
// 7505.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/config/settings.h"
#include "engine/dns/answer.h"
#include "proto/smtp/verdict.h"

namespace mx::relay {

// What counts as ourselves: mail that went there would come back.
struct Self {
  std::string hostname;                       // myhostname
  std::vector<config::ListenAddress> listen;  // where we take mail
  std::vector<IpAddress> addresses;           // inet_interfaces, proxy_interfaces
  uint16_t smtp_port = 25;

  bool is(const IpAddress& address, uint16_t port) const;
  bool is(std::string_view host, uint16_t port) const;
};

struct Target {
  IpAddress address;
  uint16_t port = 25;
  std::string host;   // the MX host, or the next hop itself
  uint32_t rank = 0;  // 0: best; equal ranks share the mail
  bool operator==(const Target&) const = default;
};

struct Targets {
  std::vector<Target> list;  // best first
  Duration ttl;              // for which it holds
  // Why the list is empty. Status 4: this may pass; 5: it is so.
  smtp::EnhancedCode code;
  std::string why;
  std::string warning;  // what is wrong though there are addresses
};

class Lookup {
 public:
  // `ordered`: a host of the list is better than the next; else all of them are as good.
  Lookup(std::span<const config::NextHop> hosts, bool ordered,
         const config::LookupSettings& settings, const Self& self);

  // Empty: it is over. Valid until resume().
  std::span<const dns::Question> questions() const { return questions_; }
  // The answers to all of them, in their order.
  void resume(std::span<const dns::Answer> answers);
  Targets& result() { return result_; }

 private:
  // A host whose addresses are asked for, on behalf of a site.
  struct Exchange {
    std::string host;
    uint32_t preference = 0;
    std::vector<IpAddress> addresses;
  };
  // One element of the next hop's list.
  struct Site {
    const config::NextHop* hop = nullptr;
    bool by_mx = false;  // the exchanges are of MX records
    std::vector<Exchange> exchanges;
    smtp::EnhancedCode code;
    std::string why;
  };

  void ask_addresses(Site& site, std::string host, uint32_t preference);
  void take_mx(Site& site, const dns::Answer& answer);
  void trouble(Site& site, smtp::EnhancedCode code, std::string why);
  void finish();
  void finish(Site& site);

  bool ordered_;
  const config::LookupSettings& settings_;
  const Self& self_;
  std::vector<Site> sites_;
  std::vector<dns::Question> questions_;
  struct Asker {
    size_t site, exchange;
  };
  std::vector<Asker> askers_;  // of questions_
  uint32_t rank_ = 0;
  Targets result_;
};

}  // namespace mx::relay
