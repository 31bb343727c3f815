#include "engine/dns/resolver.h"

#include <ares.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

#include "engine/dns/wire_type.h"
#include "engine/io/clock.h"
#include "proto/base/assert.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::dns {
namespace {

// Of one server; doubled for the next round over all of them.
constexpr int server_timeout_ms = 1500;
constexpr int server_tries = 2;
// Over all questions of a call.
constexpr Duration deadline = seconds(10);
constexpr int stop_interval_ms = 100;  // how soon `stop` is seen

// c-ares wants this once in a process, before all else; it only sets up memory functions.
bool library_is_ready() {
  static const bool ready = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
  return ready;
}

// What a callback of c-ares needs to know.
struct Pending {
  const Question* question = nullptr;
  Reading* reading = nullptr;
  size_t* left = nullptr;
};

void on_answer(void* argument, ares_status_t status, size_t, const ares_dns_record_t* message) {
  auto& pending = *static_cast<Pending*>(argument);
  --*pending.left;
  if (message != nullptr) {
    *pending.reading = read(*message, *pending.question);
    return;
  }
  pending.reading->answer.why =
      fmt::format("{} {}: {}", to_text(pending.question->type), printable(pending.question->name),
                  ares_strerror(static_cast<int>(status)));
}

}  // namespace

// The channel, and the sockets that it wants to be watched.
struct Resolver::Channel {
  ares_channel_t* raw = nullptr;
  std::string error;
  std::vector<pollfd> sockets;

  static void on_socket(void* self, ares_socket_t fd, int readable, int writable) {
    auto& sockets = static_cast<Channel*>(self)->sockets;
    std::erase_if(sockets, [fd](const pollfd& one) { return one.fd == fd; });
    const int events = (readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0);
    if (events != 0) sockets.push_back({fd, static_cast<short>(events), 0});
  }
};

Resolver::Resolver(const std::vector<std::string>& servers, const std::atomic<bool>& stop)
    : channel_(std::make_unique<Channel>()), stop_(stop) {
  if (!library_is_ready()) {
    channel_->error = "c-ares can't be used";
    return;
  }
  ares_options options{};
  options.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  options.timeout = server_timeout_ms;
  options.tries = server_tries;
  options.udp_max_queries = 1;  // a port of its own for each question: hard to guess
  options.qcache_max_ttl = 0;
  options.sock_state_cb = Channel::on_socket;
  options.sock_state_cb_data = channel_.get();
  const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_UDP_MAX_QUERIES |
                   ARES_OPT_QUERY_CACHE | ARES_OPT_SOCK_STATE_CB;
  int status = ares_init_options(&channel_->raw, &options, mask);
  if (status == ARES_SUCCESS && !servers.empty()) {
    std::string list;
    for (const std::string& server : servers) list += (list.empty() ? "" : ",") + server;
    status = ares_set_servers_ports_csv(channel_->raw, list.c_str());
  }
  if (status != ARES_SUCCESS)
    channel_->error = fmt::format("the resolver can't be set up: {}", ares_strerror(status));
}

Resolver::~Resolver() {
  if (channel_->raw != nullptr) ares_destroy(channel_->raw);
}

std::vector<Answer> Resolver::ask(std::span<const Question> questions) {
  std::vector<Answer> answers(questions.size());
  if (!channel_->error.empty()) {
    for (Answer& answer : answers) answer.why = channel_->error;
    return answers;
  }
  const Instant until = io::now() + deadline;
  // Round after round for what turns out to be an alias.
  std::vector<Question> asked(questions.begin(), questions.end());
  std::vector<size_t> whose(questions.size());
  std::vector<Duration> ttl(questions.size(), seconds(INT32_MAX));  // of the aliases
  for (size_t i = 0; i < whose.size(); ++i) whose[i] = i;
  for (uint32_t round = 0; !asked.empty() && round <= limits::dns_aliases_max; ++round) {
    std::vector<Reading> readings(asked.size());
    ask_once(asked, readings, until);
    std::vector<Question> next;
    std::vector<size_t> next_whose;
    for (size_t i = 0; i < asked.size(); ++i) {
      Answer& answer = answers[whose[i]];
      answer = std::move(readings[i].answer);
      answer.ttl = ttl[whose[i]] = std::min(ttl[whose[i]], answer.ttl);
      if (readings[i].alias.empty()) continue;
      next.push_back({std::move(readings[i].alias), asked[i].type});
      next_whose.push_back(whose[i]);
    }
    asked = std::move(next);
    whose = std::move(next_whose);
  }
  for (const size_t one : whose) {
    answers[one].outcome = Outcome::failed;
    answers[one].why = fmt::format("{} {}: its aliases do not end", to_text(questions[one].type),
                                   printable(questions[one].name));
  }
  return answers;
}

void Resolver::ask_once(std::span<const Question> questions, std::span<Reading> readings,
                        Instant until) {
  size_t next = 0, left = 0;  // to be asked; asked and not answered
  std::vector<Pending> pending(questions.size());
  std::vector<ares_fd_events_t> events;
  while ((next < questions.size() || left > 0) && !stop_ && io::now() < until) {
    for (; next < questions.size() && left < limits::dns_questions_at_once; ++next) {
      pending[next] = {&questions[next], &readings[next], &left};
      ++left;  // its callback is called in any case, here or later
      ares_query_dnsrec(channel_->raw, questions[next].name.c_str(), ARES_CLASS_IN,
                        wire_type(questions[next].type), on_answer, &pending[next], nullptr);
    }
    if (left == 0) continue;
    timeval limit{0, stop_interval_ms * 1000}, soonest{};
    const timeval* wait = ares_timeout(channel_->raw, &limit, &soonest);
    const auto ms = static_cast<int>(wait->tv_sec * 1000 + (wait->tv_usec + 999) / 1000);
    ::poll(channel_->sockets.data(), channel_->sockets.size(), ms);
    events.clear();
    for (const pollfd& one : channel_->sockets) {
      const bool in = (one.revents & (POLLIN | POLLERR | POLLHUP)) != 0;
      const bool out = (one.revents & POLLOUT) != 0;
      if (in || out)
        events.push_back({one.fd, static_cast<unsigned>((in ? ARES_FD_EVENT_READ : 0) |
                                                        (out ? ARES_FD_EVENT_WRITE : 0))});
    }
    ares_process_fds(channel_->raw, events.data(), events.size(), ARES_PROCESS_FLAG_NONE);
  }
  if (left > 0) ares_cancel(channel_->raw);
  MX_ASSERT(left == 0);
  for (; next < questions.size(); ++next)
    readings[next].answer.why =
        fmt::format("{} {}: no time was left to ask", to_text(questions[next].type),
                    printable(questions[next].name));
}

}  // namespace mx::dns
