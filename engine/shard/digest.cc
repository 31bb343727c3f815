#include "engine/shard/digest.h"

#include <algorithm>
#include <chrono>

#include "engine/io/clock.h"
#include "engine/io/file.h"
#include "engine/observe/local_zone.h"
#include "engine/shard/ask.h"
#include "proto/base/limits.h"
#include "proto/mail/envelope.h"
#include "queue/reader.h"

namespace mx::shard {
namespace {

constexpr size_t page_messages = 512;
constexpr size_t pages_a_task = 8;
constexpr size_t reason_shown_max = 1000;
constexpr uint64_t record_bytes_max = 4U << 20;
static_assert(limits::digest_remembered_max * uint64_t{32} < record_bytes_max);
// A changed interval is seen after this; what could not be posted is tried again after it.
constexpr Duration look_interval_max = seconds(60);
constexpr auto letter_timeout = std::chrono::seconds(60);

bool is_quarantined(const queue::MessageInfo& info, std::string_view reason) {
  // Of very many different reasons some are not kept in memory (limits::defer_reasons_max).
  return info.next_attempt == queue::held_until &&
         (reason.empty() || reason.starts_with(relay::refused_reason));
}

}  // namespace

Digest::Digest(const std::string& queue_directory, observe::LogStream& log,
               spool::SegmentFiles& files, queue::SegmentPool& pool,
               const policy::Publisher& publisher, std::vector<std::unique_ptr<Shard>>& shards)
    : path_(queue_directory + "/digest"),
      log_(log),
      pool_(pool),
      publisher_(publisher),
      shards_(shards),
      reader_(files, files.geometry().segment_bytes) {}

Digest::~Digest() {
  stop();
}

void Digest::start() {
  thread_ = std::thread([this] { run(); });
}

void Digest::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  told_.notify_all();
  thread_.join();
}

void Digest::run() {
  if (!read_record()) save({}, io::wall_now());  // the first one is in an interval
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const Duration wait = look();
    lock.lock();
    told_.wait_for(lock, std::chrono::microseconds(wait.us), [&] { return stopping_; });
  }
}

bool Digest::read_record() {
  const auto content = io::read_file(path_, record_bytes_max);
  if (!content) {
    if (content.error().error_number != ENOENT)
      log_.line("bounce", "warning: {}", content.error().text);
    return false;
  }
  const auto record = parse_digest_record(as_text(content->buffer.bytes()));
  if (!record) {
    log_.line("bounce", "warning: {}: is no record of digests: made anew", path_);
    return false;
  }
  record_ = *record;
  return true;
}

void Digest::save(DigestRecord record, WallTime now) {
  record_ = std::move(record);
  record_.last_seconds = std::max<int64_t>(now.seconds(), 0);
  const std::string text = to_text(record_);
  const auto written = io::write_file_atomically(path_, as_bytes(text), 0600);
  if (!written && !unwritable_)
    log_.line("bounce", "warning: {}: after a restart digests of quarantined mail are repeated",
              written.error().text);
  unwritable_ = !written;
}

// Sends a digest when it is time; how long to wait until the next look.
Duration Digest::look() {
  const policy::SettingsPointer settings = publisher_.newest()->settings;
  const Duration interval = settings->bounces.quarantine_digest;
  if (interval.us <= 0) return look_interval_max;
  const WallTime now = io::wall_now();
  const WallTime last{record_.last_seconds * 1'000'000};
  const Duration since = now - last;
  if (since < Duration()) save(record_, now);  // the clock went back
  if (since < interval) return std::clamp(interval - since, milliseconds(100), look_interval_max);
  Found found;
  if (!find(found)) return look_interval_max;
  if (found.fresh > 0) {
    std::sort_heap(found.oldest.begin(), found.oldest.end());
    std::vector<mail::DigestEntry> entries;
    const uint64_t told = found.record.told.size();
    for (const Held& held : found.oldest) {
      mail::DigestEntry entry;
      // What moved while it was read is elsewhere now; what is still not there is gone.
      if (!describe(held, entry) && !describe(held, entry = {})) continue;
      entries.push_back(std::move(entry));
      found.record.told.insert(held.key);
    }
    mail::Digest digest;
    digest.hostname = settings->hostname;
    digest.config_directory = settings->config_directory;
    digest.entries = entries;
    digest.left_out = found.fresh - found.oldest.size();
    digest.told = told;
    digest.zone = observe::local_zone(now);
    if (!entries.empty() && !post(*settings, digest)) return look_interval_max;
  }
  // The ids begin with the time: the oldest are forgotten first, and told of again.
  while (found.record.told.size() > limits::digest_remembered_max)
    found.record.told.erase(found.record.told.begin());
  save(std::move(found.record), now);
  return std::min(interval, look_interval_max);
}

bool Digest::find(Found& found) {
  return std::ranges::all_of(shards_, [&](const auto& shard) {
    return shard->counters().recipients_held.get() == 0 || find(*shard, found);
  });
}

bool Digest::find(Shard& shard, Found& found) {
  struct Part {
    uint32_t cursor = 0;
    std::vector<Held> held;
  };
  for (uint32_t cursor = 0; cursor != queue::Index::none;) {
    const auto part = std::make_shared<Part>();
    part->cursor = cursor;
    const bool answered = ask(shard, [part](Shard& s) {
      queue::MessageInfo infos[page_messages];
      for (size_t page = 0; page < pages_a_task && part->cursor != queue::Index::none; ++page) {
        const size_t count = s.index().page(part->cursor, infos, page_messages);
        for (size_t i = 0; i < count; ++i)
          if (is_quarantined(infos[i], s.index().reason(infos[i].id)))
            part->held.push_back({infos[i].arrival, {infos[i].id, infos[i].attempts}, &s});
      }
    });
    if (!answered) return false;
    for (const Held& held : part->held) take(held, found);
    cursor = part->cursor;
  }
  return true;
}

void Digest::take(const Held& held, Found& found) {
  if (record_.told.contains(held.key)) {
    found.record.told.insert(held.key);
    return;
  }
  ++found.fresh;
  found.oldest.push_back(held);
  std::push_heap(found.oldest.begin(), found.oldest.end());
  if (found.oldest.size() <= limits::digest_messages_max) return;
  std::pop_heap(found.oldest.begin(), found.oldest.end());
  found.oldest.pop_back();
}

bool Digest::describe(const Held& held, mail::DigestEntry& entry) {
  const auto row = std::make_shared<std::optional<spool::QueuedMessage>>();
  const bool answered = ask(*held.shard, [row, key = held.key](Shard& s) {
    queue::MessageInfo info;
    if (s.index().find(key.first, info) && info.attempts == key.second)
      row->emplace(row_of(s, info));
  });
  if (!answered || !*row) return false;
  const spool::QueuedMessage& message = **row;
  const queue::Extent& extent = message.info.commit;
  const auto payload = reader_.record(extent, pool_.life(extent.segment), queue::RecordType::commit,
                                      message.info.id);
  queue::CommitView commit;
  mail::EnvelopeReader envelope;
  if (!payload || !commit.open(*payload) || !envelope.open(commit.envelope())) return false;
  entry.id = queue::to_text(message.info.id).view();
  entry.arrival = message.info.arrival;
  entry.size = envelope.head().size;
  entry.sender = envelope.head().sender;
  std::string_view reason = message.reason;
  if (reason.starts_with(relay::refused_reason)) reason.remove_prefix(relay::refused_reason.size());
  entry.reason = reason.substr(0, reason_shown_max);
  std::string_view address;
  size_t next = 0;
  for (uint32_t i = 0; next < message.pending.size() && envelope.next_recipient(address); ++i) {
    if (message.pending[next] != i) continue;
    ++next;
    if (entry.recipients.size() < limits::digest_recipients_max)
      entry.recipients.emplace_back(address);
    else
      ++entry.more_recipients;
  }
  return true;
}

// True: it is durable.
bool Digest::post(const config::Settings& settings, const mail::Digest& digest) {
  struct Result {
    std::mutex mutex;
    std::condition_variable known;
    std::optional<bool> told;
    void set(bool value) {
      const std::lock_guard lock(mutex);
      told = value;
      known.notify_all();
    }
  };
  const auto result = std::make_shared<Result>();
  relay::Letter letter{.to = settings.bounces.bounce_recipient,
                       .subject = mail::digest_subject(digest),
                       .text = mail::digest_text(digest),
                       .what = "digest of quarantined mail",
                       .done = [result](bool told) { result->set(told); }};
  const bool posted = shards_.front()->post([result, letter = std::move(letter)](Shard& s) {
    if (!s.post_letter(letter)) result->set(false);
  });
  if (!posted) return false;
  std::unique_lock lock(result->mutex);
  return result->known.wait_for(lock, letter_timeout, [&] { return result->told.has_value(); }) &&
         *result->told;
}

}  // namespace mx::shard
