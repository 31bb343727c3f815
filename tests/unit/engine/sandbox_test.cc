// The sandbox and the privileged reader, each in a child process: what they refuse can't be had
// back.
#include "engine/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "engine/io/file.h"
#include "engine/io/privileged_reader.h"
#include "engine/io/ring.h"
#include "engine/privileges.h"

namespace mx {
namespace {

constexpr int no_sandbox = 99;

// The wait status of a child that does `work`; its result is the exit status.
int status_of(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

int in_sandbox(const std::function<int()>& work) {
  return status_of([&] { return enter_sandbox().empty() ? work() : no_sandbox; });
}

bool is_killed(int status) {
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

class Sandbox : public testing::Test {
 protected:
  void SetUp() override {
    if (built_with_sanitizers()) GTEST_SKIP() << "a build with sanitizers";
    const int status = in_sandbox([] { return 0; });
    if (WEXITSTATUS(status) == no_sandbox) GTEST_SKIP() << "seccomp is not available here";
  }
};

TEST_F(Sandbox, EndsTheProcessThatStartsAProgram) {
  EXPECT_TRUE(is_killed(in_sandbox([] {
    ::execl("/bin/true", "true", nullptr);
    return 0;
  })));
}

TEST_F(Sandbox, EndsTheProcessThatAsksForMore) {
  const std::function<int()> attempts[] = {
      [] { return ::setuid(0); },
      [] { return static_cast<int>(::ptrace(PTRACE_TRACEME)); },
      [] { return ::chroot("/"); },
      [] { return io::Ring::create().has_value() ? 1 : 0; },
      [] { return static_cast<int>(::syscall(SYS_bpf, 0, nullptr, 0)); },
  };
  for (const auto& attempt : attempts) EXPECT_TRUE(is_killed(in_sandbox(attempt)));
}

TEST_F(Sandbox, RefusesWhatIsNotListedAndGoesOn) {
  EXPECT_EQ(in_sandbox([] { return ::personality(0xffffffff) == -1 && errno == EPERM ? 0 : 1; }),
            0);
  EXPECT_EQ(in_sandbox([] { return ::mkfifo("/tmp/x", 0600) == -1 && errno == EPERM ? 0 : 1; }), 0);
}

TEST_F(Sandbox, LetsFilesBeRead) {
  EXPECT_EQ(in_sandbox([] { return io::read_file("/etc/passwd", 1 << 20) ? 0 : 1; }), 0);
}

// As in a container that does not allow seccomp: the process goes on, and knows.
TEST_F(Sandbox, SaysThatItCannotBeHad) {
  EXPECT_EQ(in_sandbox([] { return enter_sandbox().starts_with("off: ") ? 0 : 1; }), 0);
}

TEST_F(Sandbox, LetsNamesBeLookedUpAndThreadsBeMade) {
  EXPECT_EQ(in_sandbox([] {
              addrinfo* found = nullptr;
              if (::getaddrinfo("localhost", "25", nullptr, &found) != 0) return 1;
              ::freeaddrinfo(found);
              // The resolver itself, with nobody to answer.
              ::getaddrinfo("no-such-name.invalid", nullptr, nullptr, &found);
              if (::getpwnam("root") == nullptr) return 2;
              ::setpwent();
              if (::getpwent() == nullptr) return 3;
              int ran = 0;
              std::thread([&] { ran = 1; }).join();
              return ran == 1 ? 0 : 4;
            }),
            0);
}

class PrivilegedReader : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give away rights";
    if (find_owner("nobody").uid == 0) GTEST_SKIP() << "there is no user nobody";
    char name[] = "/tmp/mx-reader-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    for (const char* file : {"/key", "/other"}) {
      std::ofstream(directory_ + file) << "secret";
      ::chmod((directory_ + file).c_str(), 0600);
    }
    ::chmod(directory_.c_str(), 0755);
  }
  void TearDown() override {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  // As nobody, with /key on the list. What `work` gives is 0 when all is as it should be.
  int as_nobody(const std::function<int()>& work) {
    return status_of([&] {
      if (!io::privileged_reader::start()) return 1;
      io::privileged_reader::allow(path("/key"));
      io::privileged_reader::allow(path("/fifo"));
      io::privileged_reader::allow(path("/open/key"));
      io::privileged_reader::seal();
      io::privileged_reader::allow(path("/other"));  // too late
      if (!become(find_owner("nobody")).empty() || !give_up_privileges().empty()) return 2;
      const int result = work();
      io::privileged_reader::stop();
      return result;
    });
  }
  std::string path(const char* file) const { return directory_ + file; }
  bool can_read(const char* file) const { return io::read_file(path(file), 100).has_value(); }
  std::string directory_;
};

TEST_F(PrivilegedReader, OpensWhatIsOnItsListOnly) {
  EXPECT_EQ(as_nobody([&] {
              if (!can_read("/key")) return 10;
              if (!io::file_facts(path("/key"))) return 11;
              if (can_read("/other")) return 12;
              if (io::privileged_reader::open("/etc/shadow")) return 13;
              if (io::privileged_reader::open(path("/../") + path("/key").substr(5))) return 14;
              if (io::privileged_reader::open("")) return 15;
              if (io::privileged_reader::open(std::string(10'000, 'x'))) return 16;
              return can_read("/key") ? 0 : 17;
            }),
            0);
}

TEST_F(PrivilegedReader, OpensInDirectoriesThatOnlyRootMaySearch) {
  ::chmod(directory_.c_str(), 0700);
  EXPECT_EQ(as_nobody([&] { return can_read("/key") && io::file_facts(path("/key")) ? 0 : 10; }),
            0);
}

TEST_F(PrivilegedReader, RefusesWhatOthersCouldPutInPlace) {
  const Owner nobody = find_owner("nobody");
  ::mkdir(path("/open").c_str(), 0700);
  std::ofstream(path("/open/key")) << "secret";
  ::chmod(path("/open/key").c_str(), 0600);
  EXPECT_EQ(as_nobody([&] { return can_read("/open/key") ? 0 : 10; }), 0);
  ASSERT_EQ(::chown(path("/open").c_str(), nobody.uid, nobody.gid), 0);
  EXPECT_EQ(as_nobody([&] { return can_read("/open/key") ? 10 : 0; }), 0);
  ASSERT_EQ(::chown(path("/open").c_str(), 0, 0), 0);
  ::chmod(path("/open").c_str(), 0777);
  EXPECT_EQ(as_nobody([&] { return can_read("/open/key") ? 10 : 0; }), 0);
  ASSERT_EQ(::mkfifo(path("/fifo").c_str(), 0600), 0);
  EXPECT_EQ(as_nobody([&] { return can_read("/fifo") ? 10 : 0; }), 0);
}

TEST_F(PrivilegedReader, IsNotNeededByWhoMayRead) {
  ::chmod(path("/other").c_str(), 0644);
  EXPECT_EQ(as_nobody([&] {
              io::privileged_reader::stop();
              return can_read("/other") && !can_read("/key") ? 0 : 10;
            }),
            0);
}

}  // namespace
}  // namespace mx
