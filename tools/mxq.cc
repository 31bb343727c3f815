// tools/mxq.cc - the operator's view of the queue: asks the running daemon over its control socket.

#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "engine/config/load.h"

namespace {

using nlohmann::json;

struct Unavailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Sends a request and hands each line of the answer to `on_line`.
template <typename OnLine>
void ask(const std::string& socket_path, const char* request, OnLine&& on_line) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof at.sun_path) throw Unavailable(socket_path + ": too long");
  std::memcpy(at.sun_path, socket_path.data(), socket_path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
    throw Unavailable(socket_path + ": " + std::strerror(errno) + " (is ringmx running?)");
  const std::string line = std::string(request) + "\n";
  if (::send(fd, line.data(), line.size(), MSG_NOSIGNAL) < 0)
    throw Unavailable(socket_path + ": " + std::strerror(errno));
  std::string text;
  char buffer[65536];
  while (true) {
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
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
  ::close(fd);
}

json parse(const std::string& line) {
  json value = json::parse(line);
  if (value.contains("error")) throw Unavailable(value["error"].get<std::string>());
  return value;
}

// As `postqueue -p` prints it.
void print_listing(const std::string& socket_path) {
  uint64_t messages = 0, bytes = 0;
  ask(socket_path, "list", [&](const std::string& line) {
    const json m = parse(line);
    if (messages++ == 0)
      std::printf("%-17s %8s %-20s %s\n", "-Queue ID-", "--Size--", "---Arrival Time----",
                  "-Sender/Recipient------");
    bytes += m["message_size"].get<uint64_t>();
    const time_t arrival = m["arrival_time"].get<time_t>();
    char when[32];
    std::strftime(when, sizeof when, "%a %b %e %H:%M:%S", std::localtime(&arrival));
    const bool active = m["queue_name"] == "active";
    std::printf("%-17s %8llu %-20s %s\n",
                (m["queue_id"].get<std::string>() + (active ? "*" : "")).c_str(),
                static_cast<unsigned long long>(m["message_size"].get<uint64_t>()), when,
                m["sender"].get<std::string>().empty() ? "MAILER-DAEMON"
                                                       : m["sender"].get<std::string>().c_str());
    std::string reason;
    for (const json& r : m["recipients"]) {
      const std::string why = r.value("delay_reason", "");
      if (why != reason) std::printf("%*s(%s)\n", 8, "", why.c_str());
      reason = why;
      std::printf("%*s%s\n", 48, "", r["address"].get<std::string>().c_str());
    }
    std::printf("\n");
  });
  if (messages == 0)
    std::printf("Mail queue is empty\n");
  else
    std::printf("-- %llu Kbytes in %llu Request%s.\n",
                static_cast<unsigned long long>((bytes + 1023) / 1024),
                static_cast<unsigned long long>(messages), messages == 1 ? "" : "s");
}

void print_json(const std::string& socket_path) {
  ask(socket_path, "list", [](const std::string& line) {
    parse(line);
    std::printf("%s\n", line.c_str());
  });
}

void print_status(const std::string& socket_path, bool as_json) {
  ask(socket_path, "status", [&](const std::string& line) {
    const json s = parse(line);
    if (as_json) {
      std::printf("%s\n", line.c_str());
      return;
    }
    for (const auto& [name, value] : s["counters"].items())
      std::printf("%-24s %llu\n", name.c_str(),
                  static_cast<unsigned long long>(value.get<uint64_t>()));
    for (const char* name : {"shards", "free_segments", "free_bytes", "snapshots", "publications"})
      std::printf("%-24s %llu\n", name, static_cast<unsigned long long>(s[name].get<uint64_t>()));
    std::printf("%-24s %s (%s)\n", "next_hop", s["next_hop"].get<std::string>().c_str(),
                s["next_hop_up"].get<bool>() ? "up" : "down");
    for (const json& table : s["tables"])
      std::printf("table %s: %llu keys, read in %.1f ms\n",
                  table["name"].get<std::string>().c_str(),
                  static_cast<unsigned long long>(table["keys"].get<uint64_t>()),
                  table["load_ms"].get<double>());
    if (s["alarms"].empty()) std::printf("no alarms\n");
    for (const json& alarm : s["alarms"])
      std::printf("ALARM %s: %s\n", alarm["name"].get<std::string>().c_str(),
                  alarm["text"].get<std::string>().c_str());
  });
}

std::string queue_directory(const std::string& config_directory) {
  const mx::config::LoadResult loaded =
      mx::config::load(config_directory, mx::config::disk_reader(), mx::config::read_host_facts());
  if (loaded.settings) return loaded.settings->queue.directory;
  for (const mx::config::Diagnostic& d : loaded.settings.error())
    std::fprintf(stderr, "%s\n", mx::config::to_string(d).c_str());
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"mxq: lists and steers ringmx's queue. Without an option: -p."};
  app.set_help_flag("--help", "print this");  // -h is to hold a message, as with postsuper
  std::string directory = "/etc/ringmx";
  std::string release;
  bool listing = false, json_lines = false, flush = false, status = false, as_json = false;
  app.add_option("-c,--config", directory, "directory with main.cf")->capture_default_str();
  app.add_flag("-p", listing, "list the queue as postqueue -p does");
  app.add_flag("-j", json_lines, "list the queue as JSON lines with the keys of postqueue -j");
  app.add_flag("-f", flush, "try all deferred mail now");
  app.add_option("-H", release, "release a message from hold: its queue id, or ALL");
  app.add_flag("--status", status, "counters and alarms");
  app.add_flag("--json", as_json, "with --status: one JSON object");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EX_OK : EX_USAGE;
  }
  if (listing + json_lines + flush + status + !release.empty() > 1) {
    std::fprintf(stderr, "mxq: -p, -j, -f, -H and --status exclude each other\n");
    return EX_USAGE;
  }
  try {
    const std::string queue = queue_directory(directory);
    if (queue.empty()) return EX_CONFIG;
    const std::string socket_path = queue + "/ringmx.sock";
    if (status)
      print_status(socket_path, as_json);
    else if (json_lines)
      print_json(socket_path);
    else if (flush)
      ask(socket_path, "flush", [](const std::string& line) { parse(line); });
    else if (!release.empty())
      ask(socket_path, ("release " + release).c_str(), [](const std::string& line) {
        std::fprintf(stderr, "mxq: released: %llu messages\n",
                     static_cast<unsigned long long>(parse(line)["released"].get<uint64_t>()));
      });
    else
      print_listing(socket_path);
  } catch (const Unavailable& error) {
    std::fprintf(stderr, "mxq: fatal: %s\n", error.what());
    return EX_UNAVAILABLE;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mxq: fatal: %s\n", error.what());
    return EX_SOFTWARE;
  }
  return EX_OK;
}
