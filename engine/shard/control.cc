#include "engine/shard/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "engine/io/clock.h"
#include "engine/relay/way.h"
#include "engine/shard/ask.h"
#include "proto/base/limits.h"
#include "queue/reader.h"

namespace mx::shard {
namespace {

constexpr size_t page_messages = 256;
constexpr size_t list_send_bytes = 64U << 10;
constexpr int client_timeout_ms = 10'000;
constexpr size_t waiting_max = 128;  // clients whose request is not there yet

bool send_all(int client, std::string_view text) {
  const Instant until = io::now() + milliseconds(client_timeout_ms);
  while (!text.empty()) {
    const ssize_t n = ::send(client, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0 || io::now() >= until) return false;  // SO_SNDTIMEO bounds one wait
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

Control::Control(std::string queue_directory, observe::Log& log, observe::Alarms& alarms,
                 spool::SegmentFiles& files, queue::SegmentPool& pool,
                 const relay::NextHops& next_hops, const policy::Publisher& publisher,
                 std::vector<std::unique_ptr<Shard>>& shards)
    : path_(std::move(queue_directory) + "/ringmx.sock"),
      log_(log.make_stream()),
      alarms_(alarms),
      files_(files),
      pool_(pool),
      next_hops_(next_hops),
      publisher_(publisher),
      shards_(shards),
      reader_(files, files.geometry().segment_bytes) {}

Control::~Control() {
  stop();
}

std::string Control::bind() {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path_.size() >= sizeof at.sun_path) return path_ + ": too long for a socket";
  std::memcpy(at.sun_path, path_.data(), path_.size());
  socket_ = io::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ::unlink(path_.c_str());
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
      ::chmod(path_.c_str(), 0660) != 0 ||
      ::listen(socket_.get(), static_cast<int>(waiting_max)) != 0)
    return path_ + ": " + std::strerror(errno);
  return "";
}

void Control::start() {
  thread_ = std::thread([this] { run(); });
}

void Control::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  ::shutdown(socket_.get(), SHUT_RDWR);  // ends the poll
  if (const int client = client_.load(); client >= 0) ::shutdown(client, SHUT_RDWR);
  thread_.join();
  ::unlink(path_.c_str());
}

// Those who have not asked yet wait together, so that one who stays silent, or sends a byte now and
// then, keeps nobody from being served; when there are too many, the one that has waited longest
// goes.
void Control::run() {
  std::vector<Waiting> waiting;
  while (!stopping_) {
    std::vector<pollfd> wanted{{socket_.get(), POLLIN, 0}};
    for (const Waiting& client : waiting) wanted.push_back({client.fd.get(), POLLIN, 0});
    const int64_t left = waiting.empty() ? -1000 : (waiting.front().until - io::now()).us;
    const int limit =
        waiting.empty() ? -1 : static_cast<int>(std::max<int64_t>(left, 0) / 1000 + 1);
    if (::poll(wanted.data(), wanted.size(), limit) < 0 && errno != EINTR) return;
    for (size_t i = waiting.size(); i-- > 0 && !stopping_;) {
      const bool over =
          wanted[i + 1].revents != 0 ? take_request(waiting[i]) : io::now() >= waiting[i].until;
      if (over) waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (wanted[0].revents != 0) accept_clients(waiting);
  }
}

void Control::accept_clients(std::vector<Waiting>& waiting) {
  while (!stopping_) {
    io::Fd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) return;
    const timeval limit{client_timeout_ms / 1000, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (waiting.size() == waiting_max) waiting.erase(waiting.begin());
    waiting.push_back({std::move(client), {}, io::now() + milliseconds(client_timeout_ms)});
  }
}

// True: the client is done with, served or not.
bool Control::take_request(Waiting& client) {
  char buffer[4096];
  const ssize_t n = ::recv(client.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n <= 0) return n == 0 || (errno != EAGAIN && errno != EINTR);
  client.line.append(buffer, static_cast<size_t>(n));
  const size_t end = client.line.find('\n');
  const bool too_long = end == std::string::npos
                            ? client.line.size() > limits::control_request_bytes_max
                            : end > limits::control_request_bytes_max;
  if (end == std::string::npos && !too_long) return false;
  client_ = client.fd.get();
  if (too_long)
    send_all(client.fd.get(), "{\"error\":\"the request is too long\"}\n");
  else if (!stopping_ && serve(client.fd.get(), std::string_view(client.line).substr(0, end)))
    send_all(client.fd.get(), "{\"end\":true}\n");
  client_ = -1;
  return true;
}

// False: the answer is not whole.
bool Control::serve(int client, std::string_view line) {
  const auto request = parse_request(line);
  if (!request)
    return send_all(client, fmt::format("{{\"error\":{}}}\n", spool::quoted(request.error())));
  switch (request->verb) {
    case Request::Verb::status:
      return status(client);
    case Request::Verb::list:
      return list(client, request->selection);
    case Request::Verb::flush:
      return flush(client);
    case Request::Verb::steer:
      return steer(client, *request);
  }
  return false;
}

// One line: counters (sums over the shards, and one object a shard) and the alarms that are raised.
bool Control::status(int client) {
  std::string out = "{\"counters\":{";
  struct Row {
    const char* name;
    uint64_t sum;
  };
  std::vector<Row> rows;
  for (size_t i = 0; i < shards_.size(); ++i) {
    size_t at = 0;
    observe::each_counter(shards_[i]->counters(),
                          [&](const char* name, const char*, uint64_t value) {
                            if (i == 0) rows.push_back({name, 0});
                            rows[at++].sum += value;
                          });
  }
  for (const Row& row : rows)
    out += fmt::format("{}\"{}\":{}", &row == rows.data() ? "" : ",", row.name, row.sum);
  out += fmt::format(
      "}},\"shards\":{},\"free_segments\":{},\"free_bytes\":{},{},\"next_hops\":[{}],"
      "\"snapshots\":{},\"publications\":{},\"tables\":[",
      shards_.size(), pool_.free_segments(), pool_.free_bytes(), next_hop(), next_hops(),
      publisher_.alive(), publisher_.publications());
  bool first = true;
  const policy::SnapshotPointer newest = publisher_.newest();  // held while it is walked
  for (const policy::TablePointer& table : newest->tables) {
    out += fmt::format("{}{{\"name\":{},\"keys\":{},\"load_ms\":{:.1f}}}", first ? "" : ",",
                       spool::quoted(table->name()), table->facts().keys,
                       static_cast<double>(table->facts().load_time.us) / 1000);
    first = false;
  }
  out += "],\"alarms\":[";
  first = true;
  for (const auto& [name, text] : alarms_.raised()) {
    out += fmt::format("{}{{\"name\":{},\"text\":{}}}", first ? "" : ",", spool::quoted(name),
                       spool::quoted(text));
    first = false;
  }
  return send_all(client, out + "]}\n");
}

// Where mail of class relay goes, and whether that is up; null: by the domain of each recipient.
std::string Control::next_hop() const {
  const std::string name = relay::name_of(publisher_.newest()->settings->relay.relay_hosts);
  for (const auto& hop : next_hops_.all())
    if (!name.empty() && hop->name() == name)
      return fmt::format("\"next_hop\":{},\"next_hop_up\":{}", spool::quoted(name), hop->up());
  return "\"next_hop\":null,\"next_hop_up\":null";
}

// Each next hop with its backends; times in seconds from now.
std::string Control::next_hops() const {
  using State = relay::Backend::State;
  const Instant now = io::now();
  std::string out;
  for (const auto& hop : next_hops_.all()) {
    std::string rows;
    for (const auto& backend : *hop->backends()) {
      const State state = backend->state();
      rows += fmt::format(
          "{}{{\"host\":{},\"state\":\"{}\",\"preference\":{},\"connections\":{},\"window\":{},"
          "\"failures\":{}",
          rows.empty() ? "" : ",", spool::quoted(backend->text()),
          state == State::up     ? "up"
          : state == State::down ? "down"
                                 : "probing",
          backend->preference(), backend->connections(), backend->window(), backend->failures());
      if (backend->since().us > 0)
        rows += fmt::format(",\"for_s\":{}", (now - backend->since()).us / 1'000'000);
      if (state == State::down)
        rows += fmt::format(",\"next_probe_s\":{}",
                            std::max<int64_t>((backend->probe_at() - now).us, 0) / 1'000'000);
      if (state != State::up)
        rows += fmt::format(",\"why\":{}", spool::quoted(backend->why_down()));
      rows += "}";
    }
    out +=
        fmt::format("{}{{\"name\":{},\"up\":{},\"connections\":{},\"limit\":{},\"backends\":[{}]}}",
                    out.empty() ? "" : ",", spool::quoted(hop->name()), hop->up(),
                    hop->connections(), hop->limit(), rows);
  }
  return out;
}

bool Control::page(Shard& shard, uint32_t& cursor, std::vector<spool::QueuedMessage>& into) {
  struct Page {
    uint32_t cursor;
    std::vector<spool::QueuedMessage> rows;
  };
  const auto page = std::make_shared<Page>(Page{cursor, {}});
  const bool answered = ask(shard, [page](Shard& s) {
    queue::MessageInfo infos[page_messages];
    const size_t count = s.index().page(page->cursor, infos, page_messages);
    for (size_t i = 0; i < count; ++i) page->rows.push_back(row_of(s, infos[i]));
  });
  if (!answered) return false;
  cursor = page->cursor;
  into = std::move(page->rows);
  return true;
}

bool Control::find(Shard& shard, queue::MessageId id, std::vector<spool::QueuedMessage>& into) {
  const auto rows = std::make_shared<std::vector<spool::QueuedMessage>>();
  const bool answered = ask(shard, [rows, id](Shard& s) {
    queue::MessageInfo info;
    if (s.index().find(id, info)) rows->push_back(row_of(s, info));
  });
  if (answered) into = std::move(*rows);
  return answered;
}

// The payload of its COMMIT, empty if it can't be read; nothing when the message is gone by now.
// Compaction may have moved it since the row was made.
std::optional<Bytes> Control::commit_of(Shard& shard, spool::QueuedMessage& row) {
  while (true) {
    const queue::Extent extent = row.info.commit;
    const auto commit =
        reader_.record(extent, pool_.life(extent.segment), queue::RecordType::commit, row.info.id);
    std::vector<spool::QueuedMessage> again;
    if (commit || !find(shard, row.info.id, again) || again.empty()) return commit;
    if (again.front().info.commit == extent) return Bytes{};
    row = std::move(again.front());
  }
}

// False: a shard does not answer, or `visit` wants no more.
bool Control::each(const Selection& selection, const Visit& visit) {
  for (auto& shard : shards_) {
    uint32_t cursor = 0;
    for (size_t next = 0; cursor != queue::Index::none; ++next) {
      std::vector<spool::QueuedMessage> rows;
      if (stopping_) return false;
      if (selection.ids.empty() ? !page(*shard, cursor, rows)
                                : !find(*shard, selection.ids[next], rows))
        return false;
      if (next + 1 == selection.ids.size()) cursor = queue::Index::none;
      for (spool::QueuedMessage& row : rows) {
        const auto commit = commit_of(*shard, row);
        if (!commit) continue;
        if (!selection.domain.empty() && !spool::goes_to(row, *commit, selection.domain)) continue;
        if (!visit(*shard, row, *commit)) return false;
      }
    }
  }
  return true;
}

bool Control::list(int client, const Selection& selection) {
  // Both anew behind each piece that is sent: a slow client must not keep an old snapshot alive.
  policy::SnapshotPointer newest;
  std::optional<relay::WaitReasons> reasons;
  const spool::WaitReason waits = [&](std::string_view address) {
    if (newest == nullptr) newest = publisher_.newest();
    if (!reasons) reasons.emplace(*newest, next_hops_);
    return reasons->of(address);
  };
  std::string out;
  bool client_there = true;
  const auto send = [&](size_t enough) {
    if (out.size() < enough || !client_there) return client_there;
    reasons.reset();
    newest.reset();
    client_there = send_all(client, out);
    out.clear();
    return client_there;
  };
  const spool::WaitReason unasked;
  const WallTime now = io::wall_now();
  const bool whole = each(selection, [&](Shard&, const spool::QueuedMessage& row, Bytes commit) {
    const bool due = row.info.next_attempt <= now;  // else it has its time, and a reason
    out += spool::to_json(row, commit, due ? waits : unasked);
    return send(list_send_bytes);
  });
  if (!whole && client_there) out += "{\"error\":\"a shard does not answer\"}\n";
  return out.empty() || send(0);
}

// Ids are gathered first and given to the shards in pages: an operation must not change what is
// being listed.
bool Control::steer(int client, const Request& request) {
  using Steered = relay::Outbound::Steered;
  std::map<Shard*, std::vector<queue::MessageId>> chosen;
  const Selection& selection = request.selection;
  bool answered = true;
  if (selection.ids.empty()) {
    answered = each(selection, [&](Shard& shard, const spool::QueuedMessage& row, Bytes) {
      chosen[&shard].push_back(row.info.id);
      return true;
    });
  } else {
    for (auto& shard : shards_) chosen[shard.get()] = selection.ids;
  }
  struct Tally {
    size_t count[4] = {};
    std::vector<queue::MessageId> known;
  };
  std::set<queue::MessageId> known;
  Tally sum;
  for (auto& [shard, ids] : chosen) {
    for (size_t at = 0; at < ids.size() && answered && !stopping_; at += page_messages) {
      const auto tally = std::make_shared<Tally>();
      std::vector<queue::MessageId> some(
          ids.begin() + static_cast<std::ptrdiff_t>(at),
          ids.begin() + static_cast<std::ptrdiff_t>(std::min(at + page_messages, ids.size())));
      answered = ask(*shard, [tally, some = std::move(some), what = request.steer](Shard& s) {
        for (const queue::MessageId id : some) {
          const Steered result = s.steer(what, id);
          ++tally->count[static_cast<size_t>(result)];
          if (result != Steered::unknown) tally->known.push_back(id);
        }
      });
      if (!answered) break;
      for (size_t i = 0; i < 4; ++i) sum.count[i] += tally->count[i];
      if (!selection.ids.empty()) known.insert(tally->known.begin(), tally->known.end());
    }
  }
  std::string unknown;
  for (const queue::MessageId id : selection.ids)
    if (!known.contains(id))
      unknown += fmt::format("{}\"{}\"", unknown.empty() ? "" : ",", queue::to_text(id).view());
  const auto count = [&](Steered which) { return sum.count[static_cast<size_t>(which)]; };
  return send_all(client, fmt::format("{{\"done\":{},\"after_attempt\":{},\"not_so\":{},"
                                      "\"unknown\":[{}]{}}}\n",
                                      count(Steered::done), count(Steered::after_attempt),
                                      count(Steered::not_so), unknown,
                                      answered ? "" : ",\"error\":\"a shard does not answer\""));
}

bool Control::flush(int client) {
  for (auto& shard : shards_) shard->post([](Shard& s) { s.flush_queue(); });
  log_.line("master", "queue flush asked for");
  return send_all(client, "{\"ok\":true}\n");
}

}  // namespace mx::shard
