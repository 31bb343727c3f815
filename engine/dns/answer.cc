#include "engine/dns/answer.h"

#include <ares.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "engine/config/addresses.h"
#include "engine/dns/wire_type.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::dns {
namespace {

constexpr size_t shown_bytes_max = 80;

std::string_view without_dot(std::string_view name) {
  return name.substr(0, name.size() - (name.ends_with('.') ? 1 : 0));
}

std::string_view text_of(const char* text) {
  return without_dot(text == nullptr ? "" : text);
}

bool is_same_name(std::string_view a, std::string_view b) {
  return equals_ignoring_case(without_dot(a), without_dot(b));
}

Answer failure(std::string why) {
  Answer answer;
  answer.why = std::move(why);
  return answer;
}

struct Collector {
  Answer answer;
  size_t refused = 0;  // records that are not to be believed
  size_t excess = 0;   // … that are too many

  void add(const ares_dns_rr_t& record, Type type) {
    const auto ttl = seconds(std::min<int64_t>(ares_dns_rr_get_ttl(&record), INT32_MAX));
    if (type == Type::mx) {
      MailExchanger one;
      one.preference = ares_dns_rr_get_u16(&record, ARES_RR_MX_PREFERENCE);
      one.host = lower(text_of(ares_dns_rr_get_str(&record, ARES_RR_MX_EXCHANGE)));
      if (!one.host.empty() && !config::is_valid_hostname(one.host)) {
        ++refused;
        return;
      }
      answer.exchanges.push_back(std::move(one));
    } else {
      IpAddress address;
      address.v6 = type == Type::aaaa;
      if (address.v6) {
        const auto* bytes = ares_dns_rr_get_addr6(&record, ARES_RR_AAAA_ADDR);
        std::memcpy(address.bytes.data(), bytes, 16);
      } else {
        const auto* bytes = ares_dns_rr_get_addr(&record, ARES_RR_A_ADDR);
        std::memcpy(address.bytes.data(), bytes, 4);
      }
      answer.addresses.push_back(address);
    }
    answer.ttl = std::min(answer.ttl, ttl);
  }

  // Too many are cut: of MX records the worst.
  Answer finish(const Question& question) {
    auto& exchanges = answer.exchanges;
    std::ranges::stable_sort(exchanges, {}, &MailExchanger::preference);
    excess = std::max(exchanges.size(), answer.addresses.size());
    excess -= std::min<size_t>(excess, limits::dns_records_max);
    if (exchanges.size() > limits::dns_records_max) exchanges.resize(limits::dns_records_max);
    if (answer.addresses.size() > limits::dns_records_max)
      answer.addresses.resize(limits::dns_records_max);
    if (exchanges.empty() && answer.addresses.empty())
      return failure(fmt::format("{} {}: malformed data in the answer", to_text(question.type),
                                 printable(question.name, shown_bytes_max)));
    answer.outcome = Outcome::found;
    if (refused > 0 || excess > 0)
      answer.why = fmt::format("{} {}: {} records were left out: {} malformed, {} too many",
                               to_text(question.type), printable(question.name, shown_bytes_max),
                               refused + excess, refused, excess);
    return std::move(answer);
  }
};

// The name that `name` is an alias of in this message, and the least TTL of the way there.
// Nothing: the aliases do not end, or lead to what is no host name.
bool follow_aliases(const ares_dns_record& message, std::string& name, Duration& ttl) {
  const size_t count = ares_dns_record_rr_cnt(&message, ARES_SECTION_ANSWER);
  for (uint32_t step = 0; step <= limits::dns_aliases_max; ++step) {
    bool found = false;
    for (size_t i = 0; i < count && !found; ++i) {
      const ares_dns_rr_t* record = ares_dns_record_rr_get_const(&message, ARES_SECTION_ANSWER, i);
      if (ares_dns_rr_get_type(record) != ARES_REC_TYPE_CNAME ||
          ares_dns_rr_get_class(record) != ARES_CLASS_IN ||
          !is_same_name(text_of(ares_dns_rr_get_name(record)), name))
        continue;
      found = true;
      name = text_of(ares_dns_rr_get_str(record, ARES_RR_CNAME_CNAME));
      ttl = std::min(ttl, seconds(std::min<int64_t>(ares_dns_rr_get_ttl(record), INT32_MAX)));
    }
    if (!found) return true;
    if (!config::is_valid_hostname(name)) return false;
  }
  return false;
}

}  // namespace

std::string_view to_text(Type type) {
  switch (type) {
    case Type::a:
      return "A";
    case Type::aaaa:
      return "AAAA";
    case Type::mx:
      return "MX";
  }
  MX_ASSERT(false);
}

Reading read(const ares_dns_record& message, const Question& question) {
  const auto said = [&](Outcome outcome, std::string_view what) {
    Answer answer;
    answer.outcome = outcome;
    answer.why = fmt::format("{} {}: {}", to_text(question.type),
                             printable(question.name, shown_bytes_max), what);
    return Reading{std::move(answer), {}};
  };
  // c-ares takes our own question, sent back to us, for an answer without records.
  if ((ares_dns_record_get_flags(&message) & ARES_FLAG_QR) == 0)
    return said(Outcome::failed, "what came back is no answer");
  const ares_dns_rcode_t rcode = ares_dns_record_get_rcode(&message);
  if (rcode != ARES_RCODE_NOERROR && rcode != ARES_RCODE_NXDOMAIN)
    return said(Outcome::failed, fmt::format("the server says {}", ares_dns_rcode_tostr(rcode)));
  std::string name = question.name;
  Collector found;
  found.answer.ttl = seconds(INT32_MAX);
  if (!follow_aliases(message, name, found.answer.ttl))
    return said(Outcome::failed, "its aliases lead nowhere");
  if (rcode == ARES_RCODE_NXDOMAIN) return said(Outcome::no_name, "there is no such name");
  const size_t count = ares_dns_record_rr_cnt(&message, ARES_SECTION_ANSWER);
  bool any = false;
  for (size_t i = 0; i < count; ++i) {
    const ares_dns_rr_t* record = ares_dns_record_rr_get_const(&message, ARES_SECTION_ANSWER, i);
    if (ares_dns_rr_get_type(record) != wire_type(question.type) ||
        ares_dns_rr_get_class(record) != ARES_CLASS_IN ||
        !is_same_name(text_of(ares_dns_rr_get_name(record)), name))
      continue;
    any = true;
    found.add(*record, question.type);
  }
  if (any) return {found.finish(question), {}};
  Reading nothing = said(Outcome::no_data, "there is no such record");
  nothing.answer.ttl = found.answer.ttl;
  if (!is_same_name(name, question.name)) nothing.alias = std::move(name);
  return nothing;
}

Reading read(Bytes message, const Question& question) {
  ares_dns_record_t* record = nullptr;
  const auto status = ares_dns_parse(reinterpret_cast<const unsigned char*>(message.data()),
                                     message.size(), 0, &record);
  if (status != ARES_SUCCESS)
    return {failure(fmt::format("{} {}: {}", to_text(question.type),
                                printable(question.name, shown_bytes_max), ares_strerror(status))),
            {}};
  Reading reading = read(*record, question);
  ares_dns_record_destroy(record);
  return reading;
}

}  // namespace mx::dns
