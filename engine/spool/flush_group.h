// engine/spool/flush_group.h - one flush a device for the journals of all shards.
//
// A drive's flush covers every write that was complete when it began, whoever wrote it, and a drive
// does one flush at a time. Journals that flush by themselves wait for each other's: one that comes
// while a flush is under way needs the whole of the next one, and its messages wait up to four
// times the flush time instead of two. So where a flush is slow the journals flush together: when
// no flush is under way, and every journal has written what it had to write since the last one,
// one fdatasync serves all that wait.
//
// Only for file systems of which it is known that fdatasync of any file flushes the drive, and for
// files whose writes go past the page cache and in place, with no metadata to follow: ext4 and xfs,
// no data journal, every block written and nobody else's (shares_flush()). There the flush of one
// segment is the flush of all.
//
//   Member: idle -> writing -> waiting -> covered -> done -> (taken, settled) idle
//
// Threads: all functions from any thread, one mutex; a few calls a flush. A function that returns a
// descriptor asks its caller to fdatasync it through its ring and to report with flushed().
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

namespace mx::spool {

class FlushGroup {
 public:
  // One stream of one shard. At most one operation under way, as in queue::Device.
  class Member {
   public:
    // `wake`, from any thread: its shard calls take() soon.
    Member(FlushGroup& group, std::function<void()> wake);
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

   private:
    friend class FlushGroup;
    enum class State : uint8_t { idle, writing, waiting, covered, done };
    FlushGroup& group_;
    std::function<void()> wake_;
    State state_ = State::idle;
    bool settling_ = false;
    int fd_ = -1;
    int result_ = 0;
  };

  static constexpr int nothing = -1;

  // A write begins that the next flush waits for, and ends.
  void begin_write(Member& member);
  [[nodiscard]] int end_write(Member& member);
  // What the member wrote is to be flushed; `fd` is the file.
  [[nodiscard]] int request(Member& member, int fd);
  // The flush ended, with 0 or a negative errno. Wakes the shards of all that it covered.
  void flushed(int result);
  // The result of the member's flush, once.
  std::optional<int> take(Member& member);
  // After take(): what the member had to write next has begun.
  [[nodiscard]] int settled(Member& member);

 private:
  using State = Member::State;
  int start();

  std::mutex mutex_;
  std::vector<Member*> members_;
  uint32_t writing_ = 0, waiting_ = 0, unsettled_ = 0;
  bool flying_ = false;
};

// Whether that is so for this file of `bytes`, opened with O_DIRECT: the kernel says that O_DIRECT
// is what it seems (ext4 with data=journal takes the flag and writes through the page cache), and
// no extent is missing, unwritten or shared (as in a copy of a queue).
bool shares_flush(int fd, uint64_t bytes);

}  // namespace mx::spool
