// XCLIENT, XFORWARD and DSN parameters under arbitrary bytes: what is taken is harmless in a log
// line, a header and a record of the queue.
#include <cstdint>
#include <string_view>

#include "proto/base/assert.h"
#include "proto/mail/dsn.h"
#include "proto/smtp/client_attributes.h"
#include "proto/smtp/command.h"

namespace {

void check(std::string_view text) {
  for (const char c : text) MX_ASSERT(c >= ' ' && c <= '~');
}

void check_word(std::string_view text) {
  for (const char c : text) MX_ASSERT(static_cast<unsigned char>(c) > ' ' && c != 0x7F);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mx;
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  smtp::ClientAttributes client;
  const smtp::AttributeFault fault = smtp::parse_xclient(in, client);
  if (fault.kind == smtp::AttributeFault::Kind::none) {
    for (const auto* text :
         {&client.name, &client.reverse_name, &client.address_text, &client.helo})
      check(text->view());
    if (client.address_known) MX_ASSERT(to_string(client.address) == client.address_text.view());
  }
  check(fault.value.view());
  smtp::ForwardedAttributes forwarded;
  if (smtp::parse_xforward(in, forwarded).kind == smtp::AttributeFault::Kind::none)
    for (const auto* text : {&forwarded.name, &forwarded.address, &forwarded.ident})
      check(text->view());
  if (mail::is_dsn_envelope_id(in)) check_word(in);
  if (mail::is_dsn_original_recipient(in)) check_word(in);
  if (const auto notify = mail::parse_dsn_notify(in)) {
    const auto again = mail::parse_dsn_notify(mail::dsn_notify_text(*notify));
    MX_ASSERT(again && *again == *notify);
  }
  smtp::MailOptions options;
  smtp::parse_mail_parameters(in, {.smtputf8 = true}, options);
  check_word(options.envelope_id);
  mail::RecipientDsn dsn;
  smtp::parse_rcpt_parameters(in, {}, dsn);
  check_word(dsn.original);
  smtp::parse_chunk(in);
  return 0;
}
