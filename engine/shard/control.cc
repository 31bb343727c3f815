#include "engine/shard/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "engine/io/clock.h"
#include "proto/base/text.h"
#include "proto/mail/envelope.h"
#include "queue/reader.h"

namespace mx::shard {
namespace {

constexpr size_t page_messages = 256;
constexpr int client_timeout_ms = 10'000;
constexpr auto shard_timeout = std::chrono::seconds(10);

// JSON string (RFC 8259 7). What is not printable was made harmless before it got here.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

bool send_all(int client, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(client, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;  // SO_SNDTIMEO bounds the wait
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// Runs `task` on the shard and waits for it; false when the shard does not answer.
bool ask(Shard& shard, std::function<void(Shard&)> task) {
  struct Done {
    std::mutex mutex;
    std::condition_variable told;
    bool done = false;
  };
  const auto state = std::make_shared<Done>();
  const bool posted = shard.post([state, task = std::move(task)](Shard& s) {
    const std::lock_guard lock(state->mutex);
    task(s);
    state->done = true;
    state->told.notify_all();
  });
  if (!posted) return false;
  std::unique_lock lock(state->mutex);
  return state->told.wait_for(lock, shard_timeout, [&] { return state->done; });
}

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};

}  // namespace

struct Control::Listed {
  queue::MessageInfo info;
  std::vector<uint32_t> pending;
  std::string reason;
};

Control::Control(std::string queue_directory, observe::Log& log, observe::Alarms& alarms,
                 spool::SegmentFiles& files, queue::SegmentPool& pool, relay::NextHop& next_hop,
                 const policy::Publisher& publisher, std::vector<std::unique_ptr<Shard>>& shards)
    : path_(std::move(queue_directory) + "/ringmx.sock"),
      log_(log.make_stream()),
      alarms_(alarms),
      files_(files),
      pool_(pool),
      next_hop_(next_hop),
      publisher_(publisher),
      shards_(shards) {}

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
      ::chmod(path_.c_str(), 0660) != 0 || ::listen(socket_.get(), 16) != 0)
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

void Control::run() {
  while (!stopping_) {
    pollfd wait{socket_.get(), POLLIN, 0};
    if (::poll(&wait, 1, -1) < 0 && errno != EINTR) return;
    const io::Fd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) continue;
    const timeval limit{client_timeout_ms / 1000, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    client_ = client.get();
    if (!stopping_) serve(client.get());
    client_ = -1;
  }
}

void Control::serve(int client) {
  char line[64];
  size_t used = 0;
  while (used < sizeof line) {
    const ssize_t n = ::recv(client, line + used, sizeof line - used, 0);
    if (n <= 0) return;
    used += static_cast<size_t>(n);
    if (std::memchr(line, '\n', used)) break;
  }
  const std::string_view request = trim({line, used});
  bool known = true;
  if (request == "status")
    status(client);
  else if (request == "list")
    list(client);
  else if (request == "flush")
    flush(client);
  else if (request.starts_with("release "))
    release(client, request.substr(8));
  else
    known = false;
  if (!known) send_all(client, "{\"error\":\"unknown request\"}\n");
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
      "}},\"shards\":{},\"free_segments\":{},\"free_bytes\":{},\"next_hop\":{},"
      "\"next_hop_up\":{},\"snapshots\":{},\"publications\":{},\"tables\":[",
      shards_.size(), pool_.free_segments(), pool_.free_bytes(), quoted(next_hop_.name()),
      next_hop_.up(), publisher_.alive(), publisher_.publications());
  bool first = true;
  const policy::SnapshotPointer newest = publisher_.newest();  // held while it is walked
  for (const policy::TablePointer& table : newest->tables) {
    out += fmt::format("{}{{\"name\":{},\"keys\":{},\"load_ms\":{:.1f}}}", first ? "" : ",",
                       quoted(table->name()), table->facts().keys,
                       static_cast<double>(table->facts().load_time.us) / 1000);
    first = false;
  }
  out += "],\"alarms\":[";
  first = true;
  for (const auto& [name, text] : alarms_.raised()) {
    out +=
        fmt::format("{}{{\"name\":{},\"text\":{}}}", first ? "" : ",", quoted(name), quoted(text));
    first = false;
  }
  return send_all(client, out + "]}\n");
}

bool Control::page(Shard& shard, uint32_t& cursor, std::vector<Listed>& into) {
  struct Page {
    uint32_t cursor;
    std::vector<Listed> rows;
  };
  const auto page = std::make_shared<Page>(Page{cursor, {}});
  const bool answered = ask(shard, [page](Shard& s) {
    queue::MessageInfo infos[page_messages];
    const size_t count = s.index().page(page->cursor, infos, page_messages);
    for (size_t i = 0; i < count; ++i) {
      Listed row{infos[i], {}, std::string(s.index().reason(infos[i].id))};
      for (uint32_t r = s.index().next_pending(row.info.id, 0); r != queue::Index::none;
           r = s.index().next_pending(row.info.id, r + 1))
        row.pending.push_back(r);
      page->rows.push_back(std::move(row));
    }
  });
  if (!answered) return false;
  cursor = page->cursor;
  into = std::move(page->rows);
  return true;
}

// The keys are those of postqueue -j. Empty when the message is gone by now.
std::string Control::describe(const Listed& listed) {
  const queue::Extent& extent = listed.info.commit;
  const queue::Window window = queue::window_of(extent);
  const std::unique_ptr<std::byte, Free> bytes(
      static_cast<std::byte*>(std::aligned_alloc(queue::block_bytes, window.length)));
  if (!bytes) return "";
  if (files_.read(extent.segment, window.offset, {bytes.get(), window.length}) != window.length)
    return "";
  const auto payload =
      queue::decode_record({bytes.get(), window.length}, extent, pool_.life(extent.segment),
                           queue::RecordType::commit, listed.info.id);
  queue::CommitView commit;
  mail::EnvelopeReader envelope;
  if (!payload || !commit.open(*payload) || !envelope.open(commit.envelope())) return "";
  std::string out = fmt::format(
      "{{\"queue_name\":\"{}\",\"queue_id\":\"{}\",\"arrival_time\":{},\"message_size\":{},"
      "\"forced_expire\":false,\"sender\":{},\"recipients\":[",
      listed.info.next_attempt == relay::held_until ? "hold"
      : listed.info.attempts > 0                    ? "deferred"
                                                    : "active",
      queue::to_text(listed.info.id).view(), listed.info.arrival.seconds(), envelope.head().size,
      quoted(envelope.head().sender));
  std::string_view address;
  size_t next = 0;
  for (uint32_t i = 0; next < listed.pending.size() && envelope.next_recipient(address); ++i) {
    if (listed.pending[next] != i) continue;
    out += fmt::format("{}{{\"address\":{}", next == 0 ? "" : ",", quoted(address));
    if (!listed.reason.empty()) out += ",\"delay_reason\":" + quoted(listed.reason);
    out += "}";
    ++next;
  }
  return out + "]}\n";
}

bool Control::list(int client) {
  for (auto& shard : shards_) {
    uint32_t cursor = 0;
    while (cursor != queue::Index::none) {
      std::vector<Listed> rows;
      if (stopping_ || !page(*shard, cursor, rows))
        return send_all(client, "{\"error\":\"a shard does not answer\"}\n");
      std::string out;
      for (const Listed& row : rows) out += describe(row);
      if (!send_all(client, out)) return false;
    }
  }
  return true;
}

// mxq -H ID or ALL.
bool Control::release(int client, std::string_view what) {
  const auto id = queue::parse_message_id(what);
  if (!id && what != "ALL") return send_all(client, "{\"error\":\"bad queue id\"}\n");
  size_t released = 0;
  for (auto& shard : shards_) {
    std::vector<queue::MessageId> ids;
    if (id) ids.push_back(*id);
    for (uint32_t cursor = 0; !id && cursor != queue::Index::none && !stopping_;) {
      std::vector<Listed> rows;
      if (!page(*shard, cursor, rows)) break;
      for (const Listed& row : rows) ids.push_back(row.info.id);
    }
    const auto count = std::make_shared<size_t>(0);
    ask(*shard, [ids = std::move(ids), count](Shard& s) {
      for (const queue::MessageId each : ids)
        if (s.release(each)) ++*count;
    });
    released += *count;
  }
  return send_all(client, fmt::format("{{\"released\":{}}}\n", released));
}

bool Control::flush(int client) {
  for (auto& shard : shards_) shard->post([](Shard& s) { s.flush_queue(); });
  log_.line("master", "queue flush asked for");
  return send_all(client, "{\"ok\":true}\n");
}

}  // namespace mx::shard
