// Addresses: whatever parse_path() accepts is canonical, within the limits, and means the same when
// it is read again. The first byte chooses where the parts of the Received header come from.
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/mail/address.h"
#include "proto/mail/received.h"

namespace {

using namespace mx;

void check_address(std::string_view text) {
  MX_ASSERT(text.size() + 2 <= limits::path_bytes_max);
  for (const char c : text) MX_ASSERT((c < 0 || c >= ' ') && c != 0x7F);
  const std::string wire = "<" + std::string(text) + "> X=1";
  const auto again = mail::parse_path(wire, mail::PathRules::strict);
  MX_ASSERT(again && again->address.text() == text && again->rest == "X=1");
  if (text.empty()) return;
  const mail::AddressParts parts = mail::split(text);
  MX_ASSERT(!parts.local.empty() && parts.local.size() <= limits::local_part_bytes_max);
  MX_ASSERT(parts.has_domain == !parts.domain.empty());
  if (parts.has_domain)
    MX_ASSERT(mail::is_valid_hostname(parts.domain) || mail::is_address_literal(parts.domain));
  const auto bytes = mail::unquoted(parts.local);
  MX_ASSERT(bytes && bytes->size() <= parts.local.size());
  // An '@' that routes nothing is a sign of sender-specified routing.
  if (bytes->view().find('@') != std::string_view::npos) MX_ASSERT(mail::has_sender_routing(text));
}

// The header keeps its shape: three lines at most, printable, no folding but ours.
void check_received(std::string_view name, std::string_view recipient) {
  mail::ReceivedFields fields;
  fields.helo = fields.client_name = fields.client_address = fields.hostname = fields.queue_id =
      name;
  fields.recipient = recipient;
  fields.zone.name = name;
  char buffer[limits::header_block_bytes_max];
  const auto size = mail::write_received(fields, buffer);
  MX_ASSERT(size);
  const std::string_view header(buffer, *size);
  MX_ASSERT(header.starts_with("Received: from ") && header.ends_with("\r\n"));
  size_t lines = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    if (header[i] == '\n') {
      MX_ASSERT(header[i - 1] == '\r');
      ++lines;
      MX_ASSERT(i + 1 == header.size() || header[i + 1] == '\t');
    } else if (header[i] != '\r') {
      MX_ASSERT(header[i] == '\t' || (header[i] >= ' ' && header[i] <= '~'));
    }
  }
  MX_ASSERT(lines == 3);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto lenient = mail::parse_path(input, mail::PathRules::lenient);
  const auto strict = mail::parse_path(input, mail::PathRules::strict);
  if (lenient) check_address(lenient->address.text());
  if (strict) MX_ASSERT(lenient && lenient->address.text() == strict->address.text());
  check_received(input, lenient ? lenient->address.text() : "");
  (void)mail::is_fully_qualified(input);
  (void)mail::has_sender_routing(input);
  (void)mail::unquoted(input);
  return 0;
}
