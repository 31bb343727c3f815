// The client machine against a server that may say anything. The first byte chooses how many
// recipients and messages there are. Fed line by line and byte by byte the outcome must be the
// same; nothing but whole command lines of ours goes out; texts are printable; a message is sent
// only after its final dot.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/assert.h"
#include "proto/base/text.h"
#include "proto/smtp/client.h"

namespace {

using mx::smtp::Client;
using mx::smtp::Outcome;
using mx::smtp::Result;

class Owner {
 public:
  explicit Owner(uint8_t choice)
      : recipients_(1 + (choice & 3), "r@example.com"), messages_left_(choice >> 2 & 3) {
    act();
  }

  void feed(std::string_view in) {
    const bool was_closed = client_.need() == Client::Need::closed;
    MX_ASSERT(client_.feed(in) == (was_closed ? 0 : in.size()));
    act();
  }

  std::string end() {
    client_.connection_lost();
    act();
    MX_ASSERT(client_.need() == Client::Need::closed);
    return seen_;
  }

 private:
  void act() {
    while (true) {
      check_output();
      switch (client_.need()) {
        case Client::Need::input:
          return;
        case Client::Need::ready:
          if (messages_left_-- > 0) {
            start();
            break;
          }
          client_.quit();
          break;
        case Client::Need::body:
          if (!body_read_) {  // the server may speak before the body is sent
            body_read_ = true;
            return;
          }
          client_.body_sent();
          body_sent_ = true;
          break;
        case Client::Need::done:
          record();
          client_.finish();
          break;
        case Client::Need::closed:
          if (!recorded_closed_ && client_.attempted()) record();
          recorded_closed_ = true;
          return;
      }
    }
  }

  void start() {
    mx::smtp::Delivery delivery;
    delivery.sender = "s@example.org";
    delivery.recipients = recipients_.data();
    delivery.recipient_count = static_cast<uint32_t>(recipients_.size());
    delivery.size = 1000;
    body_sent_ = body_read_ = false;
    client_.start(delivery);
  }

  void record() {
    for (uint32_t i = 0; i < recipients_.size(); ++i) {
      const Outcome& outcome = client_.recipient_outcome(i);
      seen_ += static_cast<char>('0' + static_cast<int>(outcome.result));
      MX_ASSERT(mx::printable(outcome.text.view()) == outcome.text.view());
      MX_ASSERT(!outcome.text.empty());
      const bool after_end = outcome.result == Result::sent || outcome.result == Result::unknown;
      MX_ASSERT(!after_end || body_sent_);
      const int wanted_class = outcome.result == Result::sent      ? 2
                               : outcome.result == Result::refused ? 5
                                                                   : 4;
      MX_ASSERT(outcome.enhanced.status == wanted_class);
      if (outcome.result == Result::sent) MX_ASSERT(outcome.code / 100 == 2);
      if (outcome.result == Result::unknown) MX_ASSERT(outcome.code == 0);
    }
    seen_ += ' ';
  }

  void check_output() {
    const std::string_view out = client_.out().text();
    MX_ASSERT(out.empty() || out.ends_with("\r\n"));
    for (size_t i = 0; i < out.size(); ++i) {
      const bool line_end = out[i] == '\r' || out[i] == '\n';
      MX_ASSERT(line_end || (out[i] >= ' ' && out[i] <= '~'));
    }
    client_.out().clear();
  }

  mx::smtp::ClientSettings settings_;
  Client client_{settings_};
  std::vector<std::string_view> recipients_;
  int messages_left_;
  bool body_sent_ = false;
  bool body_read_ = false;
  bool recorded_closed_ = false;
  std::string seen_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view in(reinterpret_cast<const char*>(data) + 1, size - 1);

  Owner whole(data[0]);
  whole.feed(in);
  whole.end();

  Owner by_line(data[0]);
  Owner by_byte(data[0]);
  for (size_t from = 0; from < in.size();) {
    const size_t newline = in.find('\n', from);
    const size_t to = newline == std::string_view::npos ? in.size() : newline + 1;
    by_line.feed(in.substr(from, to - from));
    for (; from < to; ++from) by_byte.feed(in.substr(from, 1));
  }
  MX_ASSERT(by_line.end() == by_byte.end());
  return 0;
}
