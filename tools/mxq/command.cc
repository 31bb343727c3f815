#include "tools/mxq/command.h"

#include <sysexits.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <stdexcept>

#include "proto/base/limits.h"
#include "proto/base/text.h"
#include "queue/message_id.h"
#include "tools/mxq/check.h"
#include "tools/mxq/client.h"
#include "tools/mxq/drain.h"
#include "tools/mxq/export.h"
#include "tools/mxq/print.h"

namespace mx::mxq {

using nlohmann::json;

namespace {

queue::MessageId checked_id(const std::string& word) {
  const auto id = queue::parse_message_id(word);
  if (!id)
    throw std::invalid_argument("\"" + printable(word, 40) +
                                "\" is not a queue id (there may be several; or ALL, or -)");
  return *id;
}

std::string text_of(queue::MessageId id) {
  return std::string(queue::to_text(id).view());
}

}  // namespace

// What would choose nothing is a slip: whoever gives it believes that the rest is spared.
void Command::check_choice() const {
  const Options& o = options_;
  const bool steers = !o.kick.empty() || !o.hold.empty() || !o.release.empty() ||
                      !o.requeue.empty() || !o.remove.empty();
  const bool all = o.status || o.fsck || (o.flush && o.destination.empty());
  if (!o.only.empty() && (all || steers || o.flush || !o.flush_domain.empty()))
    throw std::invalid_argument(
        "--id goes with listings, --export, --mbox and --drain-to only; what steers mail takes the "
        "ids themselves");
  if (!o.destination.empty() && (all || !o.flush_domain.empty()))
    throw std::invalid_argument("--destination does not go with --status, --fsck or -s");
  if (o.as_json && !o.status)
    throw std::invalid_argument("--json goes with --status; -j lists the queue as JSON");
}

Choice Command::choice() const {
  Choice choice{.ids = {}, .domain = options_.destination};
  for (const std::string& word : options_.only) choice.ids.insert(checked_id(word));
  return choice;
}

void Command::each_line(const Choice& choice,
                        const std::function<void(const std::string&)>& on_line) {
  if (!is_running(socket_)) {
    QueueAtRest queue(settings_, QueueAtRest::Access::read_only, queue::Verify::open_segments);
    queue.each(choice, [&](const auto& message, Bytes commit) {
      on_line(spool::to_json(message, commit));
    });
    return;
  }
  std::string request = "list";
  if (!choice.domain.empty()) request += " @" + choice.domain;
  for (const queue::MessageId id : choice.ids) request += " " + text_of(id);
  ask(socket_, request, [&](const std::string& line) { on_line(line + "\n"); });
}

int Command::list() {
  Listing listing;
  AgeTable table;
  const int64_t now = std::time(nullptr);
  const Choice chosen = choice();
  std::set<queue::MessageId> missing = chosen.ids;
  each_line(chosen, [&](const std::string& line) {
    const json message = parse(line);
    if (!missing.empty()) missing.erase(checked_id(message["queue_id"]));
    if (options_.json_lines)
      std::fputs(line.c_str(), stdout);
    else if (options_.shape)
      table.add(message, now);
    else
      listing.add(message);
  });
  if (options_.shape)
    table.print();
  else if (!options_.json_lines)
    listing.end();
  return tell_missing(missing);
}

int Command::send_steer(const std::string& request, const char* verb) {
  int status = EX_OK;
  ask(socket_, request, [&](const std::string& line) {
    const json answer = parse(line);
    std::fprintf(stderr, "mxq: %s: %s done", verb, answer["done"].dump().c_str());
    if (answer["after_attempt"] != 0)
      std::fprintf(stderr, ", %s after the attempt that is under way",
                   answer["after_attempt"].dump().c_str());
    if (answer["not_so"] != 0)
      std::fprintf(stderr, ", %s left as they are", answer["not_so"].dump().c_str());
    std::fprintf(stderr, "\n");
    for (const json& id : answer["unknown"]) {
      std::fprintf(stderr, "mxq: %s: no such message\n", id.get<std::string>().c_str());
      status = EX_DATAERR;
    }
  });
  return status;
}

// Ids one by one, `-` for those on standard input, ALL; or all of a destination. All of it is
// checked before anything is asked for: what is long goes in several requests. ALL counts on the
// command line only: a list of ids that went wrong must not become everything.
int Command::steer(const char* verb, const std::vector<std::string>& what, const char* called) {
  if (called == nullptr) called = verb;
  std::vector<std::string> words;
  if (std::find(what.begin(), what.end(), "ALL") != what.end()) {
    if (what.size() > 1) throw std::invalid_argument("ALL stands alone");
    words = {options_.destination.empty() ? "ALL" : "@" + options_.destination};
  } else if (!options_.destination.empty()) {
    throw std::invalid_argument("--destination goes with ALL, not with queue ids");
  } else {
    for (const std::string& word : what) {
      if (word != "-") words.push_back(text_of(checked_id(word)));
      if (word != "-") continue;
      for (std::string id; std::cin >> id;) words.push_back(text_of(checked_id(id)));
    }
  }
  if (words.empty()) return EX_OK;
  int status = EX_OK;
  std::string request = verb;
  for (const std::string& word : words) {
    if (request.size() + word.size() + 2 > limits::control_request_bytes_max) {
      status = std::max(status, send_steer(request, called));
      request = verb;
    }
    request += " " + word;
  }
  return std::max(status, send_steer(request, called));
}

int Command::tell_missing(const std::set<queue::MessageId>& missing) const {
  for (const queue::MessageId id : missing)
    std::fprintf(
        stderr, "mxq: %s: no such message%s\n", text_of(id).c_str(),
        options_.destination.empty() ? "" : (" for " + printable(options_.destination)).c_str());
  return missing.empty() ? EX_OK : EX_DATAERR;
}

// What a copy of the queue lacks, or may lack.
int Command::tell_problems(const QueueAtRest& queue) const {
  const int status = tell_missing(queue.missing());
  const uint64_t damaged = queue.recovered().damage_count;
  if (damaged == 0) return status;
  std::fprintf(stderr, "mxq: the queue has %llu damaged places, see mxq --fsck\n",
               static_cast<unsigned long long>(damaged));
  return EX_DATAERR;
}

int Command::save() {
  const Choice chosen = choice();
  if (is_running(socket_)) std::fprintf(stderr, "mxq: %s\n", running_remark);
  QueueAtRest queue(settings_, QueueAtRest::Access::read_only, queue::Verify::open_segments);
  const bool mbox = !options_.export_mbox.empty();
  const Exported result = mbox ? export_to_mbox(queue, chosen, options_.export_mbox)
                               : export_to_directory(queue, chosen, options_.export_directory);
  std::fprintf(stderr, "mxq: %llu messages written, %llu could not be read\n",
               static_cast<unsigned long long>(result.messages),
               static_cast<unsigned long long>(result.unreadable));
  return std::max(tell_problems(queue), result.unreadable == 0 ? EX_OK : EX_DATAERR);
}

int Command::hand_over() {
  const HostPort to = parse_host_port(options_.drain_to);
  const Choice chosen = choice();
  if (is_running(socket_))
    throw Unavailable("ringmx is running: stop it first (or set relayhost and reload)");
  QueueAtRest queue(settings_, QueueAtRest::Access::alone, queue::Verify::open_segments);
  const Drained result = drain(queue, chosen, settings_, to);
  std::fprintf(stderr,
               "mxq: %llu messages and %llu recipients handed over, %llu recipients left, %llu "
               "messages unreadable\n",
               static_cast<unsigned long long>(result.messages),
               static_cast<unsigned long long>(result.recipients),
               static_cast<unsigned long long>(result.recipients_left),
               static_cast<unsigned long long>(result.unreadable));
  if (result.held != 0)
    std::fprintf(stderr, "mxq: %llu of these messages were on hold: they are so no more\n",
                 static_cast<unsigned long long>(result.held));
  if (queue.cut_short())
    std::fprintf(stderr, "mxq: interrupted: the same command goes on from here\n");
  const int problems = tell_problems(queue);
  if (result.recipients_left != 0 || queue.cut_short()) return EX_TEMPFAIL;
  return result.unreadable == 0 ? problems : EX_DATAERR;
}

// -1: nothing of this kind was asked for.
int Command::steer_all() {
  if (options_.flush && options_.destination.empty()) {
    ask(socket_, "flush", [](const std::string& line) { parse(line); });
    return EX_OK;
  }
  if (options_.flush) options_.flush_domain = options_.destination;
  if (!options_.flush_domain.empty()) return send_steer("kick @" + options_.flush_domain, "flush");
  if (!options_.kick.empty()) return steer("kick", options_.kick, "try");
  if (!options_.hold.empty()) return steer("hold", options_.hold);
  if (!options_.release.empty()) return steer("release", options_.release);
  if (!options_.requeue.empty()) return steer("requeue", options_.requeue);
  if (!options_.remove.empty()) return steer("delete", options_.remove);
  return -1;
}

int Command::run() {
  check_choice();
  if (options_.status) {
    ask(socket_, "status", [&](const std::string& line) {
      const json status = parse(line);
      if (options_.as_json)
        std::printf("%s\n", line.c_str());
      else
        print_status(status);
    });
    return EX_OK;
  }
  if (options_.fsck) {
    QueueAtRest queue(settings_, QueueAtRest::Access::read_only, queue::Verify::all);
    return check(queue, is_running(socket_));
  }
  if (!options_.export_directory.empty() || !options_.export_mbox.empty()) return save();
  if (!options_.drain_to.empty()) return hand_over();
  if (const int status = steer_all(); status >= 0) return status;
  return list();
}

}  // namespace mx::mxq
