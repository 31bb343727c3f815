#include "proto/smtp/command.h"

#include <gtest/gtest.h>

#include <string>

namespace mx::smtp {
namespace {

using Kind = ParameterFault::Kind;

TEST(CommandLine, TakesTheVerbUpToWhiteSpace) {
  std::string_view line = "MAIL \t FROM:<a@b>";
  EXPECT_EQ(take_verb(line), "MAIL");
  EXPECT_EQ(line, "FROM:<a@b>");
  line = "QUIT";
  EXPECT_EQ(take_verb(line), "QUIT");
  EXPECT_EQ(line, "");
}

TEST(CommandLine, TakesTheKeywordInAnyCase) {
  std::string_view arguments = "from: \t<a@b>";
  EXPECT_TRUE(take_keyword(arguments, "FROM:"));
  EXPECT_EQ(arguments, "<a@b>");
  for (std::string_view bad : {"", "FROM", "FROM:", "FROM: ", "FROM :<a>", "TO:<a>"})
    EXPECT_FALSE(take_keyword(bad, "FROM:")) << bad;
}

TEST(CommandLine, SeesWhatIsNoSmtp) {
  for (const char* header : {"Host:", "a:b", "x\"y:"})
    EXPECT_TRUE(is_header_name(header)) << header;
  for (const char* other : {"GET", ":", "HELP", "a", "A\x01:", "A\xE4:"})
    EXPECT_FALSE(is_header_name(other)) << other;
}

TEST(MailParameters, AreSizeAndBody) {
  MailOptions options;
  EXPECT_EQ(parse_mail_parameters("", {}, options).kind, Kind::none);
  EXPECT_EQ(parse_mail_parameters("size=5 Body=8bitMIME AUTH=<>", {}, options).kind, Kind::none);
  EXPECT_EQ(options.size, 5U);
  EXPECT_TRUE(options.eight_bit);
  EXPECT_EQ(parse_mail_parameters("SIZE=1 SIZE=9223372036854775807\tBODY=7BIT", {}, options).kind,
            Kind::none);
  EXPECT_EQ(options.size, 9223372036854775807U);
  EXPECT_FALSE(options.eight_bit);
}

Kind mail_fault(std::string_view text, const ParameterRules& rules = {}) {
  MailOptions options;
  return parse_mail_parameters(text, rules, options).kind;
}

TEST(MailParameters, AreRefusedByName) {
  for (const char* bad : {"SIZE=", "SIZE=x", "SIZE=-1", "SIZE=+1", "SIZE=0x10", "SIZE=1x"})
    EXPECT_EQ(mail_fault(bad), Kind::bad_size) << bad;
  for (const char* big :
       {"SIZE=9223372036854775808", "SIZE=18446744073709551616", "SIZE=99999999999999999999999999"})
    EXPECT_EQ(mail_fault(big), Kind::size_overflow) << big;
  for (const char* unknown :
       {"SIZE", "BODY", "BODY=", "BODY=X", "BODY=BINARYMIME", "SMTPUTF8", "=", "A=", "\"="})
    EXPECT_EQ(mail_fault(unknown), Kind::unsupported) << unknown;
  MailOptions options;
  EXPECT_EQ(parse_mail_parameters("SIZE=1 X=2 Y=3", {}, options).word, "X=2");
  EXPECT_EQ(mail_fault("AUTH=a AUTH=<>"), Kind::second_auth);
  EXPECT_EQ(mail_fault("AUTH=<> AUTH=a"), Kind::none);
}

TEST(MailParameters, OfDsnAreChecked) {
  MailOptions options;
  EXPECT_EQ(parse_mail_parameters("ret=hdrs EnvId=QQ+2B3", {}, options).kind, Kind::none);
  EXPECT_EQ(options.dsn_return, mail::DsnReturn::headers);
  EXPECT_EQ(options.envelope_id, "QQ+2B3");
  for (const char* bad : {"RET=", "RET=ALL", "RET=FULL RET=FULL"})
    EXPECT_EQ(mail_fault(bad), Kind::bad_ret) << bad;
  const std::string long_id = "ENVID=" + std::string(101, 'x');
  for (const std::string& bad :
       {std::string("ENVID="), std::string("ENVID=a+0Ab"), std::string("ENVID=x+00"),
        std::string("ENVID=a+"), std::string("ENVID=a+4"), std::string("ENVID=+GG"),
        std::string("ENVID=+E4"), std::string("ENVID=\xE4"), std::string("ENVID=a ENVID=a"),
        long_id})
    EXPECT_EQ(mail_fault(bad), Kind::bad_envid) << bad;
  EXPECT_EQ(mail_fault("ENVID=" + std::string(100, 'x')), Kind::none);
  EXPECT_EQ(mail_fault("RET=FULL", {.dsn = false}), Kind::dsn_disabled);
  EXPECT_EQ(mail_fault("ENVID=x", {.dsn = false}), Kind::dsn_disabled);
}

TEST(MailParameters, Smtputf8IsTakenWhereItIsOffered) {
  MailOptions options;
  EXPECT_EQ(parse_mail_parameters("smtputf8", {.smtputf8 = true}, options).kind, Kind::none);
  EXPECT_TRUE(options.smtputf8);
  EXPECT_TRUE(asks_smtputf8("FROM:<x> SIZE=1 SmtpUtf8"));
  EXPECT_FALSE(asks_smtputf8("FROM:<SMTPUTF8>"));
}

Kind rcpt_fault(std::string_view text) {
  mail::RecipientDsn dsn;
  return parse_rcpt_parameters(text, {}, dsn).kind;
}

TEST(RcptParameters, AreThoseOfDsn) {
  mail::RecipientDsn dsn;
  EXPECT_EQ(parse_rcpt_parameters("NOTIFY=delay,Success ORCPT=rfc822;a+2Bb@c", {}, dsn).kind,
            Kind::none);
  EXPECT_EQ(dsn.notify, mail::notify_delay | mail::notify_success);
  EXPECT_EQ(dsn.original, "rfc822;a+2Bb@c");
  for (const char* bad : {"NOTIFY=", "NOTIFY=X", "NOTIFY=NEVER,DELAY", "NOTIFY=DELAY,",
                          "NOTIFY=,DELAY", "NOTIFY=DELAY NOTIFY=DELAY"})
    EXPECT_EQ(rcpt_fault(bad), Kind::bad_notify) << bad;
  const std::string long_one = "ORCPT=rfc822;" + std::string(494, 'x');
  for (const std::string& bad :
       {std::string("ORCPT="), std::string("ORCPT=rfc822"), std::string("ORCPT=;x"),
        std::string("ORCPT=rfc822;"), std::string("ORCPT=rfc822;a+0D+0Ab"),
        std::string("ORCPT=rfc822;a+00"), std::string("ORCPT=rfc822;\xE4"),
        std::string("ORCPT=rf c;x"), std::string("ORCPT=utf-8;\\x{0A}"),
        std::string("ORCPT=utf-8;\\x{}"), std::string("ORCPT=a;b ORCPT=a;b"), long_one})
    EXPECT_EQ(rcpt_fault(bad), Kind::bad_orcpt) << bad;
  EXPECT_EQ(rcpt_fault("ORCPT=utf-8;\\x{4E8C}\xC3\xA4@c"), Kind::none);
  EXPECT_EQ(rcpt_fault("ORCPT=rfc822;" + std::string(493, 'x')), Kind::none);
  EXPECT_EQ(rcpt_fault("X"), Kind::unsupported);
  mail::RecipientDsn unused;
  EXPECT_EQ(parse_rcpt_parameters("NOTIFY=NEVER", {.dsn = false}, unused).kind, Kind::dsn_disabled);
}

TEST(Chunk, IsACountAndPerhapsTheLast) {
  const auto chunk = parse_chunk("10 last");
  ASSERT_TRUE(chunk.has_value());
  EXPECT_EQ(chunk->bytes, 10U);
  EXPECT_TRUE(chunk->last);
  EXPECT_TRUE(parse_chunk("0").has_value());
  EXPECT_FALSE(parse_chunk("7")->last);
  for (const char* bad : {"", "x", "-1", "+1", "0x10", "1x", "18446744073709551616",
                          "9223372036854775808", "5 LAST x", "5 LASTX", "LAST", "5,LAST", "5 5"})
    EXPECT_FALSE(parse_chunk(bad).has_value()) << bad;
}

}  // namespace
}  // namespace mx::smtp
