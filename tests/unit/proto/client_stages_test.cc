// Every class of reply at every stage of the client's dialogue, with and without pipelining, and
// with the replies cut in several ways, against a server that otherwise does its part.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "proto/smtp/client.h"
#include "tests/unit/proto/client_talk.h"

namespace mx::smtp {
namespace {

// Answers commands as a server does, except for one that is set by the test. "EOF" and "TIMEOUT"
// end it.
struct FakeServer {
  bool pipelining = false;
  bool data_without_recipients = false;        // 354 although no recipient was accepted
  std::map<std::string, std::string> replies;  // by command; "." is the end of data
  bool mail = false;
  int recipients = 0;

  std::string reply_to(const std::string& command) {
    std::string usual = "250 ok\r\n";
    if (command == "220") usual = "220 mx\r\n";
    if (command == "EHLO" && pipelining) usual = "250-mx\r\n250 PIPELINING\r\n";
    if (command == "QUIT") usual = "221 bye\r\n";
    if (command == "DATA") usual = "354 go\r\n";
    if (command == "RCPT" && !mail) return "503 5.5.1 need MAIL\r\n";
    if (command == "DATA" && recipients == 0 && !data_without_recipients)
      return "503 5.5.1 need RCPT\r\n";
    if (command == "." && recipients == 0) return "250 2.0.0 queued for nobody\r\n";
    const auto set = replies.find(command);
    std::string reply = set == replies.end() ? usual : set->second;
    if (command == "MAIL") mail = reply[0] == '2';
    if (command == "MAIL" || command == "RSET" || command == "EHLO") recipients = 0;
    if (command == "RCPT" && reply[0] == '2') ++recipients;
    return reply;
  }
};

enum class Cutting { whole, each_reply, each_byte };

// Runs `messages` deliveries and quits; returns what happened: needs, and outcomes of each message.
std::string play(FakeServer server, Cutting cutting, int messages = 1,
                 std::string* sent = nullptr) {
  Talk talk;
  std::string seen;
  std::string line;
  std::string pending = server.reply_to("220");
  while (true) {
    const std::string commands = talk.heard();
    if (sent) *sent += commands;
    std::string ending;
    for (const char c : commands) {
      line += c;
      if (c != '\n') continue;
      pending += server.reply_to(line == ".\r\n" ? "." : line.substr(0, 4));
      line.clear();
    }
    for (const char* end : {"EOF", "TIMEOUT"})
      if (const size_t at = pending.find(end); at != std::string::npos) {
        ending = end;
        pending.resize(at);
      }
    if (cutting == Cutting::whole) {
      talk.say(pending);
    } else {
      for (size_t i = 0, length = 0; i < pending.size(); i += length) {
        length = cutting == Cutting::each_byte
                     ? 1
                     : std::min(pending.find('\n', i), pending.size() - 1) + 1 - i;
        talk.say(std::string_view(pending).substr(i, length));
      }
    }
    pending.clear();
    if (ending == "EOF") talk.client.connection_lost();
    if (ending == "TIMEOUT") talk.client.command_timeout();
    switch (talk.client.need()) {
      case Need::input:
        if (talk.client.out().empty()) return seen + "stuck";
        break;
      case Need::ready:
        if (messages-- > 0) {
          talk.start();
        } else {
          talk.client.quit();
        }
        break;
      case Need::body:
        seen += "body ";
        talk.client.body_sent();
        break;
      case Need::done:
        seen += std::string(name_of(talk.client.recipient_outcome(0).result)) + " ";
        talk.client.finish();
        break;
      case Need::closed:
        if (talk.client.attempted()) {
          seen += "lost: " + std::string(name_of(talk.client.recipient_outcome(0).result));
        } else {
          const Outcome& outcome = talk.client.session_outcome();
          seen += outcome.text.empty() ? "quit" : std::string("closed: ") + name_of(outcome.result);
        }
        return seen;
    }
  }
}

struct Row {
  const char* command;
  const char* expected[9];  // for: 2xx, 3xx, 4xx, 5xx, 421, malformed, mixed codes, EOF, TIMEOUT
};
constexpr const char* reply_classes[9] = {"250 2.0.0 ok\r\n",
                                          "354 go\r\n",
                                          "450 4.2.0 later\r\n",
                                          "550 5.7.1 no\r\n",
                                          "421 4.3.2 bye\r\n",
                                          "what?\r\n",
                                          "25EOF",
                                          "250-a\r\n550 b\r\n",
                                          "TIMEOUT"};

TEST(Client, every_reply_class_at_every_stage) {
  constexpr const char* all = "body sent quit";
  constexpr const char* deferred = "closed: deferred";
  constexpr const char* lost = "lost: deferred";
  constexpr const char* unknown = "body lost: unknown";
  constexpr Row rows[] = {
      {"220",
       {all, deferred, deferred, deferred, deferred, deferred, deferred, deferred, deferred}},
      {"EHLO", {all, deferred, all, all, deferred, deferred, deferred, deferred, deferred}},
      {"HELO",
       {all, deferred, deferred, "closed: refused", deferred, deferred, deferred, deferred,
        deferred}},
      {"MAIL", {all, lost, "deferred quit", "refused quit", lost, lost, lost, lost, lost}},
      {"RCPT", {all, lost, "deferred quit", "refused quit", lost, lost, lost, lost, lost}},
      {"DATA", {lost, all, "deferred quit", "refused quit", lost, lost, lost, lost, lost}},
      {".",
       {all, unknown, "body deferred quit", "body refused quit", "body lost: deferred", unknown,
        unknown, unknown, unknown}},
      {"QUIT", {all, all, all, all, all, all, all, all, all}},
  };
  for (const Row& row : rows) {
    for (int i = 0; i < 9; ++i) {
      for (const bool pipelining : {false, true}) {
        for (const Cutting cutting : {Cutting::whole, Cutting::each_reply, Cutting::each_byte}) {
          FakeServer server;
          server.pipelining = pipelining;
          if (row.command == std::string_view("HELO")) server.replies["EHLO"] = "502 no\r\n";
          server.replies[row.command] = reply_classes[i];
          EXPECT_EQ(play(server, cutting), row.expected[i])
              << row.command << " answered by " << reply_classes[i]
              << (pipelining ? " pipelined" : "");
        }
      }
    }
  }
}

TEST(Client, rset_comes_before_the_next_message_only_after_one_given_up) {
  for (const bool pipelining : {false, true}) {
    for (const char* refused : {"RCPT", "DATA"}) {
      for (int i = 0; i < 9; ++i) {
        FakeServer server;
        server.pipelining = pipelining;
        server.replies[refused] = "550 no\r\n";
        server.replies["RSET"] = reply_classes[i];
        std::string sent;
        EXPECT_EQ(play(server, Cutting::each_reply, 2, &sent),
                  i == 0 ? "refused refused quit" : "refused lost: deferred");
        EXPECT_NE(sent.find("RSET\r\n"), std::string::npos);
      }
    }
    for (const char* refused : {"MAIL", "."}) {
      FakeServer server;
      server.pipelining = pipelining;
      server.replies[refused] = "550 no\r\n";
      std::string sent;
      play(server, Cutting::whole, 2, &sent);
      EXPECT_EQ(sent.find("RSET\r\n"), std::string::npos);
    }
  }
}

// RFC 2920 3.1: DATA went out before the refusals were known, and the server wants a message.
TEST(Client, data_without_recipients_gets_an_empty_message_and_its_250_is_nothing) {
  for (const char* refused : {"MAIL", "RCPT"}) {
    for (const Cutting cutting : {Cutting::whole, Cutting::each_reply, Cutting::each_byte}) {
      FakeServer server;
      server.pipelining = true;
      server.data_without_recipients = true;
      server.replies[refused] = "550 no\r\n";
      std::string sent;
      EXPECT_EQ(play(server, cutting, 1, &sent), "refused quit");
      EXPECT_NE(sent.find("DATA\r\n.\r\nQUIT\r\n"), std::string::npos) << sent;
    }
  }
}

}  // namespace
}  // namespace mx::smtp
