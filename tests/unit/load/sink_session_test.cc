#include "tools/load/sink_session.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mx::load {
namespace {

struct Seen {
  std::string replies;
  std::vector<std::string> messages;  // "sender|recipient,…|bytes"
  bool closed = false;
};

// Feeds the dialogue in pieces of this size and delivers what comes.
Seen talk(std::string_view in, size_t piece, FaultPlan plan = {}) {
  SinkSession session;
  Seen seen;
  session.keep = SIZE_MAX;
  session.greet(plan);
  while (!in.empty() && session.need() == SinkSession::Need::input) {
    std::string_view part = in.substr(0, piece);
    in.remove_prefix(part.size());
    while (!part.empty() && session.need() == SinkSession::Need::input) {
      part.remove_prefix(session.feed(part, plan));
      if (session.need() != SinkSession::Need::deliver) continue;
      std::string text = session.sender + "|";
      for (const std::string& recipient : session.recipients) text += recipient + ",";
      EXPECT_EQ(session.message.size(), session.message_bytes);
      seen.messages.push_back(text + "|" + session.message);
      session.delivered();
    }
  }
  seen.replies = session.out;
  seen.closed = session.need() == SinkSession::Need::close;
  return seen;
}

std::string codes(std::string_view replies) {
  std::string out;
  while (!replies.empty()) {
    if (replies[3] == ' ') out += std::string(replies.substr(0, 3)) + " ";
    replies.remove_prefix(replies.find('\n') + 1);
  }
  return out;
}

constexpr std::string_view dialogue =
    "EHLO x\r\nMAIL FROM:<a@b> SIZE=5\r\nRCPT TO:<c@d>\r\nRCPT TO:<\"e>\\\"\"@f>\r\nDATA\r\n"
    "Subject: x\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\nRCPT "
    "TO:<g@h>\r\nDATA\r\n.\r\nNOOP\r\nQUIT\r\n";

TEST(SinkSession, TakesTheSameDialogueInPiecesOfAnySize) {
  for (size_t piece = 1; piece <= dialogue.size(); ++piece) {
    const Seen seen = talk(dialogue, piece);
    ASSERT_EQ(seen.messages.size(), 2U) << piece;
    EXPECT_EQ(seen.messages[0], "a@b|c@d,\"e>\\\"\"@f,|Subject: x\r\n\r\n..dot\r\n");
    EXPECT_EQ(seen.messages[1], "|g@h,|");
    EXPECT_EQ(codes(seen.replies), "220 250 250 250 250 354 250 250 250 354 250 250 221 ");
    EXPECT_TRUE(seen.closed);
  }
}

TEST(SinkSession, WantsMailBeforeRcptAndRcptBeforeData) {
  EXPECT_EQ(codes(talk("RCPT TO:<a@b>\r\nMAIL FROM:<a@b>\r\nDATA\r\nBLAH\r\n", 100).replies),
            "220 503 250 503 500 ");
}

TEST(SinkSession, GivesUpOnALineWithoutEnd) {
  EXPECT_TRUE(talk(std::string(70'000, 'x'), 4096).closed);
}

TEST(SinkSession, FailsWhereItIsAsked) {
  const auto with = [](SinkStage stage, int code) {
    return talk(dialogue, 1000, FaultPlan{.faults = {{stage, code, 100}}});
  };
  EXPECT_EQ(codes(with(SinkStage::connect, 554).replies).substr(0, 4), "554 ");
  EXPECT_EQ(codes(with(SinkStage::dot, 451).replies).substr(24, 4), "451 ");
  EXPECT_TRUE(with(SinkStage::dot, 451).messages.empty());
  EXPECT_TRUE(with(SinkStage::mail, 0).closed);
  EXPECT_EQ(codes(with(SinkStage::mail, 421).replies), "220 250 421 ");
}

TEST(Fault, IsReadFromText) {
  const auto fault = parse_fault("rcpt:450:30");
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->stage, SinkStage::rcpt);
  EXPECT_EQ(fault->code, 450);
  EXPECT_EQ(fault->percent, 30U);
  EXPECT_EQ(parse_fault("dot:drop")->code, 0);
  EXPECT_EQ(parse_fault("dot:drop")->percent, 100U);
  for (const char* bad : {"", "dot", "quit:450", "dot:45", "dot:600", "dot:450:101", "dot:450:1:2",
                          "dot:x", "dot:450:"})
    EXPECT_EQ(parse_fault(bad).has_value(), std::string_view(bad) == "dot:450:") << bad;
}

}  // namespace
}  // namespace mx::load
