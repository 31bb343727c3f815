#include "proto/mail/report.h"

#include <gtest/gtest.h>

namespace mx::mail {
namespace {

using namespace std::string_view_literals;

struct Case {
  Report report;
  std::vector<ReportedRecipient> recipients;
  ReportText write() {
    report.recipients = recipients;
    return write_report(report);
  }
};

Case usual() {
  Case c;
  c.report.hostname = "mx.example";
  c.report.mail_name = "ringmx";
  c.report.report_id = "ABC";
  c.report.to = c.report.sender = "sender@b.example";
  c.report.original_id = "123";
  c.report.content = "Subject: x\r\n\r\nbody\r\n..dot\r\n";
  c.report.content_is_whole = true;
  c.recipients.push_back({.address = "user@a.example",
                          .original = "rfc822;old+2Bone@a.example",
                          .status_class = 5,
                          .subject = 1,
                          .detail = 1,
                          .remote = "host[1.2.3.4]:25",
                          .text = "550 5.1.1 no such user (in reply to RCPT TO command)"});
  return c;
}

// Every line ends in CRLF, none is too long, none but those of `content` begins with one dot.
void expect_wire_form(const std::string& text) {
  ASSERT_TRUE(text.ends_with("\r\n"));
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = text.find("\r\n", at);
    const std::string_view line = std::string_view(text).substr(at, end - at);
    EXPECT_EQ(line.find_first_of("\r\n\0"), std::string_view::npos) << line;
    EXPECT_LE(line.size(), 998U);
    EXPECT_TRUE(!line.starts_with('.') || line.starts_with("..")) << line;
    at = end + 2;
  }
}

size_t count(const std::string& text, std::string_view what) {
  size_t found = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST(Report, SaysWhatHasToBeSaid) {
  const ReportText text = usual().write();
  expect_wire_form(text.header);
  expect_wire_form(text.body);
  EXPECT_NE(text.header.find("\r\nTo: sender@b.example\r\n"), std::string::npos);
  EXPECT_NE(text.header.find("\r\nAuto-Submitted: auto-replied\r\n"), std::string::npos);
  EXPECT_NE(text.body.find("<user@a.example>: host host[1.2.3.4] said: 550 5.1.1 no such user"),
            std::string::npos);
  for (const char* field :
       {"Reporting-MTA: dns; mx.example", "X-ringmx-Queue-ID: 123",
        "X-ringmx-Sender: rfc822; sender@b.example", "Final-Recipient: rfc822; user@a.example",
        "Original-Recipient: rfc822;old+one@a.example", "Action: failed", "Status: 5.1.1",
        "Remote-MTA: dns; host", "Diagnostic-Code: smtp; 550 5.1.1 no such user"})
    EXPECT_EQ(count(text.body, std::string("\r\n") + field + "\r\n"), 1U) << field;
  EXPECT_FALSE(text.eight_bit);
  EXPECT_FALSE(text.utf8);
}

// As Postfix 3.7.11 says it of an alias; who gave no ORCPT gets the RCPT back as one.
TEST(Report, AnAliasWasExpanded) {
  Case c = usual();
  c.report.kind = ReportKind::relayed;
  c.report.content_is_whole = false;
  c.report.content = "Subject: x\r\n";
  c.recipients[0] = {.address = "list+x@a.example",
                     .original = {},
                     .status_class = 2,
                     .subject = 0,
                     .detail = 0,
                     .remote = {},
                     .text = "alias expanded",
                     .action = "expanded"};
  const ReportText text = c.write();
  EXPECT_NE(text.body.find("\r\n<list+x@a.example>: alias expanded\r\n"), std::string::npos);
  EXPECT_NE(text.body.find("\r\nFinal-Recipient: rfc822; list+x@a.example\r\n"
                           "Original-Recipient: rfc822;list+x@a.example\r\n"
                           "Action: expanded\r\n"
                           "Status: 2.0.0\r\n"
                           "Diagnostic-Code: X-ringmx; alias expanded\r\n"),
            std::string::npos)
      << text.body;
}

TEST(Report, NothingFromOutsideAddsALineOrAField) {
  Case c = usual();
  const std::string_view evil = "x\r\nStatus: 2.0.0\r\n.\r\n--ABC\0\x1b[0m"sv;
  c.report.to = c.report.sender = evil;
  c.report.envelope_id = "a+0D+0AStatus:+202.0.0";
  c.recipients[0].address = evil;
  c.recipients[0].original = "rfc822;x+0D+0AAction:+20delivered";
  c.recipients[0].remote = evil;
  c.recipients[0].text = evil;
  const ReportText text = c.write();
  expect_wire_form(text.header);
  expect_wire_form(text.body);
  EXPECT_EQ(count(text.body, "\r\nStatus: "), 1U);
  EXPECT_EQ(count(text.body, "\r\nAction: "), 1U);
  EXPECT_EQ(count(text.body, "\x1b"), 0U);
}

TEST(Report, LongTextsAreFoldedAndNeverTooLong) {
  Case c = usual();
  const std::string words = [] {
    std::string s;
    for (int i = 0; i < 100; ++i) s += "word ";
    return s;
  }();
  const std::string unbroken(3000, 'x');
  c.recipients[0].text = words;
  expect_wire_form(c.write().body);
  c.recipients[0].text = unbroken;
  c.report.to = unbroken;
  expect_wire_form(c.write().body);
  expect_wire_form(c.write().header);
}

TEST(Report, EightBitAndUtf8AreSaid) {
  Case c = usual();
  c.report.content = "Subject: \xff\r\n\r\n";
  EXPECT_TRUE(c.write().eight_bit);
  EXPECT_FALSE(c.write().utf8);
  c.recipients[0].address = "\xc3\xa4@a.example";
  const ReportText text = c.write();
  EXPECT_TRUE(text.utf8);
  EXPECT_NE(text.body.find("message/global-delivery-status"), std::string::npos);
  EXPECT_NE(text.body.find("Final-Recipient: utf-8; "), std::string::npos);
}

TEST(Report, HeaderLinesAreWholeAndBounded) {
  const std::string_view content = "A: 1\r\n b\r\nC: 2\r\n\r\nbody\r\n";
  EXPECT_EQ(header_lines(content, 1000), "A: 1\r\n b\r\nC: 2\r\n");
  for (size_t limit = 0; limit < content.size(); ++limit) {
    const std::string_view part = header_lines(content, limit);
    EXPECT_LE(part.size(), limit);
    EXPECT_TRUE(part.empty() || part.ends_with("\r\n"));
    EXPECT_EQ(part.find("body"), std::string_view::npos);
  }
  for (size_t cut = 0; cut < content.size(); ++cut) {
    const std::string_view part = header_lines(content.substr(0, cut), 1000);
    EXPECT_TRUE(part.empty() || part.ends_with("\r\n"));
  }
}

}  // namespace
}  // namespace mx::mail
