#include "maps/table.h"

#include <gtest/gtest.h>

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "maps/builder.h"
#include "proto/base/prng.h"
#include "proto/base/text.h"

namespace mx::maps {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

BuiltTable build(const Pairs& pairs, uint64_t seed = 1) {
  TableBuilder builder;
  for (const auto& [key, value] : pairs) builder.add(key, value);
  auto built = std::move(builder).build(seed, {123, 456});
  EXPECT_TRUE(built.has_value());
  return std::move(*built);
}

Table open(const BuiltTable& built) {
  const auto table = Table::open(built.bytes);
  EXPECT_TRUE(table.has_value());
  return *table;
}

TEST(Table, finds_every_key_with_its_value_and_no_other) {
  Prng random(42);
  for (const size_t count :
       std::vector<size_t>{0, 1, 2, 3, 5, 10, 31, 100, 1000, 20'000, 300'000}) {
    std::unordered_map<std::string, std::string> model;
    Pairs pairs;
    while (model.size() < count) {
      std::string key = "u" + std::to_string(random.next() % (count * 1000)) + "@d.example";
      std::string value = random.chance(10) ? "" : std::to_string(random.next() % 1000);
      if (model.emplace(key, value).second) pairs.emplace_back(std::move(key), std::move(value));
    }
    const BuiltTable built = build(pairs, random.next());
    EXPECT_EQ(built.key_count, count);
    EXPECT_TRUE(built.duplicates.empty());
    const Table table = open(built);
    for (const auto& [key, value] : pairs) {
      const Lookup found = table.find(key);
      ASSERT_EQ(found.outcome, Outcome::hit) << key << " of " << count;
      ASSERT_EQ(found.value, value);
    }
    const size_t absent = count == 300'000 ? 1'000'000 : 50'000;
    for (size_t i = 0; i < absent; ++i) {
      const std::string key = "absent" + std::to_string(i) + "@d.example";
      ASSERT_EQ(table.find(key).outcome, Outcome::miss) << key << " of " << count;
    }
  }
}

TEST(Table, answers_a_batch_as_it_answers_each_key) {
  Pairs pairs;
  for (int i = 0; i < 1000; ++i) pairs.emplace_back("k" + std::to_string(i), std::to_string(i));
  const BuiltTable built = build(pairs);
  const Table table = open(built);
  const std::string too_long(limits::table_key_bytes_max + 1, 'k');
  Prng random(7);
  for (size_t size = 0; size <= 40; ++size) {
    std::vector<std::string> texts;
    for (size_t i = 0; i < size; ++i)
      texts.push_back(random.chance(10)   ? too_long
                      : random.chance(10) ? ""
                                          : "K" + std::to_string(random.below(2000)));
    const std::vector<std::string_view> keys(texts.begin(), texts.end());
    std::vector<Lookup> answers(size);
    table.find_batch(keys, answers);
    for (size_t i = 0; i < size; ++i) {
      const Lookup alone = table.find(keys[i]);
      ASSERT_EQ(answers[i].outcome, alone.outcome) << keys[i];
      ASSERT_EQ(answers[i].value, alone.value) << keys[i];
    }
  }
}

TEST(Table, lists_its_pairs_in_the_order_of_the_source) {
  const BuiltTable built = build({{"b", "1"}, {"A", "2"}, {"b", "3"}, {"c", ""}});
  std::string listed;
  EXPECT_TRUE(open(built).for_each([&](std::string_view key, std::string_view value) {
    listed.append(key).append("=").append(value).append(" ");
  }));
  EXPECT_EQ(listed, "b=1 a=2 c= ");
}

TEST(Table, has_values_of_every_size_class) {
  Pairs pairs;  // sizes on both sides of each length of the size field
  for (const size_t size : {0U, 1U, 127U, 128U, 16'383U, 16'384U, limits::table_value_bytes_max})
    pairs.emplace_back("k" + std::to_string(size), std::string(size, 'v'));
  pairs.emplace_back(std::string(127, 'k'), "a");
  pairs.emplace_back(std::string(128, 'k'), "b");
  const BuiltTable built = build(pairs);
  const Table table = open(built);
  for (const auto& [key, value] : pairs) EXPECT_EQ(table.find(key).value, value);
}

TEST(Table, is_the_same_on_any_number_of_threads) {
  const auto backwards = [](size_t count, const Task& task) {  // any order will do
    for (size_t i = count; i-- > 0;) task(i);
  };
  TableBuilder one, other;
  for (int i = 0; i < 600'000; ++i) {
    const std::string key = "k" + std::to_string(i % 599'000);
    one.add(key, "v");
    other.add(key, "v");
  }
  const auto in_order = std::move(one).build(3, {});
  const auto in_disorder = std::move(other).build(3, {}, backwards);
  ASSERT_TRUE(in_order && in_disorder);
  EXPECT_EQ(in_order->bytes, in_disorder->bytes);
  EXPECT_EQ(in_order->duplicates.size(), 1000U);
  EXPECT_EQ(in_order->duplicates.front().ordinal, in_disorder->duplicates.front().ordinal);
}

TEST(Table, folds_keys_on_both_sides_and_keeps_values) {
  const BuiltTable built = build({{"User@Example.COM", "As It Is"}});
  const Table table = open(built);
  EXPECT_EQ(table.find("user@example.com").value, "As It Is");
  EXPECT_EQ(table.find("USER@example.com").value, "As It Is");
}

TEST(Table, keeps_the_first_of_duplicates_and_names_the_others) {
  const BuiltTable built =
      build({{"a", "1"}, {"b", "2"}, {"A", "3"}, {"c", "4"}, {"a", "5"}, {"b", "2"}});
  std::string named;
  for (const Duplicate& duplicate : built.duplicates)
    named += std::to_string(duplicate.ordinal) + " " + std::string(duplicate.key) + "\n";
  EXPECT_EQ(named, "2 a\n4 a\n5 b\n");
  EXPECT_EQ(built.key_count, 3U);
  const Table table = open(built);
  EXPECT_EQ(table.find("a").value, "1");
  EXPECT_EQ(table.find("b").value, "2");
  EXPECT_EQ(table.find("c").value, "4");
}

TEST(Table, builds_when_all_keys_are_the_same) {
  Pairs pairs(50'000, {"same@key", "v"});
  pairs.front().second = "first";
  const BuiltTable built = build(pairs);
  EXPECT_EQ(built.duplicates.size(), pairs.size() - 1);
  EXPECT_EQ(open(built).find("same@key").value, "first");
}

TEST(Table, same_pairs_and_seed_give_the_same_bytes) {
  Pairs pairs;
  for (int i = 0; i < 5000; ++i) pairs.emplace_back("k" + std::to_string(i), "v");
  EXPECT_EQ(build(pairs, 7).bytes, build(pairs, 7).bytes);
  EXPECT_NE(build(pairs, 7).bytes, build(pairs, 8).bytes);
}

TEST(Table, records_the_facts_of_its_source) {
  const BuiltTable built = build({{"a", "b"}}, 99);
  const Table table = open(built);
  EXPECT_EQ(table.source_mtime_ns(), 123);
  EXPECT_EQ(table.source_size(), 456U);
  EXPECT_EQ(table.seed(), 99U);
  EXPECT_EQ(table.key_count(), 1U);
}

TEST(Table, takes_keys_up_to_the_limit) {
  constexpr size_t limit = limits::table_key_bytes_max;
  const BuiltTable built =
      build({{std::string(limit - 1, 'a'), "n-1"}, {std::string(limit, 'a'), "n"}});
  const Table table = open(built);
  EXPECT_EQ(table.find(std::string(limit - 1, 'A')).value, "n-1");
  EXPECT_EQ(table.find(std::string(limit, 'A')).value, "n");
  EXPECT_EQ(table.find(std::string(limit + 1, 'A')).outcome, Outcome::miss);
  EXPECT_EQ(table.find("").outcome, Outcome::miss);
}

TEST(Table, every_truncation_is_an_error) {
  const BuiltTable built = build({{"a@b", "1"}, {"c@d", "2"}, {"e@f", "3"}});
  for (size_t size = 0; size < built.bytes.size(); ++size) {
    const std::vector<std::byte> cut(built.bytes.begin(),
                                     built.bytes.begin() + static_cast<ptrdiff_t>(size));
    ASSERT_FALSE(Table::open(cut).has_value()) << size;
  }
  std::vector<std::byte> longer = built.bytes;
  longer.push_back(std::byte{0});
  EXPECT_EQ(Table::open(longer).error(), TableError::wrong_size);
}

TEST(Table, every_corruption_of_a_byte_is_an_error) {
  const BuiltTable built = build({{"a@b", "1"}, {"c@d", "2"}, {"e@f", "3"}});
  std::vector<std::byte> bytes = built.bytes;
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int change : {1, 0x80, 0xFF}) {
      bytes[i] ^= std::byte(static_cast<unsigned char>(change));
      ASSERT_FALSE(Table::open(bytes).has_value()) << i;
      bytes[i] = built.bytes[i];
    }
  }
}

// Checksums that agree do not make a file honest: find() itself must stay inside.
TEST(Table, a_forged_file_is_never_read_outside) {
  const BuiltTable built = build({{"a@b", "1"}, {"c@d", "2"}, {"e@f", "3"}});
  std::vector<std::byte> bytes = built.bytes;
  const auto seal = [&] {
    const Bytes file(bytes);
    store_le(bytes.data() + format::at_body_checksum, checksum(file.subspan(format::header_bytes)));
    store_le(bytes.data() + format::at_header_checksum,
             checksum(file.first(format::at_header_checksum)));
  };
  size_t tempfails = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i >= format::at_source_size + 8 && i < format::at_body_checksum) continue;
    for (const int change : {1, 0x40, 0xFF}) {
      bytes[i] ^= std::byte(static_cast<unsigned char>(change));
      seal();
      if (const auto table = Table::open(bytes)) {
        for (const char* key : {"a@b", "c@d", "e@f", "g@h"})
          tempfails += table->find(key).outcome == Outcome::tempfail;
      }
      bytes = built.bytes;
    }
  }
  EXPECT_GT(tempfails, 0U);
}

TEST(Table, says_what_is_wrong) {
  const BuiltTable built = build({{"a", "1"}});
  EXPECT_EQ(Table::open({}).error(), TableError::too_short);
  EXPECT_EQ(Table::open(as_bytes("foo bar baz\n")).error(), TableError::not_a_table);
  std::vector<std::byte> bytes = built.bytes;
  store_le(bytes.data() + format::at_version, format::version + 1);
  store_le(bytes.data() + format::at_header_checksum,
           checksum(Bytes(bytes).first(format::at_header_checksum)));
  EXPECT_EQ(Table::open(bytes).error(), TableError::other_version);
  bytes = built.bytes;
  bytes.pop_back();
  EXPECT_EQ(Table::open(bytes).error(), TableError::wrong_size);
  bytes = built.bytes;
  bytes.back() ^= std::byte{1};
  EXPECT_EQ(Table::open(bytes).error(), TableError::damaged);
}

}  // namespace
}  // namespace mx::maps
