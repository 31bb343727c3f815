#include "tools/load/sink.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "engine/io/clock.h"

namespace mx::load {
namespace {

constexpr uint32_t sessions_max = 65'536;
constexpr uint32_t buffer_bytes = 16U << 10;
constexpr uint32_t buffers = 256;
constexpr uint16_t buffer_group = 1;
constexpr int accepts_at_once = 16;
constexpr Duration refill_interval = milliseconds(10), saved_up_max = milliseconds(100);
constexpr size_t out_bytes_max = 64U << 10;  // replies that may wait before more is received
constexpr size_t completions_a_turn = 256;
constexpr size_t id_search_bytes = 16U << 10;  // X-Mxload-Id is looked for so far into a message

// The value of the X-Mxload-Id header, empty when there is none.
std::string_view mxload_id(std::string_view message) {
  static constexpr std::string_view name = "\nX-Mxload-Id: ";
  const size_t at = message.find(name);
  if (at == message.npos) return {};
  message.remove_prefix(at + name.size());
  return message.substr(0, message.find('\r'));
}

std::string ledger_line(const SinkSession& session, std::string_view file) {
  std::string line = "{\"id\":";
  append_json_string(line, mxload_id(session.message));
  line += ",\"from\":";
  append_json_string(line, session.sender);
  line += ",\"to\":[";
  for (const std::string& recipient : session.recipients) {
    if (line.back() != '[') line += ',';
    append_json_string(line, recipient);
  }
  line += "],\"bytes\":" + std::to_string(session.message_bytes);
  line += ",\"at_us\":" + std::to_string(io::wall_now().us);
  if (!file.empty()) {
    line += ",\"file\":";
    append_json_string(line, file);
  }
  return line + "}";
}

// The message as its author wrote it: without the dots that protected lines beginning with one.
std::string without_stuffing(std::string_view wire) {
  std::string out;
  out.reserve(wire.size());
  if (wire.starts_with('.')) wire.remove_prefix(1);
  for (size_t at = 0; !wire.empty(); wire.remove_prefix(at)) {
    const size_t dot = wire.find("\r\n.");
    out += wire.substr(0, dot == wire.npos ? dot : dot + 2);
    at = dot == wire.npos ? wire.size() : dot + 3;
  }
  return out;
}

}  // namespace

std::expected<std::unique_ptr<Sink>, std::string> Sink::create(const SinkOptions& options) {
  auto ring = io::Ring::create({4096, 32'768});
  if (!ring) return std::unexpected(ring.error());
  auto listener = io::listen_on(options.listen, options.backlog);
  if (!listener) return std::unexpected(listener.error());
  std::unique_ptr<Sink> sink(new Sink(options, std::move(*ring), std::move(*listener)));
  auto pool = io::BufferRing::create(sink->ring_, buffer_group, buffers, buffer_bytes);
  if (!pool) return std::unexpected(pool.error());
  sink->buffers_.emplace(std::move(*pool));
  if (!options.ledger.empty() && !sink->ledger_.open(options.ledger))
    return std::unexpected(options.ledger + ": " + std::strerror(errno));
  return sink;
}

Sink::Sink(const SinkOptions& options, io::Ring ring, io::Fd listener)
    : options_(options),
      ring_(std::move(ring)),
      listener_(std::move(listener)),
      sessions_(sessions_max),
      faults_{options.faults, Prng(options.seed)} {}

const SinkTotals& Sink::run(int stop) {
  for (int i = 0; i < accepts_at_once; ++i) accept();
  ring_.poll_readable(stop, {op_stop, 0, 0});
  refilled_ = io::now();
  std::array<io::Completion, completions_a_turn> done;
  while (!stopping_ || sessions_.used() > 0 || accepts_ > 0) {
    const size_t count = ring_.turn(parked_.empty() ? seconds(60) : refill_interval, done);
    for (size_t i = 0; i < count; ++i) handle(done[i]);
    if (options_.bytes_a_second > 0) refill();
    buffers_->publish();
    ledger_.flush();  // before the next turn sends the 250s of what is in it
  }
  totals_.faults = faults_.struck;
  return totals_;
}

void Sink::accept() {
  ++accepts_;
  ring_.accept(listener_.get(), nullptr, nullptr, {op_accept, 0, 0});
}

void Sink::accepted(int result) {
  --accepts_;
  if (stopping_) {
    if (result >= 0) ::close(result);
    return;
  }
  accept();
  if (result < 0) return;  // the client went away, or descriptors ran out for the moment
  uint32_t slot = 0;
  SinkSession* session = sessions_.make(&slot);
  if (!session) {
    ::close(result);
    return;
  }
  ++totals_.connections;
  session->socket = io::Fd(result);
  session->keep = !options_.store.empty() ? SIZE_MAX : ledger_.is_open() ? id_search_bytes : 0;
  session->greet(faults_);
  proceed(slot, *session);
}

void Sink::handle(const io::Completion& completion) {
  if (completion.op.kind == op_accept) return accepted(completion.result);
  if (completion.op.kind == op_stop) return stop();
  SinkSession* session = sessions_.find(completion.op);
  MX_ASSERT(session != nullptr && session->in_flight > 0);  // a slot lives while operations do
  --session->in_flight;
  if (completion.op.kind == op_receive) {
    session->receiving = false;
    received(*session, completion);
  } else {
    session->sending = false;
    session->sent.clear();
    if (completion.result < 0) session->drop();
  }
  proceed(completion.op.slot, *session);
}

void Sink::received(SinkSession& session, const io::Completion& completion) {
  if (completion.result == -ENOBUFS) return;  // all in use this turn: received again in the next
  if (completion.result <= 0) return session.drop();
  std::string_view in = as_text(buffers_->received(completion));
  allowance_ -= completion.result;  // used with a rate only
  while (!in.empty() && session.need() == SinkSession::Need::input) {
    in.remove_prefix(session.feed(in, faults_));
    if (session.need() == SinkSession::Need::deliver) deliver(session);
  }
  buffers_->release(completion);
}

void Sink::deliver(SinkSession& session) {
  ++totals_.messages;
  totals_.recipients += session.recipients.size();
  totals_.bytes += session.message_bytes;
  std::string file;
  if (!options_.store.empty()) {
    char name[32];
    std::snprintf(name, sizeof name, "/%08llu.eml",
                  static_cast<unsigned long long>(totals_.messages));
    file = options_.store + name;
    store(session, file);
  }
  if (ledger_.is_open()) ledger_.add(ledger_line(session, file));
  session.delivered();
}

void Sink::store(const SinkSession& session, const std::string& path) {
  const io::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file && write_all(file.get(), without_stuffing(session.message))) return;
  std::fprintf(stderr, "cannot write %s: %s\n", path.c_str(), std::strerror(errno));
  std::exit(74);
}

// Does all that can be done now: sends what is due, receives more, or ends the session.
void Sink::proceed(uint32_t slot, SinkSession& session) {
  if (!session.out.empty() && !session.sending) {
    session.sent.swap(session.out);
    session.sending = true;
    ++session.in_flight;
    ring_.send(session.socket.get(), as_bytes(session.sent), sessions_.op(op_send, slot));
  }
  if (session.need() == SinkSession::Need::close) {
    if (!session.sending) ::shutdown(session.socket.get(), SHUT_RDWR);  // ends what is in flight
    if (session.in_flight == 0) sessions_.free(slot);
  } else if (!session.receiving && session.out.size() < out_bytes_max) {
    if (options_.bytes_a_second > 0 && allowance_ <= 0) {
      parked_.push_back(sessions_.op(op_receive, slot));
      return;
    }
    session.receiving = true;
    ++session.in_flight;
    ring_.recv_select(session.socket.get(), buffer_group, true, sessions_.op(op_receive, slot));
  }
}

// What the rate allows by now; those that wait for it go on. One that is named twice is past
// waiting the second time.
void Sink::refill() {
  const Instant now = io::now();
  const Duration since = std::min(now - refilled_, saved_up_max);
  refilled_ = now;
  const auto more =
      static_cast<int64_t>(static_cast<double>(options_.bytes_a_second) * since.seconds());
  allowance_ = std::min(allowance_, int64_t{0}) + more;
  for (size_t waiting = parked_.size(); waiting > 0 && (allowance_ > 0 || stopping_); --waiting) {
    const io::Op parked = parked_.front();
    parked_.erase(parked_.begin());
    SinkSession* session = sessions_.find(parked);
    if (session && session->in_flight == 0) proceed(parked.slot, *session);
  }
}

void Sink::stop() {
  stopping_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  sessions_.each([](uint32_t, SinkSession& session) {
    session.drop();
    ::shutdown(session.socket.get(), SHUT_RDWR);
  });
}

}  // namespace mx::load
