// engine/policy/facts.h - what decide() may be told of the world: answers of DNS and of policy
// services, and who the client is. decide() asks for what it misses and is run again.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "proto/base/ip_address.h"

namespace mx::policy {

// What is known of a name. pending: nobody has asked yet.
enum class NameStatus : uint8_t { pending, found, not_found, tempfail };

struct Client {
  std::string_view name = "unknown";          // verified name
  std::string_view address_text;              // as in log lines: no brackets
  IpAddress address;                          // an IPv4-mapped IPv6 address is given as IPv4
  std::string_view reverse_name = "unknown";  // what the PTR record says, unverified
  NameStatus name_status = NameStatus::not_found;
  NameStatus reverse_status = NameStatus::not_found;
};

// Of a client's certificate; empty without one. In upper case, colons between bytes.
struct Certificate {
  std::string_view fingerprint, public_key_fingerprint;
};

// Whether mail for a domain can be delivered (MX, else A or AAAA).
enum class DomainStatus : uint8_t { pending, exists, not_found, malformed, null_mx, tempfail };
struct DomainFact {
  std::string_view domain;  // in lower case
  DomainStatus status = DomainStatus::pending;
};

// What a policy service answered: the text behind `action=`, or its default action.
struct PolicyReply {
  uint32_t service = 0;        // index in Policy::policy_services
  std::string_view recipient;  // as it was asked; empty where there is none
  std::string_view action;
};

struct Facts {
  std::span<const DomainFact> domains;
  std::span<const PolicyReply> replies;
};

}  // namespace mx::policy
