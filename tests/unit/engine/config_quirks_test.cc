// Settings that are most likely not meant as they stand are warned of, and only those.
#include <gtest/gtest.h>

#include "tests/unit/engine/config_harness.h"

namespace mx::config {
namespace {

using test::load_text;
using test::messages;

struct Case {
  const char* lines;
  const char* said;   // part of the warning; empty: there is none
  uint32_t line = 0;  // that it is for
};

constexpr std::string_view base = "relayhost = [192.0.2.9]\nmyhostname = mx.example.com\n";

TEST(Quirks, AreSaidWithTheirLine) {
  const Case cases[] = {
      {"mydestination =\nsmtpd_banner = Hello", "begin with $myhostname", 4},
      {"mydestination =\nsmtpd_banner = mx.example.com ESMTP", ""},
      {"mydestination = $myhostname\nmessage_size_limit = 1000", "name localhost", 3},
      {"mydestination =\nmynetworks = 10.0.0.0/8, 127.0.0.0/8", "[::1]", 4},
      {"mydestination =\nmynetworks = 127.0.0.0/8 [::1]/128", ""},
      {"mydestination =\nmynetworks = 10.0.0.0/8", ""},
      {"mydestination =\nmynetworks = 127.0.0.0/8\ninet_protocols = ipv4", ""},
      {"mydestination = localhost\nmessage_size_limit = 51200001", "mailbox_size_limit", 4},
      {"mydestination =\nmessage_size_limit = 51200001", ""},
      {"mydestination =\nsmtpd_tls_key_file = /no/such.key", "No such file", 4},
      {"mydestination =\nsmtpd_tls_key_file = /etc/there.key", ""},
      {"mydestination =\nsmtpd_use_tls = no", "obsolete: use smtpd_tls_security_level", 4},
      {"mydestination =\nsmtp_tls_session_cache_database = btree:$queue_directory/cache",
       "data_directory", 4},
      {"mydestination =\nsmtp_tls_session_cache_database = btree:$data_directory/cache", ""},
  };
  const test::Files files{{"/etc/there.key", "key"}};
  for (const Case& one : cases) {
    const LoadResult result = load_text(std::string(base) + one.lines + "\n", files);
    ASSERT_TRUE(result.settings) << messages(result);
    std::string said = messages(result);
    if (one.line == 0) {
      EXPECT_EQ(said, "") << one.lines;
      continue;
    }
    const size_t at = said.find(one.said);
    ASSERT_NE(at, std::string::npos) << one.lines << "\n" << said;
    const size_t start = said.rfind('\n', at) + 1;
    EXPECT_EQ(said.substr(start, said.find(": ", start) - start),
              "/etc/ringmx/main.cf:" + std::to_string(one.line))
        << said;
  }
}

TEST(Quirks, FingerprintsNeedADigest) {
  const std::string text =
      std::string(base) + "mydestination =\nrelay_clientcerts = inline:{a=b}\n";
  EXPECT_NE(messages(load_text(text)).find("compared by md5"), std::string::npos);
  EXPECT_EQ(messages(load_text(text + "smtpd_tls_fingerprint_digest = sha256\n")), "");
}

TEST(Quirks, SslForTlsIsASlipOfTheMind) {
  const LoadResult result = load_text(std::string(base) + "mydestination =\nsmtpd_use_ssl = yes\n");
  EXPECT_NE(messages(result).find("did you mean smtpd_use_tls?"), std::string::npos)
      << messages(result);
}

// A value that can't be read has no meaning to warn of.
TEST(Quirks, BadValuesAreNoQuirks) {
  const LoadResult result = load_text(std::string(base) + "message_size_limit = x\n");
  EXPECT_EQ(messages(result).find("mailbox_size_limit"), std::string::npos) << messages(result);
}

}  // namespace
}  // namespace mx::config
