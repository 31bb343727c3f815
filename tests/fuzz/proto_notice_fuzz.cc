// The plain letters to the postmaster: whatever is said in them, they are in wire form.
#include <cstddef>
#include <cstdint>
#include <string>

#include "proto/base/assert.h"
#include "proto/mail/notice.h"

namespace {

void expect_wire_form(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find("\r\n", at);
    MX_ASSERT(end != std::string_view::npos && end - at <= 998);
    const std::string_view line = text.substr(at, end - at);
    for (const char c : line)
      MX_ASSERT((static_cast<unsigned char>(c) >= ' ' || c == '\t') && c != 0x7F);
    MX_ASSERT(!line.starts_with('.') || line.starts_with(".."));
    at = end + 2;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mx::mail;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::string_view half = all.substr(0, size / 2), rest = all.substr(size / 2);
  DigestEntry entry;
  entry.id = entry.sender = std::string(half.substr(0, 500));
  entry.recipients = {std::string(rest.substr(0, 500))};
  entry.reason = std::string(rest);
  Digest digest;
  digest.hostname = digest.config_directory = "mx";
  digest.entries = {&entry, 1};
  std::string text = digest_text(digest);
  add_wrapped(text, all, 78, " ", "     ");
  Notice notice;
  notice.hostname = notice.mail_name = notice.origin = notice.id = "mx";
  notice.to = half.substr(0, 500);
  notice.subject = all;
  notice.text = text;
  const ReportText letter = write_notice(notice);
  expect_wire_form(letter.header);
  expect_wire_form(letter.body);
  MX_ASSERT(letter.body.starts_with("\r\n"));
  MX_ASSERT(letter.header.find("\r\n\r\n") == std::string::npos);
  return 0;
}
