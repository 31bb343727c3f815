// tools/mxq/command.h - what mxq was asked to do, done.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "engine/config/settings.h"
#include "tools/mxq/rest.h"

namespace mx::mxq {

struct Options {
  std::string directory = "/etc/ringmx";
  bool listing = false, json_lines = false, flush = false, status = false, as_json = false;
  bool shape = false, fsck = false;
  std::string flush_domain, export_directory, export_mbox, drain_to;
  std::vector<std::string> kick, hold, release, requeue, remove, only;
  std::string destination;
};

class Command {
 public:
  Command(Options options, config::Settings settings)
      : options_(std::move(options)),
        settings_(std::move(settings)),
        socket_(settings_.queue.directory + "/ringmx.sock") {}
  // The exit status. Throws Unavailable, and what else goes wrong as std::exception.
  int run();

 private:
  void check_choice() const;
  // Throws for what is no queue id.
  Choice choice() const;
  // Each queued message as JSON, from the running daemon or from the files.
  void each_line(const Choice& choice, const std::function<void(const std::string&)>& on_line);
  int list();
  int steer_all();
  // `called`: what a person calls it, if not so.
  int steer(const char* verb, const std::vector<std::string>& what, const char* called = nullptr);
  int send_steer(const std::string& request, const char* verb);
  int tell_missing(const std::set<queue::MessageId>& missing) const;
  int tell_problems(const QueueAtRest& queue) const;
  int save();
  int hand_over();

  Options options_;
  config::Settings settings_;
  std::string socket_;
};

}  // namespace mx::mxq
