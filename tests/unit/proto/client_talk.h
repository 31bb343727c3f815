// tests/unit/proto/client_talk.h - a client machine and the owner's part of its dialogue, for the
// tests of the client: what the server says and what the client is heard to say, as text.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/smtp/client.h"

namespace mx::smtp {

using Need = Client::Need;

inline const char* name_of(Result result) {
  static const char* const names[] = {"sent", "deferred", "refused", "unknown"};
  return names[static_cast<size_t>(result)];
}
inline std::string name_of(EnhancedCode code) {
  return std::to_string(code.status) + "." + std::to_string(code.subject) + "." +
         std::to_string(code.detail);
}
inline std::string name_of(const Outcome& outcome) {
  return std::string(name_of(outcome.result)) + " " + std::to_string(outcome.code) + " " +
         name_of(outcome.enhanced) + " " + std::string(outcome.text.view());
}

// A client and the owner's part of the dialogue, spoken line by line by the test.
struct Talk {
  std::string sent;
  ClientSettings settings;
  Client client{settings};
  std::vector<std::string_view> recipients{"r@example.com"};

  // What the client wants to say is always sent before the server speaks.
  void say(std::string_view bytes) {
    send();
    client.feed(bytes);
  }
  std::string heard() {
    send();
    return std::exchange(sent, {});
  }
  void send() {
    sent += client.out().text();
    client.out().clear();
  }
  // Greeting and EHLO with these keyword lines.
  void connect(std::initializer_list<std::string_view> keywords = {}) {
    say("220 mx.example.com ESMTP\r\n");
    EXPECT_EQ(heard(), "EHLO localhost\r\n");
    std::string reply = "250-mx.example.com\r\n";
    for (const std::string_view keyword : keywords) reply += "250-" + std::string(keyword) + "\r\n";
    say(reply + "250 HELP\r\n");
    EXPECT_EQ(client.need(), Need::ready);
  }
  void start(std::string_view sender = "s@example.org", uint64_t size = 100,
             bool eight_bit = false) {
    Delivery delivery;
    delivery.sender = sender;
    delivery.recipients = recipients.data();
    delivery.recipient_count = static_cast<uint32_t>(recipients.size());
    delivery.size = size;
    delivery.eight_bit = eight_bit;
    client.start(delivery);
  }
  std::string outcome(uint32_t i = 0) { return name_of(client.recipient_outcome(i)); }
};

}  // namespace mx::smtp
