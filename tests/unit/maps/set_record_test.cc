#include "maps/set_record.h"

#include <gtest/gtest.h>

#include "maps/hash.h"
#include "proto/base/bytes.h"
#include "proto/base/limits.h"

namespace mx::maps {
namespace {

const SetRecord two{0x0123456789abcdef, {"/etc/a.phm", "/etc/with blank.phm"}};

std::string with_checksum(std::string text) {
  return text + "checksum " + run_text(checksum(as_bytes(text))) + "\n";
}

SetRecordError error_of(std::string_view text) {
  const auto record = SetRecord::parse(text);
  EXPECT_FALSE(record) << text;
  return record ? SetRecordError{} : record.error();
}

TEST(SetRecord, reads_what_it_writes) {
  const std::string text = two.format();
  EXPECT_TRUE(
      text.starts_with("ringmx table set 1\nrun 0123456789abcdef\n/etc/a.phm\n"
                       "/etc/with blank.phm\nchecksum "))
      << text;
  const auto read = SetRecord::parse(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, two);
  const SetRecord empty{7, {}};
  EXPECT_EQ(SetRecord::parse(empty.format()), empty);
}

TEST(SetRecord, refuses_every_truncation) {
  const std::string text = two.format();
  for (size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(SetRecord::parse(text.substr(0, size))) << size;
  EXPECT_EQ(error_of(text + "\n"), SetRecordError::damaged);
}

TEST(SetRecord, refuses_every_changed_byte) {
  const std::string text = two.format();
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char change : {'\1', '\x20', '\x80'}) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ change);
      EXPECT_FALSE(SetRecord::parse(changed)) << at;
    }
  }
}

TEST(SetRecord, says_why) {
  EXPECT_EQ(error_of(""), SetRecordError::not_a_record);
  EXPECT_EQ(error_of("something else\n"), SetRecordError::not_a_record);
  EXPECT_EQ(error_of(with_checksum("ringmx table set 2\n")), SetRecordError::other_version);
  EXPECT_EQ(error_of(with_checksum("ringmx table set 1\n")), SetRecordError::damaged);
  const std::string head = "ringmx table set 1\nrun 0000000000000001\n";
  EXPECT_TRUE(SetRecord::parse(with_checksum(head)));
  EXPECT_EQ(error_of(with_checksum(head + "relative.phm\n")), SetRecordError::damaged);
  EXPECT_EQ(error_of(with_checksum(head + std::string("/a\0b\n", 5))), SetRecordError::damaged);
  EXPECT_EQ(error_of(with_checksum("ringmx table set 1\nrun 0000000000000000\n")),
            SetRecordError::damaged);
  EXPECT_EQ(error_of(with_checksum("ringmx table set 1\nrun 00000000000000AB\n")),
            SetRecordError::damaged);
}

TEST(SetRecord, has_limits) {
  std::string text = "ringmx table set 1\nrun 0000000000000001\n";
  for (uint32_t i = 0; i < limits::table_set_paths_max; ++i) text += "/x\n";
  EXPECT_TRUE(SetRecord::parse(with_checksum(text)));
  EXPECT_EQ(error_of(with_checksum(text + "/x\n")), SetRecordError::too_large);
  EXPECT_EQ(error_of(std::string(limits::table_set_bytes_max + 1, 'x')), SetRecordError::too_large);
  EXPECT_FALSE(SetRecord::can_hold("/" + std::string(limits::table_path_bytes_max, 'x')));
  EXPECT_FALSE(SetRecord::can_hold("/a\nb"));
  EXPECT_FALSE(SetRecord::can_hold("a"));
  EXPECT_TRUE(SetRecord::can_hold("/etc/a.phm"));
}

TEST(SetRecord, a_listed_table_is_looked_for_under_its_pending_name_first) {
  EXPECT_EQ(two.candidates("/etc/a.phm"),
            (std::vector<std::string>{"/etc/a.phm.new-0123456789abcdef", "/etc/a.phm"}));
  EXPECT_EQ(two.candidates("/etc/b.phm"), (std::vector<std::string>{"/etc/b.phm"}));
  EXPECT_EQ(SetRecord{}.candidates("/etc/a.phm"), (std::vector<std::string>{"/etc/a.phm"}));
}

TEST(SetRecord, knows_pending_names) {
  EXPECT_TRUE(is_pending_name("a.phm.new-0123456789abcdef", "a.phm"));
  EXPECT_FALSE(is_pending_name("a.phm.new-0123456789abcde", "a.phm"));
  EXPECT_FALSE(is_pending_name("a.phm.new-0123456789abcdeg", "a.phm"));
  EXPECT_FALSE(is_pending_name("b.phm.new-0123456789abcdef", "a.phm"));
  EXPECT_FALSE(is_pending_name("a.phm", "a.phm"));
  EXPECT_FALSE(is_pending_name("", "a.phm"));
}

}  // namespace
}  // namespace mx::maps
