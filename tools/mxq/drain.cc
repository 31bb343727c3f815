#include "tools/mxq/drain.h"

#include <netdb.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "engine/io/clock.h"
#include "proto/base/assert.h"
#include "proto/base/text.h"
#include "proto/mail/envelope.h"
#include "proto/smtp/client.h"
#include "queue/journal.h"
#include "tools/mxq/client.h"
#include "tools/mxq/interrupt.h"

namespace mx::mxq {
namespace {

using Need = smtp::Client::Need;
constexpr size_t buffer_bytes = 256U << 10;
constexpr uint64_t flush_every = 100;  // messages
constexpr Duration flush_after = seconds(1);
constexpr size_t slice_bytes = 64U << 10;
constexpr uint32_t segments_wanted = 2;

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};

// The daemon's journal, one operation after the other, for marks only.
class Marks final : private queue::Device {
 public:
  explicit Marks(QueueAtRest& queue)
      : files_(queue.files()),
        pool_(files_.geometry(), 1, queue::SegmentPool::reserve_min(1)),
        index_(static_cast<uint32_t>(queue.recovered().messages.size()) + 1,
               files_.geometry().segment_count),
        memory_(static_cast<std::byte*>(std::aligned_alloc(queue::block_bytes, 2 * buffer_bytes))) {
    uint64_t epoch = 0;
    if (::getrandom(&epoch, sizeof epoch, 0) != sizeof epoch) throw std::runtime_error("getrandom");
    queue::adopt(queue.recovered(), pool_);
    make_room();
    const size_t each = std::min<size_t>(buffer_bytes, files_.geometry().segment_bytes);
    journal_.emplace(queue::JournalSettings{.epoch = epoch,
                                            .largest_known_id = queue.recovered().largest_id,
                                            .marks = queue::SegmentPool::Purpose::relocation},
                     pool_, static_cast<queue::Device&>(*this), index_,
                     MutableBytes{memory_.get(), each}, MutableBytes{memory_.get() + each, each});
    for (const queue::RecoveredMessage& message : queue.recovered().messages)
      if (!journal_->adopt(message)) throw std::runtime_error("the queue does not fit");
    journal_->hurry();
  }
  void done(queue::MessageId id, uint32_t recipient) {
    const bool known = journal_->mark_done(id, recipient, 1, io::now());
    MX_ASSERT(known || journal_->failed());
  }
  // Writes what waits and flushes it.
  void flush() {
    for (int i = 0; i < 100'000 && !journal_->idle() && !journal_->failed(); ++i)
      journal_->pump(io::now());
    if (journal_->failed() || !journal_->idle())
      throw std::runtime_error(
          "writing to the queue failed: what was handed over is not all "
          "marked, and would be handed over again");
  }

 private:
  // Marks take one segment, and what gives segments back another one. That must be known before
  // anything is handed over that could not be remembered. Later each segment that is drained
  // becomes free long before the next one is wanted.
  void make_room() {
    std::string why = "ringmx_queue_size_limit is reached: raise it";
    while (pool_.free_segments() < segments_wanted)
      if (!files_.make_next(pool_, &why))
        throw std::runtime_error(
            "no free segment in the queue for the marks of what is handed over, and none can be "
            "made: " +
            why);
  }
  void write(uint32_t segment, uint32_t offset, Bytes data) override {
    const ssize_t n = ::pwrite(files_.fd(segment), data.data(), data.size(), offset);
    journal_->on_write(n < 0 ? -errno : n);
  }
  void flush(uint32_t segment) override {
    journal_->on_flush(::fdatasync(files_.fd(segment)) == 0 ? 0 : -errno);
  }
  void read_back(uint32_t segment, uint32_t offset, MutableBytes into) override {
    const ssize_t n = ::pread(files_.fd(segment), into.data(), into.size(), offset);
    journal_->on_read_back(n < 0 ? -errno : n);
  }

  spool::SegmentFiles& files_;
  queue::SegmentPool pool_;
  queue::Index index_;
  std::unique_ptr<std::byte, Free> memory_;
  std::optional<queue::Journal> journal_;
};

// 0 or an errno. A first interrupt does not break it off.
int connect_to(int fd, const addrinfo& to) {
  if (::connect(fd, to.ai_addr, to.ai_addrlen) == 0) return 0;
  if (errno != EINTR) return errno;
  pollfd waits{fd, POLLOUT, 0};
  while (::poll(&waits, 1, -1) < 0)
    if (errno != EINTR || interrupts() > 1) return errno;
  int why = 0;
  socklen_t length = sizeof why;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &length) == 0 ? why : errno;
}

// One SMTP session with the other MTA, blocking.
class Session {
 public:
  Session(const std::string& host, const std::string& port, const smtp::ClientSettings& settings)
      : client_(settings) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0)
      throw Unavailable(host + ": " + ::gai_strerror(error));
    int why = 0;
    for (const addrinfo* at = found; at && !fd_; at = at->ai_next) {
      fd_ = io::Fd(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      why = fd_ ? connect_to(fd_.get(), *at) : errno;
      if (why == 0) break;
      fd_.reset();
    }
    ::freeaddrinfo(found);
    if (!fd_) throw Unavailable(host + ":" + port + ": " + std::strerror(why));
    run({});
    if (client_.need() != Need::ready)
      throw Unavailable(host + ":" + port + ": " +
                        std::string(client_.session_outcome().text.view()));
  }
  ~Session() {
    if (client_.need() != Need::ready) return;
    client_.quit();
    run({});
  }
  bool usable() const { return client_.need() == Need::ready; }
  // REQUIRES usable(). Afterwards outcome(i) says what became of each recipient.
  void deliver(const smtp::Delivery& delivery, std::string_view content) {
    client_.start(delivery);
    run(content);
  }
  const smtp::Outcome& outcome(uint32_t i) const { return client_.recipient_outcome(i); }
  void finish() {
    if (client_.need() == Need::done) client_.finish();
  }

 private:
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && may_go_on(errno)) continue;
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  // The first interrupt waits for the end of a message.
  static bool may_go_on(int error) { return error == EINTR && interrupts() < 2; }
  bool readable() const {
    pollfd wait{fd_.get(), POLLIN, 0};
    return ::poll(&wait, 1, 0) > 0;
  }
  void receive() {
    char buffer[16384];
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && may_go_on(errno)) return;
    if (n > 0)
      client_.feed({buffer, static_cast<size_t>(n)});
    else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      client_.command_timeout();
    else
      client_.connection_lost();
  }
  // A reply that comes before the end of data is no answer to it (V62): the machine must see it
  // while it still waits for the body, so this looks before each slice and after the last.
  void send_body(std::string_view content) {
    while (client_.need() == Need::body) {
      if (readable()) {
        receive();
      } else if (content.empty()) {
        client_.body_sent();
      } else {
        const std::string_view slice = content.substr(0, slice_bytes);
        content.remove_prefix(slice.size());
        if (!send(slice)) client_.connection_lost();
      }
    }
  }
  // Until the machine has nothing more to wait for.
  void run(std::string_view content) {
    while (client_.need() == Need::input || client_.need() == Need::body) {
      const int64_t us = client_.timeout().us;
      const timeval limit{us > 0 ? us / 1'000'000 : 600, 0};
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      if (!client_.out().empty()) {
        const bool sent = send(client_.out().text());
        client_.out().clear();
        if (!sent) client_.connection_lost();
        continue;
      }
      if (client_.need() == Need::body)
        send_body(content);
      else
        receive();
    }
  }

  smtp::Client client_;
  io::Fd fd_;
};

class Drain {
 public:
  Drain(QueueAtRest& queue, const config::Settings& settings, std::string host, std::string port)
      : queue_(queue),
        settings_(settings.relay.client),
        host_(std::move(host)),
        port_(std::move(port)),
        marks_(queue) {
    settings_.own_hostname.clear();  // the other one may have our name
  }
  Drained run(const Choice& choice) {
    connect();
    // However it ends: what was taken must not be handed over again.
    try {
      give_all(choice);
    } catch (...) {
      marks_.flush();
      throw;
    }
    marks_.flush();
    result_.unreadable += queue_.unreadable();
    return result_;
  }

 private:
  void give_all(const Choice& choice) {
    const size_t all = queue_.recovered().messages.size();
    queue_.each(choice, [&](const spool::QueuedMessage& message, Bytes commit) {
      give(message, commit);
      if (interrupts() > 0) queue_.stop();
      if (++seen_ % flush_every != 0 && io::now() - flushed_ < flush_after) return;
      marks_.flush();
      flushed_ = io::now();
      std::fprintf(stderr, "mxq: %llu of %zu messages handed over\n",
                   static_cast<unsigned long long>(result_.messages), all);
    });
  }
  void connect() { session_.emplace(host_, port_, settings_); }

  // A transaction for each envelope sender.
  void give(const spool::QueuedMessage& message, Bytes payload) {
    queue::CommitView commit;
    mail::EnvelopeReader envelope;
    const auto content = queue_.content(message, payload);
    if (!content || !commit.open(payload) || !envelope.open(commit.envelope())) {
      ++result_.unreadable;
      return;
    }
    std::vector<uint32_t> left = message.pending;
    const size_t before = left.size();
    while (!left.empty()) {
      const size_t count = left.size();
      transaction(message, envelope, *content, left);
      if (left.size() == count || interrupts() > 1) break;
    }
    if (interrupts() > 1) failed_ += left.size();
    result_.recipients_left += failed_;
    if (failed_ == 0 && before > 0) {
      ++result_.messages;
      if (message.info.next_attempt == queue::held_until) ++result_.held;
    }
    failed_ = 0;
  }

  void transaction(const spool::QueuedMessage& message, mail::EnvelopeReader& envelope,
                   const std::string& content, std::vector<uint32_t>& left) {
    std::vector<std::string_view> addresses;
    std::vector<mail::RecipientDsn> dsn;
    std::vector<uint32_t> positions, rest;
    std::string_view sender;
    envelope.rewind();
    mail::EnvelopeRecipient recipient;
    size_t next = 0;
    for (uint32_t i = 0; next < left.size() && envelope.next_recipient(recipient); ++i) {
      if (left[next] != i) continue;
      ++next;
      if (recipient.note != mail::AliasNote::none) {  // nobody can be told of it from elsewhere
        marks_.done(message.info.id, i);
        continue;
      }
      if (positions.empty()) sender = recipient.sender;
      if (recipient.sender != sender) {
        rest.push_back(i);
        continue;
      }
      positions.push_back(i);
      addresses.push_back(recipient.address);
      dsn.push_back(recipient.dsn);
    }
    left = rest;
    if (positions.empty()) return;
    const mail::EnvelopeHead& head = envelope.head();
    if (!session_->usable()) connect();
    smtp::Delivery delivery;
    delivery.sender = sender;
    delivery.recipients = addresses.data();
    delivery.recipient_count = static_cast<uint32_t>(addresses.size());
    delivery.size = head.size;
    delivery.eight_bit = head.eight_bit;
    delivery.smtputf8 = delivery.smtputf8_needed = head.smtputf8;
    delivery.dsn_return = head.dsn_return;
    delivery.envelope_id = head.envelope_id;
    delivery.dsn = dsn.data();
    session_->deliver(delivery, content);
    for (uint32_t i = 0; i < positions.size(); ++i) record(message, positions[i], addresses[i], i);
    session_->finish();
  }

  void record(const spool::QueuedMessage& message, uint32_t recipient, std::string_view address,
              uint32_t position) {
    const smtp::Outcome& outcome = session_->outcome(position);
    const bool sent = outcome.result == smtp::Result::sent;
    std::printf("%s: <%s>: %s (%s)\n", std::string(queue::to_text(message.info.id).view()).c_str(),
                std::string(address).c_str(), sent ? "sent" : "NOT sent",
                std::string(outcome.text.view()).c_str());
    if (sent) {
      ++result_.recipients;
      marks_.done(message.info.id, recipient);
    } else {
      ++failed_;
    }
  }

  QueueAtRest& queue_;
  smtp::ClientSettings settings_;
  std::string host_, port_;
  Marks marks_;
  std::optional<Session> session_;
  Drained result_;
  Instant flushed_ = io::now();
  uint64_t seen_ = 0, failed_ = 0;
};

}  // namespace

HostPort parse_host_port(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size())
    throw std::invalid_argument("\"" + text + "\": HOST:PORT is wanted");
  HostPort out{text.substr(0, colon), text.substr(colon + 1)};
  const auto port = parse_decimal(out.port);
  if (!port || *port == 0 || *port > 65'535)
    throw std::invalid_argument("\"" + text + "\": not a port");
  if (out.host.starts_with('[') && out.host.ends_with(']'))
    out.host = out.host.substr(1, out.host.size() - 2);
  return out;
}

Drained drain(QueueAtRest& queue, const Choice& choice, const config::Settings& settings,
              const HostPort& to) {
  count_interrupts();
  return Drain(queue, settings, to.host, to.port).run(choice);
}

}  // namespace mx::mxq
