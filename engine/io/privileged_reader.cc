#include "engine/io/privileged_reader.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <set>
#include <string_view>

#include "proto/base/limits.h"

namespace mx::io::privileged_reader {
namespace {

// A message is a kind and a path; the answer an errno, with the descriptor when it is 0.
enum class Kind : char { allow = 'a', seal = 's', open = 'o' };
constexpr size_t message_bytes_max = 1 + PATH_MAX;

struct Client {
  std::mutex mutex;
  Fd socket;
  pid_t child = 0;
};

Client& client() {
  static Client one;
  return one;
}

// A control message with room for one descriptor.
struct Rights {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> bytes{};
};

void answer(int socket, int error, int fd) {
  iovec part{&error, sizeof error};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Rights rights;
  if (fd >= 0) {
    message.msg_control = rights.bytes.data();
    message.msg_controllen = rights.bytes.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

// Whether only root decides what `path` leads to, as far as its own directories go.
bool is_safe(const std::string& path) {
  for (size_t slash = 0; slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string directory = slash == 0 ? "/" : path.substr(0, slash);
    struct stat status{};
    if (::stat(directory.c_str(), &status) != 0 || status.st_uid != 0) return false;
    if ((status.st_mode & 022) != 0 && (status.st_mode & S_ISVTX) == 0) return false;
  }
  return true;
}

void open_and_answer(int socket, const char* path) {
  if (!is_safe(path)) return answer(socket, EACCES, -1);
  const Fd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return answer(socket, errno, -1);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return answer(socket, EINVAL, -1);
  answer(socket, 0, fd.get());
}

// Keeps the one capability; no way back to more.
void limit_rights() {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability)
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  data[0].effective = data[0].permitted = 1U << CAP_DAC_READ_SEARCH;
  if (::syscall(SYS_capset, &header, data.data()) != 0) ::_exit(1);
#if defined(__x86_64__)
  constexpr uint32_t architecture = AUDIT_ARCH_X86_64;
#else
  constexpr uint32_t architecture = AUDIT_ARCH_AARCH64;
#endif
  constexpr uint32_t arch_at = offsetof(seccomp_data, arch), number_at = offsetof(seccomp_data, nr);
  std::array filter{sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, arch_at),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0),
                    sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                    sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number_at),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_recvfrom, 11, 0),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendmsg, 10, 0),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 9, 0),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fstat, 8, 0),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_newfstatat, 7, 0),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 6, 0),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 5, 0),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 4, 0),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 3, 0),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_brk, 2, 0),
                    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
                    sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                    sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  // Where containers forbid it, the capability and the list must do.
  ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

[[noreturn]] void serve(int socket) {
  if (socket > 0) ::syscall(SYS_close_range, 0, socket - 1, 0);
  ::syscall(SYS_close_range, socket + 1, ~0U, 0);
  ::prctl(PR_SET_NAME, "ringmx-reader");
  ::prctl(PR_SET_DUMPABLE, 0);
  limit_rights();
  std::set<std::string, std::less<>> allowed;
  bool sealed = false;
  std::array<char, message_bytes_max> message;
  while (true) {
    const ssize_t size = ::recv(socket, message.data(), message.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) ::_exit(0);  // the other one is gone
    const std::string path(message.data() + 1, static_cast<size_t>(size) - 1);
    switch (static_cast<Kind>(message[0])) {
      case Kind::allow:
        if (!sealed && allowed.size() < limits::privileged_paths_max) allowed.insert(path);
        break;
      case Kind::seal:
        sealed = true;
        break;
      case Kind::open:
        if (sealed && allowed.contains(path))
          open_and_answer(socket, path.c_str());
        else
          answer(socket, EACCES, -1);
        break;
      default:
        ::_exit(1);
    }
  }
}

bool tell(int socket, Kind kind, std::string_view path) {
  std::string message(1, static_cast<char>(kind));
  message += path;
  return ::send(socket, message.data(), message.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(message.size());
}

// The errno that was answered; `fd` is filled when it is 0.
int take_answer(int socket, Fd& fd) {
  int error = EIO;
  iovec part{&error, sizeof error};
  Rights rights;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = rights.bytes.data();
  message.msg_controllen = rights.bytes.size();
  ssize_t size = 0;
  do size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (size < 0 && errno == EINTR);
  if (size != sizeof error) return EIO;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int received = -1;
    std::memcpy(&received, CMSG_DATA(header), sizeof received);
    fd = Fd(received);
  }
  return error == 0 && !fd ? EIO : error;
}

}  // namespace

std::expected<void, std::string> start() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return std::unexpected(std::string("socketpair: ") + std::strerror(errno));
  Fd ours(ends[0]), theirs(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return std::unexpected(std::string("fork: ") + std::strerror(errno));
  if (child == 0) {
    ours = Fd();
    serve(theirs.get());
  }
  client().socket = std::move(ours);
  client().child = child;
  return {};
}

void allow(const std::string& path) {
  const std::lock_guard lock(client().mutex);
  if (client().socket && path.starts_with('/') && path.size() < PATH_MAX)
    tell(client().socket.get(), Kind::allow, path);
}

void seal() {
  const std::lock_guard lock(client().mutex);
  if (client().socket) tell(client().socket.get(), Kind::seal, {});
}

std::expected<Fd, int> open(const std::string& path) {
  const std::lock_guard lock(client().mutex);
  if (!client().socket || path.size() >= PATH_MAX) return std::unexpected(EACCES);
  if (!tell(client().socket.get(), Kind::open, path)) return std::unexpected(EACCES);
  Fd fd;
  if (const int error = take_answer(client().socket.get(), fd); error != 0)
    return std::unexpected(error);
  return fd;
}

void stop() {
  const std::lock_guard lock(client().mutex);
  if (!client().socket) return;
  client().socket = Fd();
  ::waitpid(client().child, nullptr, 0);
}

}  // namespace mx::io::privileged_reader
