#include "engine/shard/digest_record.h"

#include <gtest/gtest.h>

#include "proto/base/limits.h"

namespace mx::shard {
namespace {

TEST(DigestRecord, IsReadAsItWasWritten) {
  DigestRecord record;
  record.last_seconds = 1795874204;
  record.told = {{{0x5F3A}, 2}, {{1}, 65'535}};
  const std::string text = to_text(record);
  EXPECT_EQ(text, "ringmx quarantine digest 1\nlast 1795874204\ntold 1 65535\ntold 5F3A 2\n");
  const auto read = parse_digest_record(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->last_seconds, record.last_seconds);
  EXPECT_EQ(read->told, record.told);
  // Cut anywhere within a line it is none: the rest would be told of again, or never.
  for (size_t cut = 0; cut < text.size(); ++cut)
    EXPECT_EQ(parse_digest_record(text.substr(0, cut)).has_value(),
              text.substr(0, cut).ends_with('\n') && cut > 40)
        << cut;
}

TEST(DigestRecord, NothingElseIsOne) {
  for (const char* text :
       {"", "\n", "ringmx quarantine digest 2\nlast 1\n", "ringmx quarantine digest 1\n",
        "ringmx quarantine digest 1\nlast -1\n", "ringmx quarantine digest 1\nlast 1\n\n",
        "ringmx quarantine digest 1\nlast 1\ntold\n",
        "ringmx quarantine digest 1\nlast 1\ntold 1\n",
        "ringmx quarantine digest 1\nlast 1\ntold 0 1\n",
        "ringmx quarantine digest 1\nlast 1\ntold 1 65536\n",
        "ringmx quarantine digest 1\nlast 9300000000000\n"})
    EXPECT_FALSE(parse_digest_record(text)) << text;
  std::string many = "ringmx quarantine digest 1\nlast 1\n";
  for (uint32_t i = 1; i <= limits::digest_remembered_max; ++i)
    many += "told " + std::to_string(i) + " 1\n";
  EXPECT_TRUE(parse_digest_record(many));
  EXPECT_FALSE(parse_digest_record(many + "told ABCDEF 1\n"));
}

}  // namespace
}  // namespace mx::shard
