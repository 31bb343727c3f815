// engine/dns/answer.h - what DNS said, as a value: records with their TTL, no such name, no such
// data, or a failure that may pass.
//
// c-ares reads the message: lengths, counts, compression and the 255 bytes of a name are its
// matter, and a message that breaks them is no answer. What is checked here: the records belong to
// the name that was asked (or to what it is an alias of), names are host names, and there are not
// too many. Pure functions. Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/bytes.h"
#include "proto/base/ip_address.h"
#include "proto/base/time.h"

struct ares_dns_record;

namespace mx::dns {

enum class Type : uint8_t { a, aaaa, mx };
std::string_view to_text(Type type);

struct Question {
  std::string name;
  Type type = Type::a;
  bool operator==(const Question&) const = default;
};

enum class Outcome : uint8_t {
  found,    // at least one record
  no_name,  // there is no such name
  no_data,  // the name has no such record
  failed,   // not known now: no server answered, one failed, or the answer is not to be believed
};

struct MailExchanger {
  uint16_t preference = 0;
  std::string host;  // without final dot; empty: the root, "no mail" (RFC 7505)
  bool operator==(const MailExchanger&) const = default;
};

struct Answer {
  Outcome outcome = Outcome::failed;
  std::vector<IpAddress> addresses;      // found, A and AAAA
  std::vector<MailExchanger> exchanges;  // found, MX: best first
  Duration ttl;                          // found: the smallest on the way there
  std::string why;                       // not found; or what was left out
};

// An answer, or where it goes on: the name is an alias whose records the message does not have.
struct Reading {
  Answer answer;
  std::string alias;
};

// `message` as c-ares has taken it apart.
Reading read(const ares_dns_record& message, const Question& question);
// The same from the bytes of a DNS message.
Reading read(Bytes message, const Question& question);

}  // namespace mx::dns
