#include "proto/mail/received.h"

#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "proto/base/limits.h"

namespace mx::mail {
namespace {

std::string date(int64_t unix_seconds, TimeZone zone = {}) {
  char out[date_bytes_max];
  const auto size = write_date(WallTime{unix_seconds * 1'000'000}, zone, out);
  return size ? std::string(out, *size) : "too long";
}

std::string received(const ReceivedFields& fields) {
  char out[limits::header_block_bytes_max];
  const auto size = write_received(fields, out);
  return size ? std::string(out, *size) : "too long";
}

ReceivedFields usual() {
  ReceivedFields fields;
  fields.helo = "mail.example";
  fields.client_name = "host.example";
  fields.client_address = "192.0.2.1";
  fields.hostname = "mx.example.net";
  fields.queue_id = "4ZxQ1";
  fields.recipient = "a@b";
  fields.esmtp = true;
  fields.time = WallTime{1'274'169'600LL * 1'000'000};
  fields.zone = {120, "CEST"};
  return fields;
}

TEST(ReceivedDate, IsAsRfc5322WantsIt) {
  EXPECT_EQ(date(0), "Thu, 1 Jan 1970 00:00:00 +0000 (UTC)");
  EXPECT_EQ(date(1'274'169'600, {120, "CEST"}), "Tue, 18 May 2010 10:00:00 +0200 (CEST)");
  EXPECT_EQ(date(951'782'400), "Tue, 29 Feb 2000 00:00:00 +0000 (UTC)");
  EXPECT_EQ(date(1'709'251'199), "Thu, 29 Feb 2024 23:59:59 +0000 (UTC)");
  EXPECT_EQ(date(1'709'251'199, {-570, "MART"}), "Thu, 29 Feb 2024 14:29:59 -0930 (MART)");
  EXPECT_EQ(date(1'709'251'199, {345, ""}), "Fri, 1 Mar 2024 05:44:59 +0545");
  EXPECT_EQ(date(-1), "Wed, 31 Dec 1969 23:59:59 +0000 (UTC)");
}

TEST(ReceivedDate, StaysInItsBoundsWhateverTheClockSays) {
  EXPECT_LE(date(INT64_MAX / 1'000'000, {1439, "ABCDEFGHIJKLMNO"}).size(), date_bytes_max);
  EXPECT_LE(date(INT64_MIN / 1'000'000, {-1439, "x"}).size(), date_bytes_max);
  EXPECT_EQ(date(INT64_MAX / 1'000'000).substr(0, 16), "Thu, 30 Dec 9999");
}

TEST(ReceivedDate, AgreesWithTheCLibraryOnEveryDayOf800Years) {
  for (int64_t day = -146'097; day < 146'097; ++day) {
    const time_t at = day * 86'400 + 12'345;
    tm parts;
    ASSERT_NE(::gmtime_r(&at, &parts), nullptr);
    char expected[64];
    std::strftime(expected, sizeof expected, "%a, %e %b %Y 03:25:45 +0000 (UTC)", &parts);
    std::string text = expected;
    if (text[5] == ' ') text.erase(5, 1);
    ASSERT_EQ(date(at), text);
  }
}

TEST(Received, HasPostfixsShape) {
  EXPECT_EQ(received(usual()),
            "Received: from mail.example (host.example [192.0.2.1])\r\n"
            "\tby mx.example.net (ringmx) with ESMTP id 4ZxQ1\r\n"
            "\tfor <a@b>; Tue, 18 May 2010 10:00:00 +0200 (CEST)\r\n");
}

TEST(Received, LeavesTheForOutForSeveralRecipients) {
  ReceivedFields fields = usual();
  fields.recipient = {};
  fields.esmtp = false;
  EXPECT_EQ(received(fields),
            "Received: from mail.example (host.example [192.0.2.1])\r\n"
            "\tby mx.example.net (ringmx) with SMTP id 4ZxQ1;\r\n"
            "\tTue, 18 May 2010 10:00:00 +0200 (CEST)\r\n");
}

TEST(Received, TagsIpv6AndNamesAClientWithoutHelo) {
  ReceivedFields fields = usual();
  fields.helo = {};
  fields.client_name = "unknown";
  fields.client_address = "2001:db8::1";
  EXPECT_TRUE(
      received(fields).starts_with("Received: from unknown (unknown [IPv6:2001:db8::1])\r\n"));
}

TEST(Received, KeepsItsShapeWhateverTheClientSays) {
  ReceivedFields fields = usual();
  fields.helo = "a)\r\nX: (b\\\t\x01\xE4;@<>\"c d";
  fields.client_name = "x]) (";
  EXPECT_TRUE(received(fields).starts_with(
      "Received: from a???X:??b?????????c?d (x]??? [192.0.2.1])\r\n\tby "))
      << received(fields);
  fields.recipient = "\"a \xC3\xA4\"@b";
  EXPECT_NE(received(fields).find("\tfor <\"a ??\"@b>; "), std::string::npos);
}

TEST(Received, FitsWithTheLongestNames) {
  const std::string endless(2048, 'x');
  ReceivedFields fields = usual();
  fields.helo = fields.client_name = fields.client_address = fields.hostname = fields.queue_id =
      endless;
  const std::string address(320, 'r');
  fields.recipient = address;
  const std::string header = received(fields);
  ASSERT_TRUE(header.starts_with("Received: from " + std::string(255, 'x') + "... ("));
  for (size_t at = 0; at < header.size();) {
    const size_t end = header.find("\r\n", at);
    ASSERT_LE(end - at, 998U);
    at = end + 2;
  }
}

TEST(Received, SaysWhenTheBufferIsTooShort) {
  const std::string whole = received(usual());
  std::string out(whole.size(), '\0');
  EXPECT_EQ(write_received(usual(), out), whole.size());
  for (size_t n = 0; n < whole.size(); ++n) {
    std::string shorter(n, '\0');
    EXPECT_FALSE(write_received(usual(), shorter).has_value()) << n;
  }
}

}  // namespace
}  // namespace mx::mail
