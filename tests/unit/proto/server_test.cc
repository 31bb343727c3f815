// What the scenarios (tests/scenario) cannot say: the machine's own contract with its owner.
#include "proto/smtp/server.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mx::smtp {
namespace {

Verdict refusal(uint16_t code, EnhancedCode enhanced, std::string_view text) {
  Verdict verdict;
  verdict.kind = Verdict::Kind::refuse;
  verdict.code = code;
  verdict.enhanced = enhanced;
  EXPECT_TRUE(verdict.text.assign(text));
  return verdict;
}

// A machine with the connection accepted, and its replies.
class ServerTest : public testing::Test {
 protected:
  void connect() {
    server.set_client("host.example", "192.0.2.1");
    server.connected(false);
    permit(Stage::connect);
    EXPECT_EQ(said(), "220 localhost ESMTP ringmx\r\n");
  }
  void permit(Stage stage) {
    ASSERT_EQ(server.need(), Need::verdict);
    EXPECT_EQ(server.question().stage, stage);
    server.answer(Verdict::permit());
  }
  void line(std::string_view text) {
    const std::string bytes = std::string(text) + "\r\n";
    ASSERT_EQ(server.need(), Need::input);
    ASSERT_EQ(server.feed(bytes), bytes.size());
  }
  std::string said() {
    std::string text(server.out().text());
    server.out().clear();
    return text;
  }
  void to_body() {
    line("MAIL FROM:<a@b>");
    permit(Stage::mail);
    line("RCPT TO:<c@d>");
    permit(Stage::rcpt);
    line("DATA");
    permit(Stage::data);
    ASSERT_EQ(server.need(), Need::body);
    said();
  }

  ServerSettings settings;
  Server server{settings};
};

TEST_F(ServerTest, TakesOneLineAndStopsAtAQuestion) {
  connect();
  const std::string_view two = "MAIL FROM:<A@b> SIZE=7 BODY=8BITMIME\r\nRCPT TO:<c@d>\r\n";
  settings.forbid_unauth_pipelining = false;
  EXPECT_EQ(server.feed(two), 38U);
  ASSERT_EQ(server.need(), Need::verdict);
  EXPECT_EQ(server.question().argument, "A@b");
  EXPECT_EQ(server.question().declared_size, 7U);
  EXPECT_FALSE(server.transaction().started());
  EXPECT_EQ(said(), "");
  permit(Stage::mail);
  EXPECT_TRUE(server.transaction().started());
  EXPECT_EQ(server.transaction().sender(), "A@b");
  EXPECT_EQ(server.transaction().options().size, 7U);
  EXPECT_TRUE(server.transaction().options().eight_bit);
  EXPECT_TRUE(server.pipelining_abuse());
}

TEST_F(ServerTest, KeepsTheTransactionUntilTheCommit) {
  connect();
  to_body();
  EXPECT_EQ(server.current_verb(), "DATA");
  server.body_ended({});
  EXPECT_EQ(server.current_verb(), "END-OF-MESSAGE");
  permit(Stage::end_of_data);
  ASSERT_EQ(server.need(), Need::durable);
  EXPECT_EQ(said(), "");
  EXPECT_EQ(server.transaction().recipient_count(), 1U);
  server.committed("4ZxQ1");
  EXPECT_EQ(said(), "250 2.0.0 Ok: queued as 4ZxQ1\r\n");
  EXPECT_FALSE(server.transaction().started());
  EXPECT_EQ(server.need(), Need::input);
}

TEST_F(ServerTest, CountsCommandsAsPostfixDoes) {
  connect();
  line("EHLO x");
  permit(Stage::helo);
  line("FOO");
  line("MAIL FROM:<a@b>");
  server.answer(refusal(450, {4, 7, 1}, "no"));
  to_body();
  server.body_ended({});
  permit(Stage::end_of_data);
  server.not_committed(CommitFailure::write_error);
  line("");
  line("QUIT");
  const CommandCounts& counts = server.counts();
  EXPECT_EQ(counts.ehlo[0], 1U);
  EXPECT_EQ(counts.unknown[0], 0U);
  EXPECT_EQ(counts.unknown[1], 1U);
  EXPECT_EQ(counts.mail[0], 1U);
  EXPECT_EQ(counts.mail[1], 2U);
  EXPECT_EQ(counts.data[0], 0U);
  EXPECT_EQ(counts.data[1], 1U);
  EXPECT_EQ(counts.quit[0], 1U);
}

TEST_F(ServerTest, FactsOfTheBodyDecideBeforePolicy) {
  const std::vector<std::pair<BodyFacts, std::string>> rows = {
      {{.failed = true}, "451 4.3.0 Error: queue file write error\r\n"},
      {{.no_space = true}, "452 4.3.1 Insufficient system storage\r\n"},
      {{.too_big = true}, "552 5.3.4 Error: message file too big\r\n"},
      {{.too_many_hops = true}, "554 5.4.0 Error: too many hops\r\n"},
  };
  connect();
  for (const auto& [facts, reply] : rows) {
    to_body();
    server.body_ended(facts);
    EXPECT_EQ(said(), reply);
    EXPECT_EQ(server.need(), Need::input);
    EXPECT_EQ(server.transaction().recipient_count(), 0U);
  }
  to_body();
  server.body_ended({.bare_newline = true});
  EXPECT_EQ(said(), "550 5.5.2 localhost Error: bare <LF> received\r\n");
  EXPECT_EQ(server.need(), Need::close);
}

// What the next hop does not take is neither offered nor accepted, until it does.
TEST_F(ServerTest, OffersNoMoreThanTheNextHopTakes) {
  settings.smtputf8 = true;
  settings.message_size_limit = 500;
  connect();
  const auto offers = [&](Onward onward) {
    line("EHLO x");
    server.set_onward(onward);
    permit(Stage::helo);
    return said();
  };
  const std::string less = offers({.no_smtputf8 = true, .size_limit = 100});
  EXPECT_NE(less.find("250-SIZE 100\r\n"), std::string::npos);
  EXPECT_EQ(less.find("SMTPUTF8"), std::string::npos);
  line("MAIL FROM:<a@b> SMTPUTF8");
  EXPECT_EQ(said().substr(0, 4), "555 ");
  line("MAIL FROM:<a@b> SIZE=101");
  EXPECT_EQ(said(), "552 5.3.4 Message size exceeds fixed limit\r\n");
  line("MAIL FROM:<a@b> SIZE=100");
  permit(Stage::mail);
  line("RCPT TO:<c@d>");
  permit(Stage::rcpt);
  said();
  line("BDAT 101 LAST");
  permit(Stage::data);
  ASSERT_EQ(server.feed(std::string(101, 'x')), 101U);
  EXPECT_EQ(said().substr(0, 9), "552 5.3.4");
  const std::string all = offers({});
  EXPECT_NE(all.find("250-SIZE 500\r\n"), std::string::npos);
  EXPECT_NE(all.find("SMTPUTF8"), std::string::npos);
  EXPECT_NE(offers({.no_smtputf8 = false, .size_limit = 900}).find("250-SIZE 500\r\n"),
            std::string::npos);
  settings.message_size_limit = 0;
  EXPECT_NE(offers({.no_smtputf8 = false, .size_limit = 900}).find("250-SIZE 900\r\n"),
            std::string::npos);
}

TEST_F(ServerTest, AbortsInEveryState) {
  const auto abort = [](Server& machine) {
    machine.out().clear();
    machine.abort({4, 4, 2}, "Error: timeout exceeded");
    EXPECT_EQ(machine.out().text(), "421 4.4.2 localhost Error: timeout exceeded\r\n");
    EXPECT_EQ(machine.need(), Need::close);
    machine.abort({4, 3, 2}, "again");
    EXPECT_EQ(machine.out().size(), 45U);
  };
  Server asked(settings);
  asked.connected(false);
  abort(asked);
  connect();
  to_body();
  abort(server);
}

TEST_F(ServerTest, HeloNameIsHarmless) {
  connect();
  line("HELO a b(\"c\\\x1B\xE4<>@;d");
  ASSERT_EQ(server.need(), Need::verdict);
  EXPECT_EQ(server.question().argument, "a?b??c???????d");
  EXPECT_EQ(server.helo(), "");
  permit(Stage::helo);
  EXPECT_EQ(server.helo(), "a?b??c???????d");
  EXPECT_FALSE(server.esmtp());
}

TEST_F(ServerTest, RefusedHeloLeavesTheOldOne) {
  connect();
  line("EHLO one");
  permit(Stage::helo);
  line("HELO two");
  server.answer(refusal(501, {5, 5, 2}, "<two>: Helo command rejected: Invalid name"));
  EXPECT_EQ(server.helo(), "one");
  line("HELO three");
  permit(Stage::helo);
  EXPECT_EQ(server.helo(), "three");
  EXPECT_TRUE(server.esmtp());
}

TEST_F(ServerTest, RepliesAreBoundedLines) {
  connect();
  line("EHLO x");
  permit(Stage::helo);
  said();
  line("MAIL FROM:<a@b> X=" + std::string(2000, '\xE4'));
  const std::string reply = said();
  EXPECT_EQ(reply.size(), limits::reply_line_bytes_max);
  EXPECT_TRUE(reply.starts_with("555 5.5.4 Unsupported option: X=???"));
  EXPECT_TRUE(reply.ends_with("?\r\n"));
  line("MAIL FROM:<a@b>");
  server.answer(refusal(550, {4, 7, 1}, "a\r\n250 b\x01"));
  EXPECT_EQ(said(), "550 5.7.1 a??250 b?\r\n");
  line("MAIL FROM:<a@b>");
  server.answer(refusal(250, {2, 0, 0}, "sure"));
  EXPECT_EQ(said(), "450 4.7.1 Service unavailable\r\n");
  line("MAIL FROM:<a@b>");
  server.answer(refusal(599, {}, "bare"));
  EXPECT_EQ(said(), "599 bare\r\n");
}

TEST_F(ServerTest, LineLimitIsExactWhateverTheLineEnd) {
  connect();
  for (const std::string_view end : {"\n", "\r\n"}) {
    for (const size_t length : {2047U, 2048U, 2049U}) {
      std::string bytes = "NOOP " + std::string(length - 5, 'x') + std::string(end);
      for (const size_t cut : {size_t{1}, length - 1, length, length + 1, bytes.size()}) {
        for (std::string_view piece :
             {std::string_view(bytes).substr(0, cut),
              std::string_view(bytes).substr(std::min(cut, bytes.size()))}) {
          if (piece.empty()) continue;
          ASSERT_EQ(server.feed(piece), piece.size());
        }
        EXPECT_EQ(said(), length <= 2048 ? "250 2.0.0 Ok\r\n"
                                         : "500 5.5.2 localhost Error: command too long\r\n");
      }
    }
    // Clear the counters.
    to_body();
    server.body_ended({});
    permit(Stage::end_of_data);
    server.committed("1");
    said();
  }
}

TEST_F(ServerTest, EndlessLineIsGivenUpAtTheLimitInEveryCut) {
  for (const size_t piece : {size_t{1} << 20, size_t{4096}, size_t{1000}, size_t{7}}) {
    Server machine(settings);
    machine.connected(false);
    machine.answer(Verdict::permit());
    const std::string bytes(piece, 'x');
    size_t sent = 0;
    while (machine.need() == Need::input) sent += machine.feed(bytes);
    EXPECT_GT(sent, limits::command_discard_bytes_max);
    EXPECT_LE(sent, limits::command_discard_bytes_max + piece);
  }
}

// The classes of notify_classes, as Postfix's smtpd has them.
TEST_F(ServerTest, ErrorsHaveClasses) {
  settings.helo_required = true;
  connect();
  EXPECT_EQ(server.error_classes(), 0);
  line("MAIL FROM:<a@b>");  // 503: HELO is missing
  EXPECT_EQ(server.error_classes(), error_policy);
  line("EHLO c");
  permit(Stage::helo);
  line("MAIL FROM:<a@b>");
  permit(Stage::mail);
  line("DATA");  // 554: who pipelines can't know; 503 without MAIL is an error of protocol
  line("RCPT TO:<c@d>");
  permit(Stage::rcpt);
  EXPECT_EQ(server.error_classes(), error_policy);
  line("RCPT TO:<c@d>");
  Verdict unknown = refusal(550, {5, 1, 1}, "User unknown");
  unknown.error_class = error_bounce;
  server.answer(unknown);
  EXPECT_EQ(server.error_classes(), error_policy | error_bounce);
  line("FOO");
  EXPECT_EQ(server.error_classes(), error_policy | error_bounce | error_protocol);
  line("DATA");
  permit(Stage::data);
  server.body_ended({});
  permit(Stage::end_of_data);
  server.not_committed(CommitFailure::no_space);
  EXPECT_EQ(server.error_classes(), error_policy | error_bounce | error_protocol | error_resource);
  // A message that is taken makes up for all of them.
  to_body();
  server.body_ended({});
  permit(Stage::end_of_data);
  server.committed("1");
  EXPECT_EQ(server.error_classes(), 0);
  to_body();
  BodyFacts facts;
  facts.too_big = true;
  server.body_ended(facts);
  EXPECT_EQ(server.error_classes(), error_bounce);
  said();
  server.abort({4, 3, 0}, "Server local data error");
  EXPECT_EQ(server.error_classes(), error_bounce | error_data);
}

TEST_F(ServerTest, TooManyErrorsAreOneOfProtocol) {
  settings.hard_error_limit = 2;
  settings.soft_error_limit = 10;
  connect();
  line("MAIL FROM:<a@b>");
  server.answer(refusal(450, {4, 7, 1}, "later"));
  EXPECT_FALSE(server.too_many_errors());
  line("MAIL FROM:<a@b>");
  server.answer(refusal(450, {4, 7, 1}, "later"));
  EXPECT_TRUE(server.too_many_errors());
  EXPECT_EQ(server.error_classes(), error_policy | error_protocol);
  EXPECT_EQ(server.need(), Need::close);
}

}  // namespace
}  // namespace mx::smtp
