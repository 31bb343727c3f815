#include "tools/mxq/client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "engine/io/fd.h"

namespace mx::mxq {
namespace {

// Empty when nobody listens.
io::Fd connect_to(const std::string& socket_path) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof at.sun_path) throw Unavailable(socket_path + ": too long");
  std::memcpy(at.sun_path, socket_path.data(), socket_path.size());
  io::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) fd.reset();
  return fd;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

struct LineBuffer {  // getline's
  char* text = nullptr;
  size_t size = 0;
  ~LineBuffer() { std::free(text); }
};

// All of it, before any of it is printed: the daemon does not wait for somebody who reads page by
// page (`mxq -p | less`). In a file without a name, as a listing may be larger than memory.
std::unique_ptr<std::FILE, CloseFile> take_answer(const io::Fd& fd, const std::string& from) {
  std::unique_ptr<std::FILE, CloseFile> file(std::tmpfile());
  if (!file) throw std::runtime_error(std::string("temporary file: ") + std::strerror(errno));
  char buffer[65536];
  while (true) {
    const ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Unavailable(from + ": " + std::strerror(errno));
    if (n == 0) break;
    const size_t size = static_cast<size_t>(n);
    if (std::fwrite(buffer, 1, size, file.get()) != size)
      throw std::runtime_error(std::string("temporary file: ") + std::strerror(errno));
  }
  if (std::fflush(file.get()) != 0)
    throw std::runtime_error(std::string("temporary file: ") + std::strerror(errno));
  std::rewind(file.get());
  return file;
}

}  // namespace

bool is_running(const std::string& socket_path) {
  return static_cast<bool>(connect_to(socket_path));
}

void ask(const std::string& socket_path, const std::string& request,
         const std::function<void(const std::string&)>& on_line) {
  const io::Fd fd = connect_to(socket_path);
  if (!fd) throw Unavailable(socket_path + ": " + std::strerror(errno) + " (is ringmx running?)");
  const std::string line = request + "\n";
  if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0)
    throw Unavailable(socket_path + ": " + std::strerror(errno));
  const std::unique_ptr<std::FILE, CloseFile> answer = take_answer(fd, socket_path);
  LineBuffer line_buffer;
  std::string last;
  bool any = false;
  for (ssize_t n; (n = ::getline(&line_buffer.text, &line_buffer.size, answer.get())) > 0;) {
    if (any) on_line(last);
    any = true;
    last.assign(line_buffer.text, static_cast<size_t>(n));
    if (last.back() == '\n') last.pop_back();
  }
  if (last == "{\"end\":true}") return;
  if (any) on_line(last);
  throw Unavailable(socket_path + ": the answer ended too early");
}

nlohmann::json parse(const std::string& line) {
  nlohmann::json value = nlohmann::json::parse(line);
  if (value.contains("error")) throw Unavailable(value["error"].get<std::string>());
  return value;
}

}  // namespace mx::mxq
