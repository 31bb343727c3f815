#include "engine/session/transcript.h"

#include <gtest/gtest.h>

#include "proto/base/limits.h"

namespace mx::session {
namespace {

TEST(Transcript, KeepsOrderWhateverThePieces) {
  Transcript transcript;
  transcript.add_replies("220 mx\r\n");
  transcript.replies_sent();
  transcript.add('<', "EH");
  transcript.add('<', "LO c\r\n");
  transcript.add_replies("250-mx\r\n250 DSN\r\n");
  transcript.add('<', "MAIL FROM:<>\n");
  transcript.add_replies("250-mx\r\n250 DSN\r\n250 Ok\r\n");
  transcript.replies_sent();
  transcript.add_replies("");
  transcript.add('<', "QU");
  EXPECT_EQ(transcript.text(),
            " Out: 220 mx\n In:  EHLO c\n Out: 250-mx\n Out: 250 DSN\n In:  MAIL FROM:<>\n"
            " Out: 250 Ok\n In:  QU\n");
}

TEST(Transcript, IsBounded) {
  Transcript transcript;
  transcript.add('<', std::string(1 << 20, 'x'));
  for (int i = 0; i < 2000; ++i) {
    transcript.add('<', "\r\nFOO \x1b" + std::to_string(i) + "\r\n");
    transcript.add_replies("500 no\r\n");
    transcript.replies_sent();
  }
  const std::string text = transcript.text();
  EXPECT_LE(text.size(), limits::transcript_bytes_max * 2);
  EXPECT_TRUE(text.starts_with(" [")) << text.substr(0, 100);
  EXPECT_NE(text.find(" lines left out]\n"), std::string::npos);
  EXPECT_TRUE(text.ends_with(" In:  FOO ?1999\n Out: 500 no\n")) << text.substr(text.size() - 80);
}

}  // namespace
}  // namespace mx::session
