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
  for (const char* foreign :
       {"GET", "post", "Connect", "Host:", "a:b", ":", "1", "-", "*", "{", "\x16\x03", "x\"y:"})
    EXPECT_TRUE(is_not_smtp(foreign)) << foreign;
  for (const char* unknown : {"HELP", "EXPN", "GETX", "a", "A\x01:", "A\xE4:"})
    EXPECT_FALSE(is_not_smtp(unknown)) << unknown;
}

TEST(MailParameters, AreSizeAndBody) {
  MailParameters parameters;
  EXPECT_EQ(parse_mail_parameters("", parameters).kind, Kind::none);
  EXPECT_EQ(parse_mail_parameters("size=5 Body=8bitMIME AUTH=<>", parameters).kind, Kind::none);
  EXPECT_EQ(parameters.size, 5U);
  EXPECT_TRUE(parameters.eight_bit);
  EXPECT_EQ(parse_mail_parameters("SIZE=1 SIZE=9223372036854775807\tBODY=7BIT", parameters).kind,
            Kind::none);
  EXPECT_EQ(parameters.size, 9223372036854775807U);
  EXPECT_FALSE(parameters.eight_bit);
}

TEST(MailParameters, AreRefusedByName) {
  const auto kind = [](std::string_view text) {
    MailParameters parameters;
    return parse_mail_parameters(text, parameters).kind;
  };
  for (const char* bad : {"SIZE=", "SIZE=x", "SIZE=-1", "SIZE=+1", "SIZE=0x10", "SIZE=1x"})
    EXPECT_EQ(kind(bad), Kind::bad_size) << bad;
  for (const char* big :
       {"SIZE=9223372036854775808", "SIZE=18446744073709551616", "SIZE=99999999999999999999999999"})
    EXPECT_EQ(kind(big), Kind::size_overflow) << big;
  for (const char* dsn : {"RET=FULL", "ENVID=x", "envid=a+0Ab"})
    EXPECT_EQ(kind(dsn), Kind::dsn_disabled) << dsn;
  for (const char* unknown :
       {"SIZE", "BODY", "BODY=", "BODY=X", "BODY=BINARYMIME", "SMTPUTF8", "=", "A=", "\"="})
    EXPECT_EQ(kind(unknown), Kind::unsupported) << unknown;
  MailParameters parameters;
  EXPECT_EQ(parse_mail_parameters("SIZE=1 X=2 Y=3", parameters).word, "X=2");
}

TEST(RcptParameters, ThereAreNone) {
  EXPECT_EQ(parse_rcpt_parameters("").kind, Kind::none);
  EXPECT_EQ(parse_rcpt_parameters("NOTIFY=NEVER").kind, Kind::dsn_disabled);
  EXPECT_EQ(parse_rcpt_parameters("ORCPT=rfc822;x").kind, Kind::dsn_disabled);
  EXPECT_EQ(parse_rcpt_parameters("X").kind, Kind::unsupported);
}

}  // namespace
}  // namespace mx::smtp
