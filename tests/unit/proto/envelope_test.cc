#include "proto/mail/envelope.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mx::mail {
namespace {

EnvelopeHead example_head() {
  EnvelopeHead head;
  head.eight_bit = true;
  head.arrival = WallTime{1'700'000'000'123'456};
  head.size = 4096;
  head.client_name = "client.example";
  head.client_address = "192.0.2.1";
  head.helo = "helo.example";
  head.sender = "sender@example.org";
  return head;
}

std::vector<std::byte> example(const std::vector<std::string_view>& recipients) {
  EnvelopeWriter writer;
  writer.begin(example_head());
  for (const std::string_view recipient : recipients) writer.add_recipient(recipient);
  return {writer.bytes().begin(), writer.bytes().end()};
}

bool opens(Bytes bytes) {
  return EnvelopeReader().open(bytes);
}

TEST(Envelope, comes_back_as_it_was) {
  const std::vector<std::byte> bytes = example({"a@example.com", "\"b c\"@example.com"});
  EnvelopeReader reader;
  ASSERT_TRUE(reader.open(bytes));
  EXPECT_TRUE(reader.head().eight_bit);
  EXPECT_FALSE(reader.head().esmtp);
  EXPECT_EQ(reader.head().recipient_count, 2);
  EXPECT_EQ(reader.head().arrival, example_head().arrival);
  EXPECT_EQ(reader.head().size, 4096U);
  EXPECT_EQ(reader.head().client_name, "client.example");
  EXPECT_EQ(reader.head().client_address, "192.0.2.1");
  EXPECT_EQ(reader.head().helo, "helo.example");
  EXPECT_EQ(reader.head().sender, "sender@example.org");
  for (int round = 0; round < 2; ++round) {
    std::string_view address;
    ASSERT_TRUE(reader.next_recipient(address));
    EXPECT_EQ(address, "a@example.com");
    ASSERT_TRUE(reader.next_recipient(address));
    EXPECT_EQ(address, "\"b c\"@example.com");
    EXPECT_FALSE(reader.next_recipient(address));
    reader.rewind();
  }
}

TEST(Envelope, format_is_as_documented) {
  EnvelopeWriter writer;
  EnvelopeHead head;
  head.esmtp = true;
  head.arrival = WallTime{0x0102030405060708};
  head.size = 0x1112131415161718;
  head.client_name = "n";
  head.sender = "s";
  writer.begin(head);
  writer.add_recipient("r");
  using namespace std::string_literals;
  EXPECT_EQ(as_text(writer.bytes()),
            "\x01\x02\x01\x00"
            "\x08\x07\x06\x05\x04\x03\x02\x01"
            "\x18\x17\x16\x15\x14\x13\x12\x11"
            "\x01\0n\0\0\0\0\x01\0s\0\x01\0r"s);
}

TEST(Envelope, writer_begins_afresh) {
  EnvelopeWriter writer;
  writer.begin(example_head());
  writer.add_recipient("one@example.com");
  writer.begin(example_head());
  writer.add_recipient("two@example.com");
  EnvelopeReader reader;
  ASSERT_TRUE(reader.open(writer.bytes()));
  EXPECT_EQ(reader.head().recipient_count, 1);
}

TEST(Envelope, empty_texts_and_no_recipients_are_possible) {
  EnvelopeWriter writer;
  writer.begin({});
  EnvelopeReader reader;
  ASSERT_TRUE(reader.open(writer.bytes()));
  std::string_view address;
  EXPECT_FALSE(reader.next_recipient(address));
}

TEST(Envelope, text_lengths_reach_their_limit) {
  for (const size_t length : {65'534U, 65'535U}) {
    const std::string text(length, 'x');
    EnvelopeWriter writer;
    EnvelopeHead head;
    head.helo = text;
    writer.begin(head);
    writer.add_recipient(text);
    EnvelopeReader reader;
    ASSERT_TRUE(reader.open(writer.bytes()));
    EXPECT_EQ(reader.head().helo, text);
    std::string_view address;
    ASSERT_TRUE(reader.next_recipient(address));
    EXPECT_EQ(address, text);
  }
  EnvelopeWriter writer;
  writer.begin({});
  EXPECT_DEATH(writer.add_recipient(std::string(65'536, 'x')), "UINT16_MAX");
}

TEST(Envelope, holds_65535_recipients) {
  EnvelopeWriter writer;
  writer.begin({});
  for (uint32_t i = 0; i < 65'535; ++i) writer.add_recipient("r@example.com");
  EnvelopeReader reader;
  ASSERT_TRUE(reader.open(writer.bytes()));
  EXPECT_EQ(reader.head().recipient_count, 65'535);
  EXPECT_DEATH(writer.add_recipient("r@example.com"), "recipient_count_");
}

TEST(Envelope, cut_or_longer_is_malformed) {
  std::vector<std::byte> bytes = example({"a@example.com", ""});
  for (size_t i = 0; i < bytes.size(); ++i) {
    const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_FALSE(opens(cut)) << "cut at " << i;
  }
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(opens(bytes));
}

TEST(Envelope, other_versions_flags_and_counts_are_malformed) {
  const std::vector<std::byte> good = example({"a@example.com"});
  const auto with = [&](size_t at, int value) {
    std::vector<std::byte> bytes = good;
    bytes[at] = static_cast<std::byte>(value);
    return bytes;
  };
  EXPECT_TRUE(opens(with(1, 3)));
  EXPECT_FALSE(opens(with(0, 0)));
  EXPECT_FALSE(opens(with(0, 2)));
  EXPECT_TRUE(opens(with(1, 7)));
  EXPECT_FALSE(opens(with(1, 8)));
  EXPECT_FALSE(opens(with(2, 0)));
  EXPECT_FALSE(opens(with(2, 2)));
  EXPECT_FALSE(opens(with(3, 1)));
  EXPECT_FALSE(opens(with(20, 255)));
  EXPECT_FALSE(opens(with(21, 255)));
  const size_t recipient_flags = good.size() - std::string_view("a@example.com").size() - 3;
  EXPECT_FALSE(opens(with(recipient_flags, 1)));
}

TEST(Envelope, failed_open_leaves_nothing_of_the_one_before) {
  const std::vector<std::byte> bytes = example({"a@example.com"});
  EnvelopeReader reader;
  ASSERT_TRUE(reader.open(bytes));
  ASSERT_FALSE(reader.open(Bytes(bytes).first(30)));
  std::string_view address;
  EXPECT_FALSE(reader.next_recipient(address));
  EXPECT_EQ(reader.head().sender, "");
  EXPECT_EQ(reader.head().recipient_count, 0);
}

TEST(Envelope, CarriesWhatTheSenderAsksOfDsn) {
  EnvelopeHead head = example_head();
  head.dsn_return = DsnReturn::headers;
  head.envelope_id = "QQ+2B1";
  head.smtputf8 = head.utf8_header = true;
  EnvelopeWriter writer;
  writer.begin(head);
  EnvelopeRecipient with;
  with.address = "a@example.com";
  with.own_sender = true;
  with.sender = "owner-list@example.com";
  with.dsn = {notify_success | notify_delay, "rfc822;x@y"};
  writer.add_recipient(with);
  writer.add_recipient("b@example.com");
  const std::vector<std::byte> bytes{writer.bytes().begin(), writer.bytes().end()};
  EnvelopeReader reader;
  ASSERT_TRUE(reader.open(bytes));
  EXPECT_EQ(reader.head().dsn_return, DsnReturn::headers);
  EXPECT_EQ(reader.head().envelope_id, "QQ+2B1");
  EXPECT_TRUE(reader.head().smtputf8 && reader.head().utf8_header);
  EnvelopeRecipient read;
  ASSERT_TRUE(reader.next_recipient(read));
  EXPECT_EQ(read.sender, "owner-list@example.com");
  EXPECT_EQ(read.dsn.notify, notify_success | notify_delay);
  EXPECT_EQ(read.dsn.original, "rfc822;x@y");
  ASSERT_TRUE(reader.next_recipient(read));
  EXPECT_TRUE(read.dsn.empty() && !read.own_sender);
  EXPECT_EQ(read.sender, head.sender);
  for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(opens({bytes.data(), cut})) << cut;
}

TEST(Envelope, NoticesOfOursAndAliasesAreKnown) {
  EnvelopeHead head;
  head.own = true;
  EnvelopeWriter writer;
  writer.begin(head);
  for (const AliasNote note : {AliasNote::none, AliasNote::expanded, AliasNote::delivered}) {
    EnvelopeRecipient recipient;
    recipient.address = "alias@example.com";
    recipient.note = note;
    writer.add_recipient(recipient);
  }
  std::vector<std::byte> bytes{writer.bytes().begin(), writer.bytes().end()};
  EnvelopeReader reader;
  ASSERT_TRUE(reader.open(bytes));
  EXPECT_TRUE(reader.head().own);
  EnvelopeRecipient read;
  for (const AliasNote note : {AliasNote::none, AliasNote::expanded, AliasNote::delivered}) {
    ASSERT_TRUE(reader.next_recipient(read));
    EXPECT_EQ(read.note, note);
  }
  // Both at once is no note.
  const size_t last = bytes.size() - std::string_view("alias@example.com").size() - 3;
  ASSERT_EQ(bytes[last], std::byte{8});
  bytes[last] = std::byte{12};
  EXPECT_FALSE(opens(bytes));
}

}  // namespace
}  // namespace mx::mail
