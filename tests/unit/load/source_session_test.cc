#include "tools/load/source_session.h"

#include <gtest/gtest.h>

#include <string>

namespace mx::load {
namespace {

using Stage = SourceSession::Stage;

class SourceSessionTest : public testing::Test {
 protected:
  SourceSessionTest() {
    dialogue_.ehlo = "EHLO x\r\n";
    dialogue_.mail = "MAIL FROM:<a@b>\r\n";
    dialogue_.recipient = "c@d";
    dialogue_.keep_connection = true;
    session_.stage = Stage::greeting;
  }
  // A reply line; what is sent in answer.
  std::string reply(int code, bool last = true, std::string_view text = "") {
    session_.out.clear();
    session_.with_body = false;
    ended_ = Ended::no;
    good_ = session_.take(dialogue_, {code, last, text}, ended_);
    if (session_.wants_message) session_.begin(dialogue_);
    return session_.out;
  }
  std::string greet(bool offers_pipelining) {
    EXPECT_EQ(reply(220), "EHLO x\r\n");
    if (offers_pipelining) reply(250, false, "PIPELINING");
    return reply(250);
  }

  Dialogue dialogue_;
  SourceSession session_;
  Ended ended_ = Ended::no;
  bool good_ = false;
};

TEST_F(SourceSessionTest, SendsOneCommandAfterAnother) {
  dialogue_.recipients = 2;
  EXPECT_EQ(greet(true), "MAIL FROM:<a@b>\r\n");
  EXPECT_EQ(reply(250), "RCPT TO:<1c@d>\r\n");
  EXPECT_EQ(reply(250), "RCPT TO:<2c@d>\r\n");
  EXPECT_EQ(reply(550), "DATA\r\n");
  session_.header = "H: h\r\n\r\n";
  EXPECT_EQ(reply(354), "H: h\r\n\r\n");
  EXPECT_TRUE(session_.with_body);
  EXPECT_EQ(reply(250), "MAIL FROM:<a@b>\r\n");
  EXPECT_EQ(ended_, Ended::accepted);
}

TEST_F(SourceSessionTest, RecipientsTakeTurnsInDomains) {
  dialogue_.recipients = 2;
  dialogue_.domains = 3;
  session_.message = 4;
  greet(false);
  EXPECT_EQ(reply(250), "RCPT TO:<1c@d2.d>\r\n");
  EXPECT_EQ(reply(250), "RCPT TO:<2c@d0.d>\r\n");
}

TEST_F(SourceSessionTest, PipelinesWhenOfferedAndAsked) {
  dialogue_.pipeline = true;
  EXPECT_EQ(greet(true), "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
  EXPECT_EQ(reply(250), "");
  EXPECT_EQ(reply(250), "");
  reply(354);
  EXPECT_TRUE(session_.with_body);
  reply(250);
  EXPECT_EQ(ended_, Ended::accepted);
}

TEST_F(SourceSessionTest, DoesNotPipelineUnasked) {
  dialogue_.pipeline = true;
  EXPECT_EQ(greet(false), "MAIL FROM:<a@b>\r\n");
}

TEST_F(SourceSessionTest, ResetsAfterARefusal) {
  greet(false);
  EXPECT_EQ(reply(451), "RSET\r\n");
  EXPECT_EQ(ended_, Ended::refused);
  EXPECT_EQ(reply(250), "MAIL FROM:<a@b>\r\n");
  EXPECT_EQ(ended_, Ended::no);
  reply(250);
  EXPECT_EQ(reply(550), "RSET\r\n");
  reply(250);
  reply(250);
  EXPECT_EQ(reply(250), "DATA\r\n");
  EXPECT_EQ(reply(451), "RSET\r\n");
  EXPECT_EQ(ended_, Ended::refused);
}

TEST_F(SourceSessionTest, EndsAPipelinedRefusalWithAllItsReplies) {
  dialogue_.pipeline = true;
  greet(true);
  EXPECT_EQ(reply(451), "");
  EXPECT_EQ(reply(503), "");
  EXPECT_EQ(reply(503), "RSET\r\n");
  EXPECT_EQ(ended_, Ended::refused);
  reply(250);
  EXPECT_EQ(reply(250), "");
  EXPECT_EQ(reply(550), "");
  EXPECT_EQ(reply(354), ".\r\n");  // DATA was taken without a recipient
  EXPECT_FALSE(session_.with_body);
  reply(250);
  EXPECT_EQ(ended_, Ended::refused);
}

TEST_F(SourceSessionTest, QuitsAfterAMessageWhenEachHasAConnection) {
  dialogue_.keep_connection = false;
  greet(false);
  reply(250);
  reply(250);
  reply(354);
  EXPECT_EQ(reply(250), "QUIT\r\n");
  EXPECT_EQ(ended_, Ended::accepted);
  reply(221);
  EXPECT_EQ(session_.stage, Stage::closed);
}

TEST_F(SourceSessionTest, FailsOnWhatIsNoReply) {
  greet(false);
  reply(0);
  EXPECT_FALSE(good_);
  reply(421);
  EXPECT_FALSE(good_);
}

TEST(ReplyLines, ComeOutWholeHoweverTheyCome) {
  constexpr std::string_view bytes = "220 a\r\n250-b\r\n250 c d\r\n354\r\n25x y\r\n99\r\n\r\n";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    ReplyLines lines;
    ReplyLine line;
    std::string seen;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      const std::string_view part = bytes.substr(at, piece);
      std::memcpy(lines.room().data(), part.data(), part.size());
      lines.received(part.size());
      while (lines.next(line))
        seen += std::to_string(line.code) + (line.last ? "." : "-") + std::string(line.text) + ";";
      lines.compact();
    }
    EXPECT_EQ(seen, "220.a;250-b;250.c d;354.;0.y;0.;0.;") << piece;
  }
}

TEST(ReplyLines, HaveNoRoomForALineThatIsTooLong) {
  ReplyLines lines;
  ReplyLine line;
  std::memset(lines.room().data(), '2', lines.room().size());
  lines.received(lines.room().size());
  EXPECT_FALSE(lines.next(line));
  lines.compact();
  EXPECT_TRUE(lines.room().empty());
}

}  // namespace
}  // namespace mx::load
