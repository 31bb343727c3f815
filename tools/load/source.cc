#include "tools/load/source.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include "engine/io/clock.h"
#include "tools/load/target.h"

namespace mx::load {
namespace {

constexpr size_t completions_a_turn = 128;
constexpr size_t header_about = 300;  // bytes
constexpr Duration turn_max = seconds(1);

// Lines of 78 characters; no line begins with a dot, so what is sent needs no stuffing.
std::string make_body(uint64_t bytes) {
  static constexpr std::string_view line =
      "The quick brown fox jumps over the lazy dog; 0123456789 and once more, the dog.";
  static_assert(line.size() == 79);
  std::string body;
  body.reserve(bytes);
  while (bytes - body.size() > line.size() + 3) {
    body += line;
    body += "\r\n";
  }
  const size_t rest = bytes - body.size();
  if (rest > 2) body += std::string(rest - 2, 'x');
  if (bytes > 0) body += "\r\n";
  return body;
}

std::string date_now(WallTime now) {
  const time_t seconds = now.seconds();
  tm parts;
  ::gmtime_r(&seconds, &parts);
  char text[64];
  const size_t n = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &parts);
  return {text, n};
}

// The time to the next of arrivals that know nothing of each other.
Duration poisson_gap(Prng& prng, uint32_t rate) {
  const double uniform = static_cast<double>(prng.below(1ULL << 53) + 1) / (1ULL << 53);
  return microseconds(static_cast<int64_t>(-std::log(uniform) * 1e6 / rate));
}

iovec part(std::string_view bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::expected<Source, std::string> Source::create(const SourceOptions& options) {
  auto ring = io::Ring::create({4096, 32'768});
  if (!ring) return std::unexpected(ring.error());
  Source source(options, std::move(*ring));
  if (!options.ledger.empty() && !source.ledger_.open(options.ledger))
    return std::unexpected(options.ledger + ": " + std::strerror(errno));
  return source;
}

Source::Source(const SourceOptions& options, io::Ring ring)
    : options_(options),
      ring_(std::move(ring)),
      sessions_(options.sessions),
      body_(make_body(options.body_bytes)),
      run_id_(fmt::format("{:x}-{:x}", io::wall_now().us, ::getpid())),
      date_(date_now(io::wall_now())),
      prng_(static_cast<uint64_t>(io::wall_now().us)) {
  dialogue_.ehlo = "EHLO " + options.helo + "\r\n";
  dialogue_.mail =
      "MAIL FROM:<" + options.sender + ">" +
      (options.declare_size ? fmt::format(" SIZE={}", body_.size() + header_about) : "") + "\r\n";
  dialogue_.recipient = options.recipient;
  dialogue_.recipients = options.recipients;
  dialogue_.domains = options.domains;
  dialogue_.keep_connection = options.keep_connection;
  dialogue_.pipeline = options.pipeline;
}

const SourceTotals& Source::run() {
  now_ = started_ = next_look_ = next_due_ = io::now();
  for (uint32_t i = 0; i < options_.sessions && i < options_.messages; ++i) start_session();
  std::array<io::Completion, completions_a_turn> done;
  while (sessions_.used() > 0) {
    const size_t count = ring_.turn(until_due(), done);
    now_ = io::now();
    for (size_t i = 0; i < count; ++i) handle(done[i]);
    begin_due();
    ledger_.flush();
    if (now_ >= next_look_) {
      next_look_ = now_ + milliseconds(200);
      check_timeouts();
      if (options_.progress) show_progress();
    }
  }
  totals_.elapsed = now_ - started_;
  if (options_.progress) std::fputc('\n', stderr);
  return totals_;
}

void Source::start_session() {
  uint32_t slot = 0;
  SourceSession* session = sessions_.make(&slot);
  MX_ASSERT(session != nullptr);
  auto socket = io::connecting_socket(options_.server);
  if (!socket) {
    fail(*session, socket.error());
    return sessions_.free(slot);
  }
  ++totals_.connections;
  session->socket = std::move(*socket);
  session->waiting_since = now_;
  ++session->in_flight;
  ring_.connect(session->socket.get(), options_.server.raw(), options_.server.length,
                sessions_.op(op_connect, slot));
}

void Source::handle(const io::Completion& completion) {
  SourceSession* session = sessions_.find(completion.op);
  MX_ASSERT(session != nullptr && session->in_flight > 0);  // a slot lives while operations do
  --session->in_flight;
  const int32_t result = completion.result;
  switch (completion.op.kind) {
    case op_connect:
      if (result < 0)
        fail(*session, "connect: " + std::string(std::strerror(-result)));
      else
        session->stage = SourceSession::Stage::greeting;
      break;
    case op_receive:
      session->receiving = false;
      if (result > 0)
        session->in.received(static_cast<size_t>(result));
      else if (result == 0)
        fail(*session, "connection closed by the server");
      else
        fail(*session, "receive: " + std::string(std::strerror(-result)));
      break;
    case op_send:
      session->sending = false;
      session->out.clear();
      if (result < 0) fail(*session, "send: " + std::string(std::strerror(-result)));
      break;
    default:
      MX_ASSERT(false);
  }
  proceed(completion.op.slot, *session);
}

// Does all that can be done now: answers the replies that are there, as long as nothing of ours is
// still on its way, and ends the session when it is over.
void Source::proceed(uint32_t slot, SourceSession& session) {
  using Stage = SourceSession::Stage;
  ReplyLine line;
  while (session.stage != Stage::closed && session.out.empty() && session.in.next(line))
    answer(slot, session, line);
  if (session.stage == Stage::closed) {
    ::shutdown(session.socket.get(), SHUT_RDWR);  // ends what is in flight
    if (session.in_flight == 0) release(slot, session);
    return;
  }
  if (!session.out.empty() && !session.sending) send(slot, session);
  if (session.receiving) return;
  session.in.compact();
  if (session.in.room().empty()) {
    if (session.sending) return;  // the replies wait until our send is through
    fail(session, "a reply line too long");
    return proceed(slot, session);
  }
  session.receiving = true;
  ++session.in_flight;
  ring_.recv(session.socket.get(), session.in.room(), sessions_.op(op_receive, slot));
}

void Source::answer(uint32_t slot, SourceSession& session, const ReplyLine& line) {
  using Stage = SourceSession::Stage;
  if (line.last && session.stage == Stage::greeting)
    totals_.connect.record(now_ - session.waiting_since);
  const bool committing = session.stage == Stage::dot && !session.refused;
  Ended ended = Ended::no;
  if (!session.take(dialogue_, line, ended))
    return fail(session, fmt::format("unexpected reply: {} {}", line.code, line.text));
  if (ended != Ended::no) {
    if (committing) totals_.commit.record(now_ - session.waiting_since);
    ++(ended == Ended::accepted ? totals_.accepted : totals_.refused);
    if (ended == Ended::accepted && ledger_.is_open()) ledger_.add(id_of(session.message));
  }
  if (session.wants_message) begin_message(slot, session);
}

void Source::begin_message(uint32_t slot, SourceSession& session) {
  if (begun_ == options_.messages) {
    session.wants_message = false;
    session.out = dialogue_.quit;
    session.stage = SourceSession::Stage::quit;
    return;
  }
  if (options_.rate > 0) {
    if (now_ < next_due_) return parked_.push_back(sessions_.op(op_send, slot));
    totals_.late.record(now_ - next_due_);
    next_due_ = next_due_ + poisson_gap(prng_, options_.rate);
  }
  session.message = begun_++;
  session.begin(dialogue_);
  session.header = fmt::format(
      "From: <{}>\r\nTo: <{}>\r\nDate: {}\r\nMessage-Id: <{}@{}>\r\nSubject: mxload\r\n"
      "X-Mxload-Id: {}\r\n\r\n",
      options_.sender, options_.recipient, date_, id_of(session.message), options_.helo,
      id_of(session.message));
}

// Hands the messages that fell due to sessions that wait; when there are none left, these end.
void Source::begin_due() {
  while (!parked_.empty() && (now_ >= next_due_ || begun_ == options_.messages)) {
    const io::Op parked = parked_.front();
    parked_.pop_front();
    SourceSession* session = sessions_.find(parked);
    if (session == nullptr || session->stage == SourceSession::Stage::closed) continue;
    begin_message(parked.slot, *session);
    proceed(parked.slot, *session);
  }
}

Duration Source::until_due() const {
  if (parked_.empty() || begun_ == options_.messages) return turn_max;
  return std::clamp(next_due_ - now_, Duration{0}, turn_max);
}

void Source::send(uint32_t slot, SourceSession& session) {
  const io::Op op = sessions_.op(op_send, slot);
  session.sending = true;
  ++session.in_flight;
  session.waiting_since = io::now();
  if (!session.with_body) return ring_.send(session.socket.get(), as_bytes(session.out), op);
  session.with_body = false;
  ++totals_.sent;
  session.parts[0] = part(session.out);
  session.parts[1] = part(body_);
  session.parts[2] = part(".\r\n");
  session.batch = {};
  session.batch.msg_iov = session.parts;
  session.batch.msg_iovlen = 3;
  ring_.sendmsg(session.socket.get(), &session.batch, op);
}

void Source::fail(SourceSession& session, const std::string& why) {
  if (session.stage == SourceSession::Stage::closed) return;
  session.stage = SourceSession::Stage::closed;
  session.failed = true;
  ++totals_.errors;
  if (totals_.first_error.empty()) totals_.first_error = why;
}

// A session ended: another takes its place when each message has a connection of its own.
void Source::release(uint32_t slot, SourceSession& session) {
  const bool again = !session.failed && begun_ < options_.messages;
  sessions_.free(slot);
  if (again) start_session();
}

void Source::check_timeouts() {
  sessions_.each([&](uint32_t slot, SourceSession& session) {
    if (session.wants_message || now_ - session.waiting_since < options_.reply_timeout) return;
    fail(session, "no reply in time");
    ::shutdown(session.socket.get(), SHUT_RDWR);
    static_cast<void>(slot);
  });
}

void Source::show_progress() {
  const double elapsed = (now_ - started_).seconds();
  std::fprintf(stderr, "\r%llu of %llu accepted, %.0f a second ",
               static_cast<unsigned long long>(totals_.accepted),
               static_cast<unsigned long long>(options_.messages),
               elapsed > 0 ? static_cast<double>(totals_.accepted) / elapsed : 0.0);
}

}  // namespace mx::load
