#include "engine/spool/flush_group.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "proto/base/prng.h"

namespace mx::spool {
namespace {

constexpr int nothing = FlushGroup::nothing;

struct Journal {
  explicit Journal(FlushGroup& group) : member(group, [this] { ++wakes; }) {}
  int wakes = 0;
  FlushGroup::Member member;
};

TEST(FlushGroup, OneAloneFlushesAtOnce) {
  FlushGroup group;
  Journal a(group);
  group.begin_write(a.member);
  EXPECT_EQ(group.request(a.member, 7), 7);
  EXPECT_EQ(group.end_write(a.member), nothing);  // the write ended in its request
  EXPECT_FALSE(group.take(a.member).has_value());
  group.flushed(0);
  EXPECT_EQ(a.wakes, 1);
  EXPECT_EQ(group.take(a.member), 0);
  EXPECT_FALSE(group.take(a.member).has_value());
  EXPECT_EQ(group.settled(a.member), nothing);
}

TEST(FlushGroup, WaitsForThoseThatWrite) {
  FlushGroup group;
  Journal a(group), b(group);
  group.begin_write(a.member);
  group.begin_write(b.member);
  EXPECT_EQ(group.request(a.member, 7), nothing);
  const int fd = group.request(b.member, 8);
  EXPECT_TRUE(fd == 7 || fd == 8);
  group.flushed(0);
  EXPECT_EQ(group.take(a.member), 0);
  EXPECT_EQ(group.take(b.member), 0);
  EXPECT_EQ(group.settled(a.member), nothing);
  EXPECT_EQ(group.settled(b.member), nothing);
}

TEST(FlushGroup, AWriteThatNeedsNoFlushLetsItGo) {
  FlushGroup group;
  Journal a(group), b(group);
  group.begin_write(b.member);
  EXPECT_EQ(group.request(a.member, 7), nothing);
  EXPECT_EQ(group.end_write(b.member), 7);
  group.flushed(0);
  EXPECT_EQ(b.wakes, 0);
  EXPECT_EQ(group.take(a.member), 0);
  EXPECT_EQ(group.settled(a.member), nothing);
}

// What was not complete when a flush began is not covered by it, and the next one takes along what
// those write who have just been served.
TEST(FlushGroup, LateOnesShareTheNext) {
  FlushGroup group;
  Journal a(group), b(group);
  EXPECT_EQ(group.request(a.member, 7), 7);
  EXPECT_EQ(group.request(b.member, 8), nothing);
  group.flushed(0);
  EXPECT_EQ(b.wakes, 0);
  EXPECT_FALSE(group.take(b.member).has_value());
  EXPECT_EQ(group.take(a.member), 0);
  group.begin_write(a.member);
  EXPECT_EQ(group.settled(a.member), nothing);  // it writes
  EXPECT_NE(group.request(a.member, 7), nothing);
  group.flushed(0);
  EXPECT_EQ(group.take(a.member), 0);
  EXPECT_EQ(group.take(b.member), 0);
  EXPECT_EQ(group.settled(a.member), nothing);
  EXPECT_EQ(group.settled(b.member), nothing);
}

TEST(FlushGroup, AFailureIsEverybodys) {
  FlushGroup group;
  Journal a(group), b(group);
  group.begin_write(b.member);
  EXPECT_EQ(group.request(a.member, 7), nothing);
  EXPECT_NE(group.request(b.member, 8), nothing);
  group.flushed(-EIO);
  for (Journal* each : {&a, &b}) {
    EXPECT_EQ(group.take(each->member), -EIO);
    EXPECT_EQ(group.settled(each->member), nothing);
  }
}

// Files as the queue has them may be anywhere; what must not pass are holes and unwritten blocks.
TEST(FlushGroup, IsNotForFilesWithHoles) {
  char path[] = "flush-group-XXXXXX";
  const int fd = ::mkstemp(path);
  ASSERT_GE(fd, 0);
  ::unlink(path);
  constexpr size_t bytes = 1U << 20;
  const std::vector<char> text(bytes / 2, 'x');
  ASSERT_EQ(::pwrite(fd, text.data(), text.size(), 0), ssize_t{bytes / 2});
  ASSERT_EQ(::ftruncate(fd, bytes), 0);
  ASSERT_EQ(::fsync(fd), 0);
  EXPECT_FALSE(shares_flush(fd, bytes));  // a hole
  EXPECT_EQ(::fallocate(fd, 0, bytes / 2, bytes / 2), 0);
  ASSERT_EQ(::fsync(fd), 0);
  EXPECT_FALSE(shares_flush(fd, bytes));  // allocated, not written
  ASSERT_EQ(::pwrite(fd, text.data(), text.size(), bytes / 2), ssize_t{bytes / 2});
  ASSERT_EQ(::fsync(fd), 0);
  EXPECT_EQ(shares_flush(fd, bytes), shares_flush(fd, bytes / 2));  // by the file system alone
  ::close(fd);
}

// Threads of their own, each as a shard does it: nobody is forgotten, and no flush is believed that
// began before the write was complete.
TEST(FlushGroup, ServesThreads) {
  constexpr int threads = 4, rounds = 2000;
  FlushGroup group;
  std::atomic<uint64_t> clock{0};  // counts completed writes and flushes begun
  std::atomic<uint64_t> flush_began{0};
  std::vector<std::unique_ptr<std::atomic<bool>>> woken;
  for (int i = 0; i < threads; ++i) woken.push_back(std::make_unique<std::atomic<bool>>(false));
  const auto shard = [&](int number) {
    std::atomic<bool>& flag = *woken[static_cast<size_t>(number)];
    FlushGroup::Member member(group, [&] {
      flag = true;
      flag.notify_all();
    });
    Prng prng(static_cast<uint64_t>(number));
    const auto flush = [&](int fd) {
      if (fd == nothing) return;
      flush_began = ++clock;
      group.flushed(0);
    };
    for (int i = 0; i < rounds; ++i) {
      if (prng.chance(80)) group.begin_write(member);
      if (prng.chance(10)) {
        flush(group.end_write(member));
        continue;
      }
      const uint64_t written = ++clock;
      flush(group.request(member, number));
      flag.wait(false);
      flag = false;
      EXPECT_EQ(group.take(member), 0);
      EXPECT_GT(flush_began.load(), written);
      flush(group.settled(member));
    }
  };
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back(shard, i);
  for (std::thread& thread : running) thread.join();
}

}  // namespace
}  // namespace mx::spool
