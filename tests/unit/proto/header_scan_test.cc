#include "proto/mail/header_scan.h"

#include <gtest/gtest.h>

#include <string>

namespace mx::mail {
namespace {

using FirstLine = HeaderScan::FirstLine;

struct Seen {
  uint32_t received;
  FirstLine first;
  bool done;
  bool operator==(const Seen&) const = default;
};

Seen seen(const HeaderScan& scan) {
  return {scan.received_count(), scan.first_line(), scan.done()};
}

// Feeds `text` whole and cut at every place, also byte by byte; all must agree.
Seen scan(std::string_view text) {
  HeaderScan whole;
  whole.feed(text);
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    HeaderScan pieces;
    pieces.feed(text.substr(0, cut));
    pieces.feed(text.substr(cut));
    EXPECT_EQ(seen(pieces), seen(whole)) << cut << " of " << text;
  }
  HeaderScan bytes;
  for (const char& c : text) bytes.feed({&c, 1});
  EXPECT_EQ(seen(bytes), seen(whole)) << text;
  return seen(whole);
}

TEST(HeaderScan, CountsReceivedUpToTheBlankLine) {
  EXPECT_EQ(scan("Received: a\r\nX: y\r\nreceived:b\r\n\r\nReceived: c\r\n"),
            (Seen{2, FirstLine::header, true}));
  EXPECT_EQ(scan("Received: a\nRECEIVED \t: b\n\nReceived: c\n"),
            (Seen{2, FirstLine::header, true}));
}

TEST(HeaderScan, CountsTheWholeNameOnly) {
  EXPECT_EQ(scan("Receive: a\r\nReceivedX: a\r\nX-Received: a\r\n.Received: a\r\n\r\n").received,
            0U);
}

TEST(HeaderScan, DoesNotCountInContinuations) {
  EXPECT_EQ(scan("X: y\r\n Received: a\r\n\tReceived: b\r\n\r\n").received, 0U);
}

TEST(HeaderScan, EndsAtALineThatIsNoHeader) {
  EXPECT_EQ(scan("Received: a\r\nnonsense\r\nReceived: b\r\n"), (Seen{1, FirstLine::header, true}));
  EXPECT_EQ(scan("Received: a\r\n: x\r\nReceived: b\r\n").received, 1U);
  EXPECT_EQ(scan("Received: a\r\nX Y: z\r\nReceived: b\r\n").received, 1U);
  EXPECT_EQ(scan("Received: a\r\n\xE4: x\r\nReceived: b\r\n").received, 1U);
}

TEST(HeaderScan, TellsWhatTheFirstLineIs) {
  EXPECT_EQ(scan("").first, FirstLine::none);
  EXPECT_EQ(scan("Subj").first, FirstLine::none);
  EXPECT_EQ(scan("Subject: x\r\n").first, FirstLine::header);
  EXPECT_EQ(scan("\r\nbody\r\n").first, FirstLine::blank);
  EXPECT_EQ(scan("\nbody\n").first, FirstLine::blank);
  EXPECT_EQ(scan("just text\r\n").first, FirstLine::text);
  EXPECT_EQ(scan("text\r\n").first, FirstLine::text);
  EXPECT_EQ(scan(" folded: x\r\n").first, FirstLine::text);
  EXPECT_EQ(scan("..\r\n").first, FirstLine::text);
  EXPECT_EQ(scan("\rx\r\n").first, FirstLine::text);
  EXPECT_EQ(scan(std::string_view("a\0b: c\r\n", 8)).first, FirstLine::text);
}

TEST(HeaderScan, KnowsTheSeparatorOfAMailboxFile) {
  EXPECT_EQ(scan("From a@b Tue May 18\r\nReceived: x\r\n\r\n"),
            (Seen{1, FirstLine::mailbox_from, true}));
  EXPECT_EQ(scan(">From a\r\nX: y\r\n\r\n").first, FirstLine::mailbox_from);
  EXPECT_EQ(scan("From: a\r\n\r\n").first, FirstLine::header);
  EXPECT_EQ(scan("Froma: a\r\n\r\n").first, FirstLine::header);
  EXPECT_EQ(scan("from a\r\n").first, FirstLine::text);
  EXPECT_EQ(scan("X: y\r\nFrom a\r\nReceived: z\r\n").received, 0U);
}

TEST(HeaderScan, StartsWithHeaderForAHeaderOrABlankLine) {
  const auto starts = [](std::string_view text) {
    HeaderScan headers;
    headers.feed(text);
    return headers.starts_with_header();
  };
  EXPECT_TRUE(starts("A: b\r\n"));
  EXPECT_TRUE(starts("\r\n"));
  EXPECT_FALSE(starts("a b\r\n"));
  EXPECT_FALSE(starts(""));
}

TEST(HeaderScan, IsNotImpressedByLength) {
  HeaderScan headers;
  const std::string name(100'000, 'r');
  headers.feed("X: " + name + "\r\n");
  for (int i = 0; i < 1000; ++i) headers.feed(" " + name + "\r\n");
  headers.feed("Received: y\r\n");
  EXPECT_FALSE(headers.done());
  headers.feed("\r\n");
  EXPECT_EQ(seen(headers), (Seen{1, FirstLine::header, true}));
}

TEST(HeaderScan, ANameHasALimit) {
  for (const size_t size : {2048U, 2049U, 20'000U}) {
    HeaderScan scan;
    scan.feed(std::string(size, 'N') + ": x\r\n");
    EXPECT_EQ(scan.starts_with_header(), size <= 2048) << size;
    EXPECT_EQ(scan.done(), size > 2048) << size;
  }
  HeaderScan blanks;
  blanks.feed("N" + std::string(3000, ' ') + ": x\r\n");
  EXPECT_EQ(blanks.first_line(), HeaderScan::FirstLine::text);
}

TEST(HeaderScan, SeesEightBitInHeaderLinesOnly) {
  const auto eight_bit = [](std::string_view text) {
    HeaderScan scan;
    for (const char& c : text) scan.feed({&c, 1});
    HeaderScan whole;
    whole.feed(text);
    EXPECT_EQ(scan.eight_bit(), whole.eight_bit());
    return whole.eight_bit();
  };
  EXPECT_TRUE(eight_bit("Subject: \xC3\xBC\r\n\r\n"));
  EXPECT_FALSE(eight_bit("A: b\r\n\xC3\r\n"));
  EXPECT_TRUE(eight_bit("A: b\r\n c\xC3\r\n\r\n"));
  EXPECT_FALSE(eight_bit("A: b\r\n\r\n\xC3\xBC\r\n"));
}

}  // namespace
}  // namespace mx::mail
