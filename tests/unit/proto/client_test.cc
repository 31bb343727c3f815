#include "proto/smtp/client.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "proto/base/limits.h"
#include "tests/unit/proto/client_talk.h"

namespace mx::smtp {
namespace {

TEST(Client, sends_one_message_in_lock_step) {
  Talk talk;
  talk.connect();
  talk.start();
  EXPECT_EQ(talk.heard(), "MAIL FROM:<s@example.org>\r\n");
  talk.say("250 2.1.0 Ok\r\n");
  EXPECT_EQ(talk.heard(), "RCPT TO:<r@example.com>\r\n");
  talk.say("250 2.1.5 Ok\r\n");
  EXPECT_EQ(talk.heard(), "DATA\r\n");
  talk.say("354 go\r\n");
  EXPECT_EQ(talk.client.need(), Need::body);
  EXPECT_EQ(talk.heard(), "");
  talk.client.body_sent();
  EXPECT_EQ(talk.heard(), ".\r\n");
  talk.say("250 2.0.0 Ok: queued as X\r\n");
  EXPECT_EQ(talk.client.need(), Need::done);
  EXPECT_EQ(talk.outcome(), "sent 250 2.0.0 250 2.0.0 Ok: queued as X");
  EXPECT_TRUE(talk.client.attempted());
  talk.client.finish();
  EXPECT_EQ(talk.client.need(), Need::ready);
  EXPECT_FALSE(talk.client.attempted());
  talk.start("");
  EXPECT_EQ(talk.heard(), "MAIL FROM:<>\r\n");
}

TEST(Client, pipelines_all_up_to_data_in_one_write) {
  Talk talk;
  talk.recipients = {"a@example.com", "b@example.com"};
  talk.connect({"PIPELINING", "SIZE 1000", "8BITMIME"});
  for (int message = 0; message < 3; ++message) {
    talk.start("s@example.org", 100, true);
    EXPECT_EQ(talk.heard(),
              "MAIL FROM:<s@example.org> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<a@example.com>\r\n"
              "RCPT TO:<b@example.com>\r\nDATA\r\n");
    talk.say("250 ok\r\n250 ok\r\n251 ok\r\n354 go\r\n");
    ASSERT_EQ(talk.client.need(), Need::body);
    talk.client.body_sent();
    EXPECT_EQ(talk.heard(), ".\r\n");
    talk.say("250 ok\r\n");
    ASSERT_EQ(talk.client.need(), Need::done);
    EXPECT_EQ(talk.outcome(0), "sent 250 2.0.0 250 ok");
    EXPECT_EQ(talk.outcome(1), "sent 250 2.0.0 250 ok");
    talk.client.finish();
  }
  talk.client.quit();
  EXPECT_EQ(talk.heard(), "QUIT\r\n");
  EXPECT_EQ(talk.client.need(), Need::input);
  talk.say("221 2.0.0 Bye\r\n");
  EXPECT_EQ(talk.client.need(), Need::closed);
  EXPECT_EQ(talk.client.session_outcome().text.view(), "");
}

TEST(Client, each_recipient_has_its_own_outcome) {
  for (const bool pipelining : {false, true}) {
    Talk talk;
    talk.recipients = {"a@example.com", "b@example.com", "c@example.com"};
    talk.connect({pipelining ? "PIPELINING" : "X"});
    talk.start();
    for (const char* reply : {"250 ok\r\n", "550 5.1.1 no such user\r\n", "250 ok\r\n",
                              "452 4.2.2 full\r\n", "354 go\r\n"})
      talk.say(reply);
    ASSERT_EQ(talk.client.need(), Need::body);
    talk.client.body_sent();
    talk.say("250 2.6.0 stored\r\n");
    EXPECT_EQ(talk.outcome(0),
              "refused 550 5.1.1 550 5.1.1 no such user (in reply to RCPT TO command)");
    EXPECT_EQ(talk.outcome(1), "sent 250 2.6.0 250 2.6.0 stored");
    EXPECT_EQ(talk.outcome(2), "deferred 452 4.2.2 452 4.2.2 full (in reply to RCPT TO command)");
  }
}

TEST(Client, refused_mail_is_not_changed_by_what_the_server_says_later) {
  for (const char* rest : {"250 ok\r\n250 ok\r\n", "250 ok\r\n354 go\r\n250 ok\r\n",
                           "503 no\r\n421 bye\r\n", "503 no\r\nwhat?\r\n", "354 go\r\n"}) {
    Talk talk;
    talk.connect({"PIPELINING"});
    talk.start();
    talk.say("550 5.7.1 not you\r\n");
    talk.say(rest);
    if (talk.client.need() == Need::input) talk.client.connection_lost();
    EXPECT_EQ(talk.outcome(),
              "refused 550 5.7.1 550 5.7.1 not you (in reply to MAIL FROM command)");
  }
}

TEST(Client, lost_connection_keeps_what_was_already_said) {
  Talk talk;
  talk.recipients = {"a@example.com", "b@example.com", "c@example.com"};
  talk.connect({"PIPELINING"});
  talk.start();
  talk.say("250 ok\r\n550 no\r\n250 ok\r\n421 4.3.0 going down\r\n");
  EXPECT_EQ(talk.client.need(), Need::closed);
  EXPECT_EQ(talk.outcome(0), "refused 550 5.0.0 550 no (in reply to RCPT TO command)");
  EXPECT_EQ(talk.outcome(1),
            "deferred 421 4.3.0 421 4.3.0 going down (in reply to RCPT TO command)");
  EXPECT_EQ(talk.outcome(2), talk.outcome(1));
  EXPECT_EQ(talk.client.feed("250 ok\r\n"), 0U);
}

// ---- hostile servers
// -----------------------------------------------------------------------------------

// V62: a reply that came before its command answers nothing.
TEST(Client, early_and_extra_replies_end_the_session) {
  for (const bool pipelining : {false, true}) {
    const char* const keyword = pipelining ? "PIPELINING" : "X";
    {
      Talk talk;
      talk.say("220 mx\r\n250 early\r\n");
      EXPECT_EQ(talk.client.need(), Need::closed);
    }
    {
      Talk talk;
      talk.connect({keyword});
      talk.say("2");
      EXPECT_EQ(talk.client.need(), Need::closed);
      EXPECT_FALSE(talk.client.attempted());
    }
    {
      Talk talk;
      talk.connect({keyword});
      talk.start();
      talk.say("250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n");
      EXPECT_EQ(talk.client.need(), Need::closed);
      EXPECT_EQ(talk.client.recipient_outcome(0).result, Result::deferred);
    }
    for (const char* early : {"2", "250 ok\r\n", "550 5.3.4 too big\r\n"}) {
      Talk talk;
      talk.connect({keyword});
      talk.start();
      for (const char* reply : {"250 ok\r\n", "250 ok\r\n", "354 go\r\n"}) talk.say(reply);
      ASSERT_EQ(talk.client.need(), Need::body);
      talk.say(early);
      EXPECT_EQ(talk.client.need(), Need::closed);
      EXPECT_EQ(talk.client.recipient_outcome(0).result, Result::deferred);
    }
    {
      Talk talk;
      talk.connect({keyword});
      talk.start();
      for (const char* reply : {"250 ok\r\n", "250 ok\r\n", "354 go\r\n"}) talk.say(reply);
      talk.client.body_sent();
      talk.say("250 taken\r\n550 or not\r\n");
      EXPECT_EQ(talk.client.need(), Need::closed);
      EXPECT_EQ(talk.client.recipient_outcome(0).result, Result::sent);
    }
  }
}

TEST(Client, idle_421_closes) {
  Talk talk;
  talk.connect();
  talk.say("421 4.4.2 idle for too long\r\n");
  EXPECT_EQ(talk.client.need(), Need::closed);
  EXPECT_EQ(name_of(talk.client.session_outcome()),
            "deferred 421 4.4.2 421 4.4.2 idle for too long");
}

TEST(Client, reply_limits_close_the_session) {
  {
    Talk talk;
    talk.say("220 mx\r\n");
    for (uint32_t i = 0; i < limits::backend_reply_lines_max; ++i) talk.say("250-X\r\n");
    EXPECT_EQ(talk.client.need(), Need::input);
    talk.say("250-X\r\n");
    EXPECT_EQ(talk.client.need(), Need::closed);
  }
  Talk talk;
  talk.connect();
  talk.start();
  talk.say(std::string(10'000'000, '5'));
  EXPECT_EQ(talk.client.need(), Need::closed);
  EXPECT_EQ(talk.client.recipient_outcome(0).result, Result::deferred);
}

TEST(Client, text_is_bounded_and_printable) {
  Talk talk;
  talk.connect();
  talk.start();
  using namespace std::string_literals;
  talk.say("550 5.1.1 a\0b\x1b[2J\xff\xc3\xa4\r\n"s);
  EXPECT_EQ(talk.outcome(),
            "refused 550 5.1.1 550 5.1.1 a?b?[2J?\xc3\xa4 (in reply to MAIL FROM command)");
  talk.client.finish();
  for (const size_t length : {100U, 200U, 206U, 207U, 208U, 209U, 210U, 220U, 300U, 2000U}) {
    talk.start();
    talk.say("550-" + std::string(length, 'a') + "\r\n550 5.7.1 " + std::string(length, 'b') +
             "\r\n");
    const std::string text(talk.client.recipient_outcome(0).text.view());
    const std::string_view suffix = " (in reply to MAIL FROM command)";
    ASSERT_TRUE(text.ends_with(suffix)) << text;
    const std::string said = text.substr(0, text.size() - suffix.size());
    EXPECT_TRUE(said.ends_with(length == 100 ? "bb..." : "...")) << length << ": " << text;
    EXPECT_EQ(name_of(talk.client.recipient_outcome(0).enhanced), "5.7.1");
    talk.client.finish();
  }
}

TEST(Client, lines_of_a_reply_are_joined) {
  Talk talk;
  talk.connect();
  talk.start();
  talk.say("550-5.7.26 not\r\n550-5.7.26 authenticated\r\n550 5.7.26 see us\r\n");
  EXPECT_EQ(talk.outcome(),
            "refused 550 5.7.26 550-5.7.26 not 550-5.7.26 authenticated 550 5.7.26 see us"
            " (in reply to MAIL FROM command)");
  talk.client.finish();
  talk.start();
  talk.say("450 later\r\n");
  EXPECT_EQ(talk.outcome(), "deferred 450 4.0.0 450 later (in reply to MAIL FROM command)");
}

TEST(Client, our_own_words_when_the_server_says_nothing) {
  const auto at_mail = [](const std::function<void(Client&)>& event) {
    Talk talk;
    talk.connect();
    talk.start();
    event(talk.client);
    EXPECT_EQ(talk.client.need(), Need::closed);
    EXPECT_EQ(talk.outcome(), name_of(talk.client.session_outcome()));
    return talk.outcome();
  };
  EXPECT_EQ(at_mail([](Client& client) { client.connection_lost(); }),
            "deferred 0 4.4.2 lost connection while sending MAIL FROM");
  EXPECT_EQ(at_mail([](Client& client) { client.command_timeout(); }),
            "deferred 0 4.4.2 conversation timed out while sending MAIL FROM");
  EXPECT_EQ(at_mail([](Client& client) { client.feed("hello\r\n"); }),
            "deferred 0 4.5.0 protocol error: malformed reply while sending MAIL FROM: hello");
  EXPECT_EQ(at_mail([](Client& client) { client.feed("354 go\r\n"); }),
            "deferred 0 4.5.0 protocol error: unexpected reply while sending MAIL FROM: 354 go");
}

TEST(Client, loss_after_the_final_dot_is_unknown) {
  Talk talk;
  talk.connect();
  talk.start();
  for (const char* reply : {"250 ok\r\n", "250 ok\r\n", "354 go\r\n"}) talk.say(reply);
  talk.client.body_sent();
  talk.client.connection_lost();
  EXPECT_EQ(talk.outcome(),
            "unknown 0 4.4.2 lost connection while sending end of data -- message may be sent more "
            "than once");
}

// ---- greeting and EHLO
// ---------------------------------------------------------------------------------

TEST(Client, refused_greeting_defers_even_when_permanent) {
  Talk talk;
  talk.say("554 5.7.1 go away\r\n");
  EXPECT_EQ(talk.client.need(), Need::closed);
  EXPECT_EQ(name_of(talk.client.session_outcome()), "deferred 554 4.7.1 554 5.7.1 go away");
}

TEST(Client, rejected_ehlo_falls_back_to_helo_without_extensions) {
  Talk talk;
  talk.say("220 mx\r\n");
  talk.heard();
  talk.say("500-PIPELINING\r\n500 what?\r\n");
  EXPECT_EQ(talk.heard(), "HELO localhost\r\n");
  talk.say("250-mx\r\n250 PIPELINING\r\n");
  EXPECT_EQ(talk.client.need(), Need::ready);
  EXPECT_FALSE(talk.client.capabilities().esmtp);
  EXPECT_FALSE(talk.client.capabilities().pipelining);
  talk.start("s@example.org", 5, true);
  EXPECT_EQ(talk.heard(), "MAIL FROM:<s@example.org>\r\n");
}

TEST(Client, server_with_our_name_is_a_loop) {
  for (const char* greeting : {"250-LOCALHOST at your service\r\n250 X\r\n", "250 localhost\r\n"}) {
    Talk talk;
    talk.say("220 localhost\r\n");
    talk.say(greeting);
    EXPECT_EQ(talk.client.need(), Need::closed);
    EXPECT_EQ(name_of(talk.client.session_outcome()), "refused 0 5.4.6 mail loops back to myself");
  }
  Talk talk;
  talk.settings.own_hostname.clear();
  talk.say("220 localhost\r\n");
  talk.say("250 localhost\r\n");
  EXPECT_EQ(talk.client.need(), Need::ready);
}

TEST(Client, knows_keywords_in_any_case_and_nothing_else) {
  Talk talk;
  talk.connect({"pipelining", "8BitMime", "dsn x", "SMTPUTF8", "CHUNKING", "STARTTLS", "size 5"});
  const Capabilities& all = talk.client.capabilities();
  EXPECT_TRUE(all.esmtp && all.pipelining && all.eight_bit_mime && all.dsn && all.smtputf8 &&
              all.chunking && all.starttls && all.size);
  EXPECT_EQ(all.size_limit, 5U);
  Talk other;
  const std::string long_keyword(2000, 'X');
  other.connect({"PIPELINING2", "XPIPELINING", "PIPE\x01LINING", "", " ", long_keyword,
                 "AUTH=LOGIN PIPELINING"});
  const Capabilities& none = other.client.capabilities();
  EXPECT_FALSE(none.pipelining || none.eight_bit_mime || none.size || none.starttls);
}

// V64.
TEST(Client, size_that_is_no_number_is_no_limit) {
  const std::string too_long = "SIZE 1" + std::string(300, '0');
  for (const std::string& keyword :
       {std::string("SIZE"), std::string("SIZE 0"), std::string("SIZE -1"),
        std::string("SIZE 18446744073709551616"), std::string("SIZE x"), std::string("SIZE 1 2"),
        too_long}) {
    Talk talk;
    talk.connect({keyword});
    EXPECT_EQ(talk.client.capabilities().size_limit, 0U) << keyword;
    talk.start("s@example.org", UINT64_MAX);
    EXPECT_EQ(talk.client.need(), Need::input);
    EXPECT_EQ(talk.heard(), keyword == too_long
                                ? "MAIL FROM:<s@example.org>\r\n"
                                : "MAIL FROM:<s@example.org> SIZE=18446744073709551615\r\n");
  }
}

TEST(Client, message_over_the_servers_limit_is_not_offered) {
  for (const uint64_t size : {99U, 100U, 101U}) {
    Talk talk;
    talk.connect({"SIZE 100"});
    talk.start("s@example.org", size);
    EXPECT_EQ(talk.client.need(), size > 100 ? Need::done : Need::input);
    if (size <= 100) continue;
    EXPECT_EQ(talk.heard(), "");
    EXPECT_EQ(talk.outcome(), "refused 0 5.3.4 message size 101 exceeds size limit 100 of server");
    talk.client.finish();
    EXPECT_EQ(talk.client.need(), Need::ready);
  }
}

// ---- what goes out
// ---------------------------------------------------------------------------------------

TEST(Client, unsafe_addresses_never_reach_the_wire) {
  using namespace std::string_literals;
  const std::string too_long(limits::address_bytes_max + 1, 'x');
  for (const std::string& address :
       {"a\r\nDATA\r\n@b"s, "a\n@b"s, "a\0@b"s, "a\x7f@b"s, "a> X=<b@c"s, "a b@c"s, "\"a@b"s,
        "\"a\\\r\"@b"s, "\"a\\"s, too_long}) {
    Talk talk;
    talk.connect({"PIPELINING"});
    talk.recipients = {address, "good@example.com", address};
    talk.start();
    EXPECT_EQ(talk.heard(), "MAIL FROM:<s@example.org>\r\nRCPT TO:<good@example.com>\r\nDATA\r\n");
    talk.say("250 ok\r\n250 ok\r\n354 go\r\n");
    talk.client.body_sent();
    talk.heard();
    talk.say("250 ok\r\n");
    EXPECT_EQ(talk.outcome(0), "refused 0 5.1.3 bad recipient address syntax");
    EXPECT_EQ(talk.outcome(1), "sent 250 2.0.0 250 ok");
    EXPECT_EQ(talk.outcome(2), talk.outcome(0));
    talk.client.finish();

    talk.recipients = {address, ""};
    talk.start();
    EXPECT_EQ(talk.client.need(), Need::done);
    EXPECT_EQ(talk.outcome(1), "refused 0 5.1.3 bad recipient address syntax");
    talk.client.finish();

    talk.recipients = {"good@example.com"};
    talk.start(address);
    EXPECT_EQ(talk.client.need(), Need::done);
    EXPECT_EQ(talk.outcome(0), "refused 0 5.1.7 bad sender address syntax");
    EXPECT_EQ(talk.heard(), "");
  }
  Talk talk;
  talk.connect();
  talk.recipients = {"\"a <b> \\\"c\"@example.com"};
  talk.start();
  talk.say("250 ok\r\n");
  EXPECT_TRUE(talk.heard().ends_with("RCPT TO:<\"a <b> \\\"c\"@example.com>\r\n"));
}

TEST(Client, long_pipelines_go_in_windows) {
  for (const uint32_t count : {61U, 62U, 63U, 64U, 65U, 200U, limits::recipients_max}) {
    Talk talk;
    talk.connect({"PIPELINING"});
    talk.recipients.assign(count, "r@example.com");
    talk.start();
    uint32_t answered = 0;
    while (talk.client.need() == Need::input) {
      const std::string commands = talk.heard();
      ASSERT_FALSE(commands.empty());
      uint32_t lines = 0;
      std::string replies;
      for (const char c : commands) lines += c == '\n';
      ASSERT_LE(lines, Client::pipelined_commands_max);
      for (uint32_t i = 0; i < lines; ++i)
        replies += answered++ == count + 1 ? "354 go\r\n" : "250 ok\r\n";
      talk.say(replies);
    }
    ASSERT_EQ(talk.client.need(), Need::body);
    EXPECT_EQ(answered, count + 2);
    talk.client.body_sent();
    talk.say("250 ok\r\n");
    EXPECT_EQ(talk.outcome(count - 1), "sent 250 2.0.0 250 ok");
  }
}

// The bytes may be with the kernel when a hasty server answers the first of them.
TEST(Client, output_stays_as_it_is_until_it_is_cleared) {
  Talk talk;
  talk.connect({"PIPELINING"});
  talk.recipients.assign(100, "r@example.com");
  talk.start();
  const char* const bytes = talk.client.out().data();
  const std::string lent(talk.client.out().text());
  talk.client.feed("250 ok\r\n250 ok\r\n");
  EXPECT_EQ(talk.client.out().data(), bytes);
  EXPECT_EQ(talk.client.out().text(), lent);
  talk.client.out().clear();
  EXPECT_EQ(talk.heard(), "RCPT TO:<r@example.com>\r\nRCPT TO:<r@example.com>\r\n");

  Talk greeted;
  greeted.client.feed("220 mx\r\n");
  greeted.client.feed("500 what?\r\n");
  EXPECT_EQ(greeted.heard(), "EHLO localhost\r\n");
  EXPECT_EQ(greeted.heard(), "HELO localhost\r\n");
}

TEST(Client, window_stops_when_mail_is_refused) {
  Talk talk;
  talk.connect({"PIPELINING"});
  talk.recipients.assign(200, "r@example.com");
  talk.start();
  talk.heard();
  std::string replies = "450 later\r\n";
  for (uint32_t i = 1; i < Client::pipelined_commands_max; ++i) replies += "503 no\r\n";
  talk.say(replies);
  EXPECT_EQ(talk.heard(), "");
  EXPECT_EQ(talk.client.need(), Need::done);
  EXPECT_EQ(talk.outcome(199), "deferred 450 4.0.0 450 later (in reply to MAIL FROM command)");
}

TEST(Client, timeout_is_that_of_the_awaited_reply) {
  Talk talk;
  talk.settings.greeting_timeout = seconds(1);
  talk.settings.helo_timeout = seconds(2);
  talk.settings.mail_timeout = seconds(3);
  talk.settings.rcpt_timeout = seconds(4);
  talk.settings.data_init_timeout = seconds(5);
  talk.settings.data_xfer_timeout = seconds(6);
  talk.settings.data_done_timeout = seconds(7);
  talk.settings.quit_timeout = seconds(8);
  talk.settings.rset_timeout = seconds(9);
  std::string seen = std::to_string(talk.client.timeout().us / 1'000'000);
  const auto after = [&](std::string_view reply) {
    talk.say(reply);
    seen += " " + std::to_string(talk.client.timeout().us / 1'000'000);
  };
  after("220 mx\r\n");
  after("250-mx\r\n250 PIPELINING\r\n");
  talk.start();
  after("");
  after("250 ok\r\n");
  after("250 ok\r\n");
  after("354 go\r\n");
  talk.client.body_sent();
  after("");
  after("250 ok\r\n");
  talk.client.finish();
  talk.start();
  after("250 ok\r\n");
  after("550 no\r\n");
  after("503 no\r\n");
  talk.client.finish();
  talk.start();
  after("");
  after("250 ok\r\n");
  talk.client.connection_lost();
  after("");
  EXPECT_EQ(seen, "1 2 0 3 4 5 6 7 0 4 5 0 9 3 0");
}

}  // namespace
}  // namespace mx::smtp
