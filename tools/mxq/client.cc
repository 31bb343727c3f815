#include "tools/mxq/client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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
  std::string text;
  char buffer[65536];
  while (true) {
    const ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (n < 0) throw Unavailable(socket_path + ": " + std::strerror(errno));
    if (n == 0) break;
    text.append(buffer, static_cast<size_t>(n));
    size_t from = 0;
    for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', from)) {
      on_line(text.substr(from, end - from));
      from = end + 1;
    }
    text.erase(0, from);
  }
}

nlohmann::json parse(const std::string& line) {
  nlohmann::json value = nlohmann::json::parse(line);
  if (value.contains("error")) throw Unavailable(value["error"].get<std::string>());
  return value;
}

}  // namespace mx::mxq
