// A DNS message from a server that may be hostile, as an answer to a question for `a.test`. The
// first byte chooses the type.

#include "engine/config/addresses.h"
#include "engine/dns/answer.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"

using namespace mx;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const dns::Question question{"a.test", static_cast<dns::Type>(data[0] % 3)};
  const dns::Reading reading =
      dns::read({reinterpret_cast<const std::byte*>(data + 1), size - 1}, question);
  const dns::Answer& answer = reading.answer;
  const size_t count = answer.addresses.size() + answer.exchanges.size();
  MX_ASSERT((answer.outcome == dns::Outcome::found) == (count > 0));
  MX_ASSERT(count <= limits::dns_records_max);
  MX_ASSERT(count > 0 || !answer.why.empty());
  uint16_t before = 0;
  for (const dns::MailExchanger& one : answer.exchanges) {
    MX_ASSERT(one.host.empty() || config::is_valid_hostname(one.host));
    MX_ASSERT(one.preference >= before);
    before = one.preference;
  }
  for (const IpAddress& address : answer.addresses)
    MX_ASSERT(address.v6 == (question.type == dns::Type::aaaa));
  MX_ASSERT(reading.alias.empty() || config::is_valid_hostname(reading.alias));
  MX_ASSERT(reading.alias.empty() || answer.outcome == dns::Outcome::no_data);
  return 0;
}
