#include "proto/mail/notice.h"

#include <gtest/gtest.h>

namespace mx::mail {
namespace {

using namespace std::string_view_literals;

Notice usual() {
  Notice notice;
  notice.hostname = notice.origin = "mx.example";
  notice.mail_name = "ringmx";
  notice.id = "ABC";
  notice.to = "postmaster@mx.example";
  notice.subject = "what it is about";
  notice.text = "one\n.two\n\nlast";
  return notice;
}

std::string wrapped(std::string_view text) {
  std::string out;
  add_wrapped(out, text, 78, " ", "     ");
  return out;
}

TEST(Notice, IsMailToThePostmaster) {
  const ReportText text = write_notice(usual());
  EXPECT_EQ(text.header,
            "Received: by mx.example (ringmx)\r\n"
            "\tid ABC; Thu, 1 Jan 1970 00:00:00 +0000 (UTC)\r\n"
            "Date: Thu, 1 Jan 1970 00:00:00 +0000 (UTC)\r\n"
            "From: Mail Delivery System <MAILER-DAEMON@mx.example>\r\n"
            "To: Postmaster <postmaster@mx.example>\r\n"
            "Subject: what it is about\r\n"
            "Auto-Submitted: auto-generated\r\n"
            "Message-Id: <ABC.0@mx.example>\r\n");
  EXPECT_EQ(text.body, "\r\none\r\n..two\r\n\r\nlast\r\n");
  EXPECT_FALSE(text.eight_bit || text.utf8);
}

TEST(Notice, NothingFromOutsideAddsALineOrAField) {
  Notice notice = usual();
  notice.subject = "x\r\nBcc: y\r\n\r\n.\r\n";
  notice.to = "a@b\r\nBcc: y";
  notice.text = "a\r\n.\r\n\x1b[0m\xff\0b\n"sv;
  const ReportText text = write_notice(notice);
  EXPECT_NE(text.header.find("\r\nSubject: x??Bcc: y????.??\r\n"), std::string::npos)
      << text.header;
  EXPECT_EQ(text.header.find("\r\nBcc"), std::string::npos);
  EXPECT_EQ(text.body, "\r\na?\r\n..?\r\n?[0m??b\r\n");
}

TEST(Notice, EightBitIsSaid) {
  Notice notice = usual();
  notice.text = "\xc3\xa4\n";
  EXPECT_TRUE(write_notice(notice).eight_bit);
  EXPECT_FALSE(write_notice(notice).utf8);
  EXPECT_NE(write_notice(notice).header.find("Content-Type: text/plain; charset=utf-8\r\n"),
            std::string::npos);
  notice.to = "\xc3\xa4@mx.example";
  EXPECT_TRUE(write_notice(notice).utf8);
}

// The lines of Postfix 3.7.11 for the same texts.
TEST(Notice, WrapsAsPostfixDoes) {
  EXPECT_EQ(wrapped("In:  QUIT"), " In:  QUIT\n");
  EXPECT_EQ(wrapped(""), " \n");
  EXPECT_EQ(wrapped("Out: 550 5.1.1 <nobody@mx.relay.test>: Recipient address rejected: User "
                    "unknown in local recipient table"),
            " Out: 550 5.1.1 <nobody@mx.relay.test>: Recipient address rejected: User\n"
            "     unknown in local recipient table\n");
  const std::string word(300, 'x');
  EXPECT_EQ(wrapped("In:  FOO \x01\x1b" + word), " In:  FOO\n     ??" + word + "\n");
}

TEST(Notice, NoLineIsTooLong) {
  const std::string out = wrapped(std::string(5000, 'x') + " " + std::string(2000, '\xc3'));
  for (size_t at = 0; at < out.size();) {
    const size_t end = out.find('\n', at);
    EXPECT_LE(end - at, 990U);
    at = end + 1;
  }
  std::string umlauts;
  for (int i = 0; i < 1000; ++i) umlauts += "\xc3\xa4";
  for (size_t at = 0; const char c : wrapped("x" + umlauts)) {
    const bool second = (static_cast<unsigned char>(c) & 0xC0) == 0x80;
    EXPECT_TRUE(!second || at == 1);  // no character is cut in two
    at = second || static_cast<unsigned char>(c) < 0x80 ? 0 : 1;
  }
}

TEST(Notice, DigestSaysWhatCanBeDone) {
  DigestEntry entry;
  entry.id = "5F3A";
  entry.size = 1;
  entry.recipients = {"user@a.example"};
  entry.more_recipients = 3;
  entry.reason = "550 5.1.1 no such user";
  const DigestEntry entries[] = {entry};
  Digest digest;
  digest.hostname = "mx.example";
  digest.config_directory = "/etc/mail's";
  digest.entries = entries;
  EXPECT_EQ(digest_subject(digest), "Quarantined mail: 1 new, 1 held");
  EXPECT_EQ(digest_text(digest),
            "This is the mail system at host mx.example.\n"
            "\n"
            "1 message could not be delivered after it had been accepted, and is held\n"
            "instead of being returned (ringmx_bounce = quarantine). Nobody else was told.\n"
            "\n"
            "All that is held:  mxq -c '/etc/mail'\\''s' -p\n"
            "\n"
            "5F3A  1 byte  Thu, 1 Jan 1970 00:00:00 +0000 (UTC)\n"
            "    from: <>\n"
            "    to:   <user@a.example>\n"
            "    to:   and 3 more\n"
            "    why:  550 5.1.1 no such user\n"
            "    mxq -c '/etc/mail'\\''s' -H 5F3A    # try it again\n"
            "    mxq -c '/etc/mail'\\''s' -d 5F3A    # delete it\n");
  digest.left_out = 7;
  digest.told = 1;
  EXPECT_EQ(digest_subject(digest), "Quarantined mail: 8 new, 9 held");
  EXPECT_NE(digest_text(digest).find("1 message of earlier digests is held as well.\n"
                                     "Below are the 1 oldest; the next digest goes on"),
            std::string::npos);
}

}  // namespace
}  // namespace mx::mail
