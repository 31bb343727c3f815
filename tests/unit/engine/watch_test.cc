// What inotify tells of the files in a directory.
#include "engine/io/watch.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace mx::io {
namespace {

using Change = DirectoryWatch::Change;
using Seen = std::vector<std::pair<std::string, Change>>;

class WatchTest : public testing::Test {
 protected:
  WatchTest() {
    std::string pattern = testing::TempDir() + "watchXXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    EXPECT_EQ(watch_.open(), "");
    EXPECT_EQ(watch_.add(directory_), "");
  }
  ~WatchTest() override { std::filesystem::remove_all(directory_); }
  std::string path(const char* name) const { return directory_ + "/" + name; }
  static void write(const std::string& path) { std::ofstream(path) << "x"; }
  Seen take() {
    Seen seen;
    watch_.take([&](const std::string& name, Change change) { seen.emplace_back(name, change); });
    return seen;
  }

  std::string directory_;
  DirectoryWatch watch_;
};

TEST_F(WatchTest, tells_of_what_happens_to_a_name) {
  EXPECT_EQ(take(), Seen());
  write(path("a"));
  EXPECT_EQ(take(), (Seen{{path("a"), Change::created}, {path("a"), Change::written}}));
  std::filesystem::rename(path("a"), path("b"));
  EXPECT_EQ(take(), (Seen{{path("a"), Change::moved}, {path("b"), Change::moved}}));
  std::filesystem::create_symlink("b", path("c"));
  EXPECT_EQ(take(), (Seen{{path("c"), Change::created}}));
  std::filesystem::remove(path("b"));
  EXPECT_EQ(take(), (Seen{{path("b"), Change::moved}}));
}

TEST_F(WatchTest, follows_a_directory_that_took_the_place_of_another) {
  const std::string inner = path("inner");
  std::filesystem::create_directory(inner);
  EXPECT_EQ(watch_.add(inner), "");
  EXPECT_EQ(watch_.add(inner), "");  // as often as you like
  take();
  std::filesystem::rename(inner, path("before"));
  std::filesystem::create_directory(inner);
  EXPECT_EQ(watch_.add(inner), "");
  take();
  write(path("before") + "/old");
  EXPECT_EQ(take(), Seen());
  write(inner + "/new");
  EXPECT_EQ(take(), (Seen{{inner + "/new", Change::created}, {inner + "/new", Change::written}}));
}

TEST_F(WatchTest, tells_under_every_name_of_a_directory) {
  const std::string link = path("link");
  std::filesystem::create_directory_symlink(directory_, link);
  EXPECT_EQ(watch_.add(link), "");
  take();
  std::filesystem::create_directory(path("new"));
  EXPECT_EQ(take(), (Seen{{path("new"), Change::created}, {link + "/new", Change::created}}));
}

TEST_F(WatchTest, says_why_a_directory_is_not_watched) {
  EXPECT_EQ(watch_.add(path("none")), "inotify: " + path("none") + ": No such file or directory");
  DirectoryWatch closed;
  EXPECT_EQ(closed.add(directory_), "");
  closed.take([](const std::string&, Change) { FAIL(); });
}

}  // namespace
}  // namespace mx::io
