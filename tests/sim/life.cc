#include "tests/sim/life.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>

#include "proto/base/assert.h"
#include "queue/compaction.h"

namespace mx::sim {
namespace {

constexpr uint32_t buffer_bytes = 64U << 10;
constexpr uint32_t index_capacity = 4096;

std::string random_text(Prng& prng, size_t length) {
  std::string text(length, '\0');
  for (size_t i = 0; i < length; i += 8) {
    const uint64_t word = prng.next();
    for (size_t k = 0; k < 8 && i + k < length; ++k)
      text[i + k] = static_cast<char>(word >> (8 * k));
  }
  return text;
}

}  // namespace

Weather draw_weather(Prng& prng) {
  const auto one_of = [&](std::initializer_list<uint32_t> values) {
    return *(values.begin() + prng.below(values.size()));
  };
  Weather weather;
  weather.faults.sector_bytes = one_of({512, 4096});
  weather.faults.arrives_percent = one_of({0, 10, 50, 90, 99, 100});
  weather.faults.garbage_percent = one_of({0, 0, 0, 50});
  weather.segment_bytes = one_of({64U << 10, 64U << 10, 128U << 10});
  weather.segment_count = one_of({23, 25, 32});
  weather.shards = one_of({1, 1, 2, 3});
  weather.big_percent = one_of({0, 5, 30});
  weather.many_percent = one_of({0, 5, 40});
  weather.stuck_percent = one_of({0, 2, 10});
  weather.deliver_percent = one_of({20, 60, 90});
  weather.abandon_percent = one_of({0, 5, 30});
  weather.bytes_max = one_of({300, 3000, 20000});
  weather.compact_percent = one_of({0, 20, 100});
  weather.ends_segments = one_of({0, 0, 1}) != 0;
  return weather;
}

struct MarkRecord {
  queue::MessageId id;
  uint32_t first = 0;
  uint32_t count = 0;
  uint16_t attempts = 0;
};

// One stream's way to the disk: its completions come when the simulation says so.
struct Port final : queue::Device {
  Port(Disk& on, const std::function<void()>& at_operation) : disk(on), operation(at_operation) {}
  void write(uint32_t segment, uint32_t offset, Bytes data) override {
    under_way = {Operation::write, segment, data.size()};
    disk.write(segment, offset, data);
    operation();
  }
  void flush(uint32_t segment) override { under_way = {Operation::flush, segment, 0}; }
  void read_back(uint32_t segment, uint32_t offset, MutableBytes into) override {
    disk.read(segment, offset, into);
    under_way = {Operation::read, segment, into.size()};
  }

  enum class Operation : uint8_t { write, flush, read };
  struct UnderWay {
    Operation operation = Operation::write;
    uint32_t segment = 0;
    size_t bytes = 0;
  };
  Disk& disk;
  const std::function<void()>& operation;
  UnderWay under_way;
};

queue::JournalSettings of_stream(queue::JournalSettings settings, queue::Stream stream) {
  settings.stream = stream;
  return settings;
}

struct Life::Shard final : queue::Readers {
  Shard(Life& of, uint32_t number, const queue::JournalSettings& settings)
      : life(of),
        shard(number),
        memory(static_cast<std::byte*>(
            std::aligned_alloc(queue::block_bytes, size_t{6} * buffer_bytes))),
        port(of.disk_, of.operation_),
        bulk_port(of.disk_, of.operation_),
        cold_port(of.disk_, of.operation_),
        index(index_capacity, of.weather_.segment_count),
        journal(settings, of.pool_, port, index, {memory, buffer_bytes},
                {memory + buffer_bytes, buffer_bytes}),
        bulk(of_stream(settings, queue::Stream::bulk), of.pool_, bulk_port, index,
             {memory + 2 * buffer_bytes, buffer_bytes}, {memory + 3 * buffer_bytes, buffer_bytes}),
        cold(of_stream(settings, queue::Stream::cold), of.pool_, cold_port, index,
             {memory + 4 * buffer_bytes, buffer_bytes}, {memory + 5 * buffer_bytes, buffer_bytes}),
        compaction({.shard = number,
                    .age = {0},
                    .look = milliseconds(300),
                    .age_low = {0},
                    .look_low = milliseconds(100)},
                   journal, of.pool_, index) {
    journal.use_bulk(bulk);
    journal.use_cold(cold);
    journal.use_readers(this);
    compaction.use_readers(this);
  }
  ~Shard() { std::free(memory); }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  Life& life;
  uint32_t shard;
  std::byte* memory;
  bool reads(queue::MessageId id) override { return reading && reading->info.id == id; }

  // A message on its way out: where it stood when that began.
  struct Reading {
    queue::MessageInfo info;
    queue::Life life;
  };

  Port port, bulk_port, cold_port;
  queue::Index index;
  queue::Journal journal, bulk, cold;
  queue::Compaction compaction;
  std::optional<queue::Compaction::Read> compaction_read;
  std::optional<Reading> reading;
  queue::Draft draft;
  std::shared_ptr<const Content> content;
  size_t sent = 0;
  bool draft_stuck = false;
  uint16_t recipients = 0;
  bool refused = false;
  std::vector<queue::MessageId> queue;  // acknowledged, not done
  std::vector<MarkRecord> marks_waiting, marks_flying;
};

Life::Life(const Weather& weather, Disk& disk, Oracle& oracle, const queue::Recovered& recovered,
           uint64_t seed, uint64_t fail_at, std::function<void()> operation)
    : weather_(weather),
      disk_(disk),
      oracle_(oracle),
      prng_(seed),
      fail_at_(fail_at),
      operation_(std::move(operation)),
      pool_({weather.segment_bytes, weather.segment_count}, weather.shards,
            queue::SegmentPool::reserve_min(weather.shards)) {
  queue::adopt(recovered, pool_);
  const uint64_t epoch = prng_.next();
  for (uint32_t i = 0; i < weather.shards; ++i)
    shards_.push_back(
        std::make_unique<Shard>(*this, i,
                                queue::JournalSettings{.shard = static_cast<uint16_t>(i),
                                                       .epoch = epoch,
                                                       .largest_known_id = recovered.largest_id}));
  for (const queue::RecoveredMessage& message : recovered.messages) {
    Shard& shard = *shards_[pool_.owner(message.commit.segment)];
    const bool fits = shard.journal.adopt(message);
    MX_ASSERT(fits);
    if (!oracle_.messages()[message.id].stuck) shard.queue.push_back(message.id);
  }
}

Life::~Life() = default;

bool Life::fails_now() {
  if (++operations_ == fail_at_) return true;
  return fail_at_ != 0 && operations_ > fail_at_ && prng_.chance(weather_.fails_again_percent);
}

bool Life::anything_failed() const {
  return pool_.device_failed();
}

std::shared_ptr<const Content> Life::make_content() {
  auto content = std::make_shared<Content>();
  content->header = random_text(prng_, 20 + prng_.below(400));
  const uint64_t limit =
      prng_.chance(weather_.big_percent) ? weather_.segment_bytes * 2 : weather_.bytes_max;
  content->body = random_text(prng_, prng_.below(limit));
  content->envelope = random_text(prng_, 10 + prng_.below(200));
  return content;
}

void Life::compose(Shard& shard) {
  shard.journal.begin(shard.draft, {static_cast<int64_t>(prng_.below(1000))});
  shard.content = make_content();
  shard.sent = 0;
  shard.draft_stuck = prng_.chance(weather_.stuck_percent);
  shard.recipients =
      static_cast<uint16_t>(1 + prng_.below(prng_.chance(weather_.many_percent) ? 300 : 4));
  // The clock stands still here, so an id of which no trace is on disk any more does come again.
  Tracked& tracked = oracle_.messages()[shard.draft.id()];
  if (tracked.fate == Fate::committed || tracked.fate == Fate::acknowledged)
    wrong_ = "an id was given twice";
  tracked = Tracked{};
  tracked.content = shard.content;
}

// The next piece of the draft; the COMMIT after the last one.
void Life::go_on(Shard& shard) {
  queue::Journal& journal = shard.journal;
  if (!shard.draft.open()) compose(shard);
  const auto give_up = [&] {
    oracle_.messages()[shard.draft.id()].content.reset();
    journal.abandon(shard.draft);
  };
  for (;;) {
    const Content& content = *shard.content;
    const size_t all = content.header.size() + content.body.size();
    queue::Status status = queue::Status::ok;
    if (shard.sent == 0) {
      status =
          journal.append_chunk(shard.draft, queue::ChunkKind::header, as_bytes(content.header));
      if (status == queue::Status::ok) shard.sent = content.header.size();
    } else if (shard.sent < all) {
      const size_t at = shard.sent - content.header.size();
      const size_t length = std::min<size_t>(content.body.size() - at, journal.chunk_bytes_max());
      status = journal.append_chunk(shard.draft, queue::ChunkKind::body,
                                    as_bytes(content.body).subspan(at, length));
      if (status == queue::Status::ok) shard.sent += length;
      if (prng_.chance(weather_.abandon_percent)) return give_up();
      if (status == queue::Status::ok && prng_.chance(30)) return;  // the client is slow
    } else {
      const queue::MessageId id = shard.draft.id();
      Tracked& tracked = oracle_.messages()[id];
      tracked.done.assign(shard.recipients, false);
      tracked.durably_done = tracked.done;
      tracked.stuck = shard.draft_stuck;
      status = journal.commit(shard.draft, shard.recipients, as_bytes(content.envelope), id.value);
      if (status == queue::Status::ok) {
        tracked.fate = Fate::committed;
        return;
      }
    }
    if (status == queue::Status::ok) continue;
    if (status == queue::Status::later) return;
    return give_up();  // no space, or failed
  }
}

void Life::deliver(Shard& shard) {
  if (shard.queue.empty()) return;
  const size_t at = prng_.below(shard.queue.size());
  const queue::MessageId id = shard.queue[at];
  if (shard.reads(id)) return;
  Tracked& tracked = oracle_.messages()[id];
  const uint32_t count = static_cast<uint32_t>(tracked.done.size());
  if (prng_.chance(30)) {
    const uint16_t attempts = static_cast<uint16_t>(tracked.attempts + 1);
    tracked.attempts = attempts;
    if (!shard.journal.mark_deferred(id, {now_.us + 1000}, attempts,
                                     prng_.chance(50) ? "connection refused" : "timed out", now_))
      wrong_ = "mark_deferred refused";
    shard.marks_waiting.push_back({id, 0, 0, attempts});
    return;
  }
  uint32_t first = static_cast<uint32_t>(prng_.below(count));
  uint32_t length = 1 + static_cast<uint32_t>(prng_.below(count - first));
  if (prng_.chance(60)) first = 0, length = count;
  if (!shard.journal.mark_done(id, first, length, now_)) wrong_ = "mark_done refused";
  for (uint32_t i = first; i < first + length; ++i) tracked.done[i] = true;
  shard.marks_waiting.push_back({id, first, length, 0});
  if (tracked.all_done()) {
    shard.queue[at] = shard.queue.back();
    shard.queue.pop_back();
  }
}

void Life::take_results(Shard& shard) {
  queue::CommitResult result;
  while (shard.journal.next_result(result)) {
    Tracked& tracked = oracle_.messages()[result.id];
    if (result.cookie != result.id.value || tracked.fate != Fate::committed) wrong_ = "odd result";
    if (!result.ok) continue;
    if (anything_failed()) wrong_ = "acknowledged after a failure";
    tracked.fate = Fate::acknowledged;
    if (!tracked.stuck) shard.queue.push_back(result.id);
  }
}

void Life::acknowledge_marks(Shard& shard) {
  if (anything_failed()) marks_after_failure_ += shard.marks_flying.size();
  for (const MarkRecord& mark : shard.marks_flying) {
    Tracked& tracked = oracle_.messages()[mark.id];
    for (uint32_t i = mark.first; i < mark.first + mark.count; ++i) tracked.durably_done[i] = true;
    tracked.durable_attempts = std::max(tracked.durable_attempts, mark.attempts);
    if (tracked.fate == Fate::acknowledged &&
        std::find(tracked.durably_done.begin(), tracked.durably_done.end(), false) ==
            tracked.durably_done.end()) {
      tracked.fate = Fate::gone;
      tracked.content.reset();
    }
  }
  shard.marks_flying.clear();
}

void Life::pump(Shard& shard) {
  const queue::Health health = shard.journal.health();
  const uint64_t before = shard.journal.stats().marks + shard.journal.stats().relocated;
  const bool was_busy = shard.journal.busy();
  shard.journal.pump(now_);
  note_failure(shard, health);
  if (was_busy || !shard.journal.busy()) return;
  // No mark waits in the journal any more: all are in the batch that is now under way.
  if (shard.journal.stats().marks + shard.journal.stats().relocated != before &&
      !shard.journal.marks_wait()) {
    shard.marks_flying.insert(shard.marks_flying.end(), shard.marks_waiting.begin(),
                              shard.marks_waiting.end());
    shard.marks_waiting.clear();
  }
}

// What was under way is not believed: it is written again, or never.
void Life::note_failure(Shard& shard, queue::Health before) {
  const queue::Health health = shard.journal.health();
  if (health == before) return;
  if (health == queue::Health::marks_only) ++salvages_;
  if (health != queue::Health::settling && health != queue::Health::stopped) return;
  shard.marks_waiting.insert(shard.marks_waiting.end(), shard.marks_flying.begin(),
                             shard.marks_flying.end());
  shard.marks_flying.clear();
}

void Life::complete(Shard& shard) {
  // One of the streams, whichever is under way.
  const std::pair<queue::Journal*, Port*> streams[] = {{&shard.journal, &shard.port},
                                                       {&shard.bulk, &shard.bulk_port},
                                                       {&shard.cold, &shard.cold_port}};
  size_t choice = prng_.below(3);
  for (int i = 0; i < 2 && !streams[choice].first->busy(); ++i) choice = (choice + 1) % 3;
  queue::Journal& journal = *streams[choice].first;
  if (!journal.busy()) return;
  const Port::UnderWay done = streams[choice].second->under_way;
  const queue::Health health = shard.journal.health();
  const bool fails = fails_now();
  if (done.operation == Port::Operation::read) {
    journal.on_read_back(fails ? -EIO : static_cast<int64_t>(done.bytes));
    // No new point for a crash: the disk is as it was after the flush.
    note_failure(shard, health);
    return take_results(shard);
  } else if (done.operation == Port::Operation::write) {
    int64_t result = static_cast<int64_t>(done.bytes);
    if (fails) {
      disk_.crash(prng_);  // what it had of others may be gone as well
      result = prng_.chance(50) ? -EIO : static_cast<int64_t>(prng_.below(done.bytes));
    }
    journal.on_write(result);
  } else {
    if (fails) {
      disk_.crash(prng_);
    } else {
      disk_.flush(done.segment);
    }
    operation_();
    const uint64_t batches = shard.journal.stats().batches;
    journal.on_flush(fails ? -EIO : 0);
    if (shard.journal.stats().batches != batches) acknowledge_marks(shard);
  }
  note_failure(shard, health);
  take_results(shard);
  operation_();
}

void Life::compact(Shard& shard) {
  if (!shard.compaction_read) {
    shard.compaction_read = shard.compaction.step(now_, {1'000'000'000});
    return;
  }
  const queue::Compaction::Read read = *std::exchange(shard.compaction_read, std::nullopt);
  int64_t result = disk_.read(read.segment, read.offset, read.into);
  if (fails_now()) {
    ++reads_failed_;
    result = prng_.chance(50) ? -EIO : static_cast<int64_t>(prng_.below(read.into.size()));
  }
  shard.compaction.on_read(result);
  shard.compaction_read = shard.compaction.step(now_, {1'000'000'000});
  if (shard.compaction.take_damaged() && reads_failed_ == 0 && !weather_.astray)
    wrong_ = "compaction saw damage";
}

// A delivery begins, or reads what it is about: where the message was when it began it still is.
void Life::read_back(Shard& shard) {
  if (!shard.reading) {
    if (shard.queue.empty()) return;
    shard.reading.emplace();
    if (!shard.index.find(shard.queue[prng_.below(shard.queue.size())], shard.reading->info))
      wrong_ = "not in the index";
    shard.reading->life = pool_.life(shard.reading->info.commit.segment);
    return;
  }
  const auto [info, life] = *std::exchange(shard.reading, std::nullopt);
  const auto fetch = [&](const queue::Extent& extent, const queue::Life& of, queue::RecordType type,
                         std::vector<std::byte>& bytes) {
    const queue::Window window = queue::window_of(extent);
    bytes.resize(window.length);
    disk_.read(extent.segment, window.offset, bytes);
    return queue::decode_record(bytes, extent, of, type, info.id);
  };
  std::vector<std::byte> bytes, chunk_bytes;
  const auto payload = fetch(info.commit, life, queue::RecordType::commit, bytes);
  queue::CommitView view;
  bool whole = payload && view.open(*payload);
  for (uint32_t i = 0; whole && i < view.chunk_count(); ++i) {
    const queue::ChunkRef chunk = view.chunk(i);
    whole =
        fetch(chunk.extent, pool_.life(chunk.extent.segment), chunk.type, chunk_bytes).has_value();
  }
  if (!whole && !weather_.astray) wrong_ = "a message was taken away from under its reader";
}

void Life::step() {
  Shard& shard = *shards_[prng_.below(shards_.size())];
  now_ = now_ + milliseconds(static_cast<int64_t>(prng_.below(anything_failed() ? 20 : 100)));
  switch (prng_.below(6)) {
    case 0:
      if (shard.journal.accepting()) go_on(shard);
      break;
    case 1:
      if (shard.journal.health() != queue::Health::stopped &&
          prng_.chance(weather_.deliver_percent))
        deliver(shard);
      break;
    case 2:
      complete(shard);
      break;
    case 3:
      if (prng_.chance(weather_.compact_percent)) compact(shard);
      break;
    case 4:
      read_back(shard);
      break;
    case 5:
      if (weather_.ends_segments && prng_.below(300) == 0 &&
          pool_.free_segments() > pool_.reserve_segments())
        shard.journal.end_segments();
      break;
  }
  pump(shard);
  take_results(shard);
}

void Life::run(uint32_t steps) {
  for (uint32_t i = 0; i < steps && wrong_.empty(); ++i) step();
}

std::string Life::drain() {
  for (const auto& shard : shards_) {
    if (shard->draft.open()) {
      oracle_.messages()[shard->draft.id()].content.reset();
      shard->journal.abandon(shard->draft);
    }
    shard->journal.hurry();
    shard->reading.reset();
  }
  for (auto& [id, tracked] : oracle_.messages()) {
    if (!tracked.stuck) continue;
    tracked.stuck = false;
    if (tracked.fate != Fate::acknowledged) continue;
    for (const auto& shard : shards_) {
      queue::MessageInfo info;
      if (shard->index.find(id, info)) shard->queue.push_back(id);
    }
  }
  for (int turn = 0; turn < 20'000; ++turn) {
    for (const auto& shard : shards_) {
      if (!shard->queue.empty()) deliver(*shard);
      if (turn == 5000) shard->compaction.stop();
      compact(*shard);
      pump(*shard);
      complete(*shard);
      now_ = now_ + milliseconds(20);
    }
  }
  if (!wrong_.empty()) return wrong_;
  for (const auto& shard : shards_) {
    if (!shard->queue.empty() || shard->index.size() != 0) return "messages left over";
    if (!shard->journal.idle()) return "journal not idle";
  }
  uint32_t in_use = 0;
  for (uint32_t segment = 0; segment < weather_.segment_count; ++segment)
    if (pool_.state(segment) != queue::SegmentState::free) ++in_use;
  // One open segment a stream.
  if (in_use > 3 * shards_.size()) return "segments do not come free: " + std::to_string(in_use);
  return {};
}

std::vector<uint64_t> Life::batches() const {
  std::vector<uint64_t> of_each;
  for (const auto& shard : shards_) of_each.push_back(shard->journal.stats().batches);
  return of_each;
}

uint64_t Life::segments_emptied() const {
  uint64_t sum = 0;
  for (const auto& shard : shards_) sum += shard->compaction.segments_emptied();
  return sum;
}

queue::JournalStats Life::stats() const {
  queue::JournalStats sum;
  for (const auto& shard : shards_) {
    const queue::JournalStats& one = shard->journal.stats();
    sum.batches += one.batches;
    sum.messages += one.messages;
    sum.bulk_batches += shard->bulk.stats().batches;
    sum.marks += one.marks;
    sum.relocated += one.relocated;
    sum.moved += one.moved;
    sum.segments_claimed += one.segments_claimed;
    sum.segments_retired += one.segments_retired;
    sum.refused_later += one.refused_later;
    sum.refused_no_space += one.refused_no_space;
  }
  return sum;
}

}  // namespace mx::sim
