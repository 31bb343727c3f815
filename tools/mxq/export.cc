#include "tools/mxq/export.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "engine/io/fd.h"
#include "proto/base/text.h"
#include "proto/mail/envelope.h"

namespace mx::mxq {
namespace {

[[noreturn]] void fail(const std::string& path) {
  throw std::runtime_error(path + ": " + std::strerror(errno));
}

void write_all(const io::Fd& fd, const std::string& path, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd.get(), text.data(), text.size());
    if (n <= 0) fail(path);
    text.remove_prefix(static_cast<size_t>(n));
  }
}

void write_file(const std::string& path, std::string_view text) {
  const io::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) fail(path);
  write_all(fd, path, text);
  if (::fsync(fd.get()) != 0) fail(path);
}

// What the message's own bytes do not say.
std::string envelope_json(const spool::QueuedMessage& message, mail::EnvelopeReader& envelope) {
  const mail::EnvelopeHead& head = envelope.head();
  nlohmann::json out = {{"queue_id", queue::to_text(message.info.id).view()},
                        {"arrival_time", message.info.arrival.seconds()},
                        {"sender", printable(head.sender)},
                        {"client_name", printable(head.client_name)},
                        {"client_address", printable(head.client_address)},
                        {"helo", printable(head.helo)},
                        {"eight_bit", head.eight_bit},
                        {"smtputf8", head.smtputf8},
                        {"envelope_id", printable(head.envelope_id)},
                        {"reason", printable(message.reason)},
                        {"recipients", nlohmann::json::array()}};
  if (head.dsn_return != mail::DsnReturn::unset)
    out["return"] = head.dsn_return == mail::DsnReturn::full ? "FULL" : "HDRS";
  mail::EnvelopeRecipient recipient;
  size_t next = 0;
  for (uint32_t i = 0; next < message.pending.size() && envelope.next_recipient(recipient); ++i) {
    if (message.pending[next] != i) continue;
    ++next;
    nlohmann::json row = {{"address", printable(recipient.address)}};
    if (recipient.note != mail::AliasNote::none) row["expanded"] = true;  // no recipient any more
    if (recipient.own_sender) row["sender"] = printable(recipient.sender);
    if (recipient.dsn.notify != 0) row["notify"] = mail::dsn_notify_text(recipient.dsn.notify);
    if (!recipient.dsn.original.empty()) row["orcpt"] = printable(recipient.dsn.original);
    out["recipients"].push_back(std::move(row));
  }
  return out.dump(2) + "\n";
}

// LF line ends, and no line of it looks like the beginning of the next message.
std::string mbox_body(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    const size_t quotes = line.find_first_not_of('>');
    if (quotes != std::string_view::npos && line.substr(quotes).starts_with("From ")) out += '>';
    out += line;
    out += '\n';
  }
  return out;
}

}  // namespace

std::string unstuffed(std::string_view wire) {
  std::string out;
  out.reserve(wire.size());
  while (!wire.empty()) {
    if (wire.starts_with('.')) wire.remove_prefix(1);
    const size_t end = wire.find("\r\n");
    const std::string_view line = wire.substr(0, end == std::string_view::npos ? end : end + 2);
    out += line;
    wire.remove_prefix(line.size());
  }
  return out;
}

Exported export_to_directory(QueueAtRest& queue, const Choice& choice,
                             const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) fail(directory);
  Exported result;
  queue.each(choice, [&](const spool::QueuedMessage& message, Bytes payload) {
    const auto content = queue.content(message, payload);
    queue::CommitView commit;
    mail::EnvelopeReader envelope;
    if (!content || !commit.open(payload) || !envelope.open(commit.envelope())) {
      ++result.unreadable;
      return;
    }
    const std::string path = directory + "/" + std::string(queue::to_text(message.info.id).view());
    write_file(path + ".eml", unstuffed(*content));
    write_file(path + ".json", envelope_json(message, envelope));
    ++result.messages;
  });
  result.unreadable += queue.unreadable();
  return result;
}

Exported export_to_mbox(QueueAtRest& queue, const Choice& choice, const std::string& path) {
  const io::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) fail(path);
  Exported result;
  queue.each(choice, [&](const spool::QueuedMessage& message, Bytes payload) {
    const auto content = queue.content(message, payload);
    queue::CommitView commit;
    mail::EnvelopeReader envelope;
    if (!content || !commit.open(payload) || !envelope.open(commit.envelope())) {
      ++result.unreadable;
      return;
    }
    const std::string_view sender = envelope.head().sender;
    const time_t arrival = message.info.arrival.seconds();
    tm utc{};
    char when[40];
    ::gmtime_r(&arrival, &utc);
    std::strftime(when, sizeof when, "%a %b %e %H:%M:%S %Y", &utc);
    std::string text =
        "From " + (sender.empty() ? "MAILER-DAEMON" : printable(sender)) + " " + when +
        "\nX-Queue-ID: " + std::string(queue::to_text(message.info.id).view()) + "\n";
    mail::EnvelopeRecipient to;
    size_t next = 0;
    for (uint32_t i = 0; next < message.pending.size() && envelope.next_recipient(to); ++i) {
      if (message.pending[next] != i) continue;
      ++next;
      if (to.note == mail::AliasNote::none)
        text += "X-Envelope-To: <" + printable(to.address) + ">\n";
    }
    write_all(fd, path, text + mbox_body(unstuffed(*content)) + "\n");
    ++result.messages;
  });
  if (::fsync(fd.get()) != 0) fail(path);
  result.unreadable += queue.unreadable();
  return result;
}

}  // namespace mx::mxq
