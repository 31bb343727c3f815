// Tables of every kind read from a folder, and read again when their files change.
#include "engine/policy/tables.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "engine/policy/publisher.h"
#include "engine/policy/snapshot.h"
#include "engine/policy/system_tables.h"
#include "maps/builder.h"

namespace mx::policy {
namespace {

class TablesTest : public testing::Test {
 protected:
  TablesTest() {
    std::string pattern = testing::TempDir() + "tablesXXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  ~TablesTest() override { std::filesystem::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  void write(const std::string& name, std::string_view text) {
    const auto written = io::write_file_atomically(path(name), as_bytes(text), 0644);
    EXPECT_TRUE(written.has_value());
  }
  // NAME.phm, or NAME.phm + suffix; "hash:/…/NAME".
  std::string compile(const std::string& name, const std::vector<std::string>& keys,
                      const std::string& suffix = "") {
    maps::TableBuilder builder;
    for (const std::string& key : keys) builder.add(key, "value");
    const auto built = std::move(builder).build(1, {});
    EXPECT_TRUE(
        io::write_file_atomically(path(name) + ".phm" + suffix, built->bytes, 0644).has_value());
    return "hash:" + path(name);
  }
  void write_record(uint64_t run, const std::vector<std::string>& names) {
    maps::SetRecord record;
    record.run = run;
    for (const std::string& name : names) record.paths.push_back(path(name) + ".phm");
    write(std::string(maps::set_record_name), record.format());
  }
  // The value, "-" for a miss, "!" for a failure.
  static std::string ask(const TablePointer& table, std::string_view key, bool partial = false) {
    maps::ValueText made;
    const maps::Key one{key, partial};
    const maps::Lookup found = table->find_first({&one, 1}, made).lookup;
    if (found.outcome == maps::Outcome::tempfail) return "!";
    return found.is_hit() ? std::string(found.value) : "-";
  }
  TablePointer open(const std::string& spec) {
    TableStore store;
    auto table = store.open(spec);
    if (!table) ADD_FAILURE() << table.error();
    warnings_ = store.warnings();
    return table ? *table : nullptr;
  }
  std::string error(const std::string& spec) {
    TableStore store;
    const auto table = store.open(spec);
    return table ? "" : table.error();
  }

  std::string directory_;
  std::vector<std::string> warnings_;
};

TEST_F(TablesTest, opens_every_kind) {
  EXPECT_EQ(ask(open(compile("hashed", {"a@b"})), "A@B"), "value");
  write("nets", "192.0.2.0/24 ours\n2001:db8::/32 six\n");
  EXPECT_EQ(ask(open("cidr:" + path("nets")), "192.0.2.9"), "ours");
  EXPECT_EQ(ask(open("cidr:" + path("nets")), "198.51.100.1"), "-");
  EXPECT_EQ(ask(open("cidr:{{10.0.0.0/8 ten}}"), "10.1.2.3"), "ten");
  write("patterns", "/^(.*)@old$/ $1@new\n");
  EXPECT_EQ(ask(open("regexp:" + path("patterns")), "user@OLD"), "user@new");
  EXPECT_EQ(ask(open("pcre:" + path("patterns")), "user@old"), "user@new");
  EXPECT_EQ(ask(open("pcre:" + path("patterns")), "user@old", true), "-");
  const TablePointer entries = open("inline:{a=1, { b = two words }}");
  EXPECT_EQ(ask(entries, "a"), "1");
  EXPECT_EQ(ask(entries, "b"), "two words");
  EXPECT_EQ(entries->facts().keys, 2U);
  EXPECT_EQ(ask(open("static:{any thing}"), "x"), "any thing");
  EXPECT_EQ(ask(open("fail:x"), "x"), "!");
  EXPECT_EQ(ask(open("proxy:" + compile("hashed", {"a@b"})), "a@b"), "value");
}

TEST_F(TablesTest, shares_the_members_of_a_union) {
  const std::string name = compile("hashed", {"a"});
  TableStore store;
  const auto both = store.open("unionmap:{" + name + ", inline:{a=1, b=2}}");
  ASSERT_TRUE(both.has_value()) << both.error();
  EXPECT_EQ(ask(*both, "a"), "value,1");
  EXPECT_EQ(ask(*both, "b"), "2");
  EXPECT_EQ(ask(*both, "b", true), "2") << "its first table has fixed keys";
  ASSERT_EQ((*both)->facts().members.size(), 2U);
  EXPECT_EQ(store.open(name).value(), (*both)->facts().members[0]);
  EXPECT_EQ(store.tables().size(), 3U);
  EXPECT_NE(error("unionmap:{hash:" + path("missing") + "}").find("mapc"), std::string::npos);
}

TEST_F(TablesTest, reads_the_accounts_of_the_machine) {
  const TablePointer users = open("unix:passwd.byname");
  EXPECT_TRUE(ask(users, "root").starts_with("root:"));
  EXPECT_TRUE(ask(users, "root").ends_with(":/bin/bash") || ask(users, "root").contains("/"));
  EXPECT_EQ(std::ranges::count(ask(users, "root"), ':'), 6);
  EXPECT_EQ(ask(users, "no-such-user-here"), "-");
  const TablePointer groups = open("unix:group.byname");
  EXPECT_EQ(std::ranges::count(ask(groups, "root"), ':'), 3);
  EXPECT_EQ(users->facts().path, "/etc/passwd");
  EXPECT_EQ(groups->facts().path, "/etc/group");
}

TEST(unlisted_sources, are_those_that_may_have_more_accounts_than_they_list) {
  EXPECT_EQ(unlisted_sources("passwd: files systemd\ngroup: files sss\n", "passwd.byname"), "");
  EXPECT_EQ(unlisted_sources("passwd: files\ngroup: files sss\n", "group.byname"), "sss");
  EXPECT_EQ(unlisted_sources("# passwd: x\npasswd:\tfiles [NOTFOUND=return] sss ldap # y\n",
                             "passwd.byname"),
            "sss ldap");
  EXPECT_EQ(unlisted_sources("", "passwd.byname"), "");
}

TEST_F(TablesTest, tells_of_lines_that_are_left_out) {
  write("nets", "192.0.2.0/24 ours\nnonsense here\n");
  EXPECT_EQ(ask(open("cidr:" + path("nets")), "192.0.2.9"), "ours");
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_TRUE(warnings_[0].starts_with(path("nets") + ", line 2: ")) << warnings_[0];
}

TEST_F(TablesTest, warns_of_a_table_older_than_its_source) {
  const std::string name = compile("domains", {"relay.tld"});
  write("domains", "relay.tld x\n");
  EXPECT_EQ(ask(open(name), "relay.tld"), "value");
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_EQ(warnings_[0], "table " + path("domains") + ".phm is older than its source " +
                              path("domains") + "; run: mapc " + name);
}

TEST_F(TablesTest, reads_only_what_changed) {
  const std::string first = compile("first", {"a"}), second = compile("second", {"a"});
  const std::string both = "unionmap:{" + first + "," + second + "}";
  TableStore before;
  ASSERT_TRUE(before.open(both).has_value());
  compile("first", {"b"});
  compile("second", {"b"});

  TableStore after({"", before.tables(), std::set<std::string>{path("second") + ".phm"}, 0, {}});
  EXPECT_EQ(ask(after.open(both).value(), "a"), "value");  // of the first
  EXPECT_EQ(ask(after.open(both).value(), "b"), "value");  // of the second
  EXPECT_EQ(after.open(first).value(), before.open(first).value());
  EXPECT_NE(after.open(second).value(), before.open(second).value());
  EXPECT_NE(after.open(both).value(), before.open(both).value());
  ASSERT_EQ(after.files().size(), 1U);
  EXPECT_EQ(after.files()[0].path, path("second") + ".phm");
}

TEST_F(TablesTest, the_same_contents_are_the_same_table) {
  const std::string name = compile("same", {"a"});
  TableStore before;
  ASSERT_TRUE(before.open(name).has_value());
  compile("same", {"a"});
  TableStore again({"", before.tables(), {}, 0, {}});
  EXPECT_EQ(again.open(name).value(), before.open(name).value());
}

TEST_F(TablesTest, a_bad_file_leaves_the_table_in_service) {
  const std::string name = compile("table", {"a"}), file = path("table") + ".phm";
  TableStore before;
  ASSERT_TRUE(before.open(name).has_value());
  const auto refresh = [&] {
    TableStore after({"", before.tables(), std::set<std::string>{file}, 0, {}});
    const auto table = after.open(name);
    EXPECT_EQ(table.value(), before.open(name).value());
    EXPECT_EQ(after.files().size(), 1U);
    EXPECT_NE(after.files()[0].error.find("; run: mapc " + name), std::string::npos);
    EXPECT_TRUE(after.files()[0].damaged);
  };
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  refresh();
  write("table.phm", "garbage");
  refresh();
  std::filesystem::remove(file);
  refresh();
  std::filesystem::create_directory(file);
  refresh();
}

TEST_F(TablesTest, every_cut_of_a_compiled_file_is_refused) {
  const std::string name = compile("table", {"a", "b"}), file = path("table") + ".phm";
  const auto whole = io::read_file(file, 1U << 20);
  ASSERT_TRUE(whole.has_value());
  for (size_t size = 0; size < whole->buffer.size(); size += size < 4000 ? 512 : 1) {
    ASSERT_TRUE(
        io::write_file_atomically(file, whole->buffer.bytes().first(size), 0644).has_value());
    ASSERT_NE(error(name), "") << size;
  }
}

TEST_F(TablesTest, takes_the_new_files_that_a_set_record_names) {
  const std::string name = compile("table", {"old"});
  compile("table", {"new"}, ".new-0000000000000007");
  TableStore none({directory_, {}, {}, 0, {}});
  EXPECT_EQ(ask(none.open(name).value(), "old"), "value");
  EXPECT_TRUE(none.is_of_one_run());
  write_record(7, {"table"});
  EXPECT_FALSE(none.is_of_one_run());
  TableStore committed({directory_, {}, {}, 0, {}});
  EXPECT_EQ(ask(committed.open(name).value(), "new"), "value");
  EXPECT_TRUE(committed.is_of_one_run());
  std::filesystem::rename(path("table") + ".phm.new-0000000000000007", path("table") + ".phm");
  TableStore renamed({directory_, committed.tables(), std::set<std::string>{}, 7, {}});
  EXPECT_EQ(renamed.open(name).value(), committed.open(name).value());
  EXPECT_TRUE(renamed.is_of_one_run());
}

// hash: and btree: of one path are one compiled file.
TEST_F(TablesTest, opens_one_file_under_two_types) {
  compile("both", {"a@b"});
  TableStore store({directory_, {}, {}, 0, {path("both") + ".phm"}});
  for (const char* type : {"hash:", "btree:", "lmdb:"}) {
    const auto table = store.open(type + path("both"));
    ASSERT_TRUE(table.has_value()) << table.error();
    EXPECT_EQ(ask(*table, "a@b"), "value");
  }
}

// A run that was committed and not renamed: what is polled is the file that will be replaced.
TEST_F(TablesTest, a_run_that_was_not_finished_is_no_change_each_time) {
  compile("t", {"old@b"});
  const auto before = io::file_facts(path("t") + ".phm");
  compile("t", {"new@b"}, ".new-0000000000000007");
  write_record(7, {"t"});
  TableStore store({directory_, {}, {}, 0, {}});
  const auto table = store.open("hash:" + path("t"));
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(ask(*table, "new@b"), "value");
  ASSERT_EQ(store.files().back().path, path("t") + ".phm");
  EXPECT_EQ(store.files().back().seen, *before);
}

TEST_F(TablesTest, a_record_that_can_not_be_read_leaves_all_in_service) {
  const std::string spec = compile("t", {"a@b"});
  TableStore first({directory_, {}, {}, 0, {}});
  const TablePointer old = *first.open(spec);
  compile("t", {"c@d"});
  std::filesystem::create_directory(path(std::string(maps::set_record_name)));
  TableStore store({directory_, {old}, std::set{path("t") + ".phm"}, 0, {}});
  const auto table = store.open(spec);
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(*table, old);
  EXPECT_NE(store.files().front().error, "");
  EXPECT_FALSE(store.files().front().damaged);  // tried again
}

TEST_F(TablesTest, says_only_so_much_of_a_source_that_is_something_else) {
  std::string text = "192.0.2.0/24 OK\n";
  for (int i = 0; i < 30'000; ++i) text += "<html>\n";
  write("page", text);
  EXPECT_EQ(ask(open("cidr:" + path("page")), "192.0.2.1"), "OK");
  ASSERT_EQ(warnings_.size(), 21U);
  EXPECT_NE(warnings_.back().find("9980 more"), std::string::npos) << warnings_.back();
}

TEST_F(TablesTest, a_damaged_set_record_is_said) {
  const std::string name = compile("table", {"a"});
  write(std::string(maps::set_record_name), "garbage\n");
  TableStore store({directory_, {}, {}, 0, {}});
  EXPECT_EQ(ask(store.open(name).value(), "a"), "value");
  ASSERT_EQ(store.warnings().size(), 1U);
  EXPECT_NE(store.files()[0].error, "");
}

// --- Snapshots and their publication

class SnapshotTest : public TablesTest {
 protected:
  SnapshotTest() {
    domains_ = compile("domains", {"one.tld"});
    recipients_ = compile("recipients", {"a@one.tld"});
    write("main.cf",
          "compatibility_level = 3.6\nmyhostname = mx.example.org\nmydestination =\n"
          "mynetworks = 127.0.0.0/8\nrelayhost = [127.0.0.1]:2525\n"
          "relay_domains = " +
              domains_ + "\nrelay_recipient_maps = " + recipients_ +
              "\nsmtpd_relay_restrictions = reject_unauth_destination\n");
    SnapshotResult result =
        load_snapshot(directory_, config::disk_reader(), config::read_host_facts());
    for (const auto& one : result.errors) ADD_FAILURE() << config::to_string(one);
    snapshot_ = std::move(result.snapshot);
    run_ = result.run;
  }
  SnapshotResult refresh(const std::set<std::string>& changed) {
    return refresh_snapshot(*snapshot_, run_, changed);
  }
  static std::string ask_all(const Snapshot& snapshot, std::string_view key) {
    std::string all;
    for (const TablePointer& table : snapshot.tables) all += std::string(ask(table, key)) + " ";
    return all;
  }

  std::string domains_, recipients_;
  std::unique_ptr<const Snapshot> snapshot_;
  uint64_t run_ = 0;
};

// Each mistake once, and none that only comes of another.
TEST_F(SnapshotTest, a_bad_value_hides_no_other_mistake) {
  write("main.cf",
        "compatibility_level = 3.6\nmyhostname = mx.example.org\nmydestination =\n"
        "relay_domains = hash:/nowhere/domains\ntransport_maps = foo:/bar\n"
        "smtpd_restriction_classes = unset\n"
        "smtpd_relay_restrictions = ${x\nsmtpd_recipient_restrictions = unset\n"
        "smtpd_sender_restrictions = permit_nobody\n");
  const SnapshotResult result =
      load_snapshot(directory_, config::disk_reader(), config::read_host_facts());
  EXPECT_EQ(result.snapshot, nullptr);
  ASSERT_NE(result.settings, nullptr);
  std::vector<uint32_t> lines;
  for (const config::Diagnostic& one : result.errors)
    if (one.severity == config::Severity::error) lines.push_back(one.line);
  EXPECT_EQ(lines, (std::vector<uint32_t>{4, 5, 6, 7, 9}));
}

TEST_F(SnapshotTest, nothing_changed_is_no_snapshot) {
  const SnapshotResult result = refresh({path("domains") + ".phm"});
  EXPECT_EQ(result.snapshot, nullptr);
  EXPECT_TRUE(result.errors.empty());
}

TEST_F(SnapshotTest, a_changed_table_goes_into_the_same_settings) {
  compile("recipients", {"b@one.tld"});
  write("main.cf", "nonsense");  // not read
  const SnapshotResult result = refresh({path("recipients") + ".phm"});
  ASSERT_NE(result.snapshot, nullptr);
  EXPECT_EQ(result.snapshot->settings, snapshot_->settings);
  EXPECT_EQ(result.snapshot->tables[0], snapshot_->tables[0]);
  EXPECT_EQ(ask_all(*result.snapshot, "b@one.tld"), "- value ");
}

TEST_F(SnapshotTest, a_run_is_taken_as_a_whole_or_not_at_all) {
  const std::string pending = ".new-0000000000000005";
  compile("domains", {"two.tld"}, pending);
  write("recipients.phm" + pending, "half");
  write_record(5, {"domains", "recipients"});
  SnapshotResult result = refresh({});
  EXPECT_EQ(result.snapshot, nullptr);
  EXPECT_EQ(result.run, run_);  // to be tried again
  const auto bad =
      std::ranges::count_if(result.files, [](const auto& f) { return !f.error.empty(); });
  EXPECT_EQ(bad, 1);

  compile("recipients", {"a@two.tld"}, pending);
  result = refresh({});
  ASSERT_NE(result.snapshot, nullptr);
  EXPECT_EQ(result.run, 5U);
  EXPECT_EQ(ask_all(*result.snapshot, "two.tld"), "value - ");
  EXPECT_EQ(ask_all(*result.snapshot, "a@two.tld"), "- value ");
}

TEST_F(SnapshotTest, the_publisher_frees_what_nobody_holds) {
  Publisher publisher;
  const SnapshotPointer first = publisher.publish(std::move(snapshot_));
  EXPECT_EQ(publisher.alive(), 1U);
  SnapshotPointer own = with_own_count(first);
  EXPECT_EQ(own.get(), first.get());
  EXPECT_EQ(first.use_count(), 3);  // the publisher's, ours, the holder of `own`
  const SnapshotPointer more = own;
  EXPECT_EQ(first.use_count(), 3);
  for (int i = 0; i < 10; ++i) {
    auto next = std::make_unique<const Snapshot>(first->settings, Policy{}, first->tables);
    publisher.publish(std::move(next));
    publisher.free_retired();
    EXPECT_EQ(publisher.alive(), 2U);  // the first and the newest
  }
  EXPECT_EQ(publisher.publications(), 11U);
}

}  // namespace
}  // namespace mx::policy
