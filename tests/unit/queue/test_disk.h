// tests/unit/queue/test_disk.h - a device that does what it is told at once, or fails when told to,
// and a journal over it.
#pragma once

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "queue/journal.h"
#include "queue/reader.h"
#include "queue/recovery.h"

namespace mx::queue::test {

inline constexpr uint32_t buffer_bytes = 64U << 10;

struct Disk final : Device, SegmentReader {
  explicit Disk(Geometry g)
      : geometry(g), images(g.segment_count, std::vector<std::byte>(g.segment_bytes)) {}

  void write(uint32_t segment, uint32_t offset, Bytes data) override {
    ++writes;
    pending = Pending::write;
    length = static_cast<int64_t>(data.size());
    if (offset == drop_offset) return;
    std::memcpy(images[segment].data() + offset, data.data(), data.size());
  }
  void flush(uint32_t) override {
    ++flushes;
    pending = Pending::flush;
  }
  void read_back(uint32_t segment, uint32_t offset, MutableBytes into) override {
    length = read(segment, offset, into);
    pending = Pending::read;
  }
  int64_t read(uint32_t segment, uint32_t offset, MutableBytes into) override {
    if (unreadable_segment == segment && offset <= unreadable_offset &&
        unreadable_offset < offset + into.size())
      return -5;
    std::memcpy(into.data(), images[segment].data() + offset, into.size());
    return static_cast<int64_t>(into.size());
  }

  Geometry geometry;
  std::vector<std::vector<std::byte>> images;
  enum class Pending : uint8_t { none, write, flush, read } pending = Pending::none;
  int64_t length = 0;
  uint32_t writes = 0, flushes = 0;
  uint32_t unreadable_segment = UINT32_MAX;
  uint32_t unreadable_offset = 0;
  uint32_t drop_offset = UINT32_MAX;  // writes to there don't arrive, and nothing is said
};

// The completion of what `device` has under way; false when that is nothing.
template <typename Pending>
bool report(Pending& device, Journal& journal, bool well) {
  switch (std::exchange(device.pending, Disk::Pending::none)) {
    case Disk::Pending::none:
      return false;
    case Disk::Pending::write:
      journal.on_write(well ? device.length : -5);
      break;
    case Disk::Pending::flush:
      journal.on_flush(well ? 0 : -5);
      break;
    case Disk::Pending::read:
      journal.on_read_back(well ? device.length : -5);
      break;
  }
  return true;
}

struct Rig {
  explicit Rig(Disk& on, uint32_t reserve = 5, uint64_t epoch = 77)
      : disk(on),
        memory(static_cast<std::byte*>(std::aligned_alloc(block_bytes, size_t{2} * buffer_bytes))),
        recovered(recover(on, on.geometry)),
        pool(on.geometry, 1, reserve),
        index(1000, on.geometry.segment_count),
        journal({.shard = 0, .epoch = epoch, .largest_known_id = recovered.largest_id}, pool, on,
                index, {memory, buffer_bytes}, {memory + buffer_bytes, buffer_bytes}) {
    adopt(recovered, pool);
    for (const RecoveredMessage& message : recovered.messages)
      adopted += journal.adopt(message) ? 1U : 0U;
  }
  ~Rig() { std::free(memory); }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  // One completion; false when nothing is under way.
  bool complete(bool well = true) { return report(disk, journal, well); }
  void settle() {
    for (int i = 0; i < 1000; ++i) {
      journal.pump(now);
      if (!complete()) return;
    }
  }
  Status stage(std::string_view body, uint16_t recipients = 1, uint64_t cookie = 0) {
    Draft draft;
    journal.begin(draft, wall);
    last_id = draft.id();
    Status status = journal.append_chunk(draft, ChunkKind::header, as_bytes("Received: x\r\n"));
    if (status == Status::ok) status = journal.append_chunk(draft, ChunkKind::body, as_bytes(body));
    if (status == Status::ok)
      status = journal.commit(draft, recipients, as_bytes("envelope"), cookie);
    if (status != Status::ok) journal.abandon(draft);
    return status;
  }
  MessageId accept(std::string_view body, uint16_t recipients = 1) {
    Status status = stage(body, recipients);
    for (int i = 0; status == Status::later && i < 10; ++i) {  // a footer goes first
      settle();
      status = stage(body, recipients);
    }
    if (status != Status::ok) return {};
    const MessageId id = last_id;
    settle();
    CommitResult result;
    bool acknowledged = false;
    while (journal.next_result(result))
      acknowledged = acknowledged || (result.ok && result.id == id);
    return acknowledged ? id : MessageId{};
  }

  Disk& disk;
  std::byte* memory;
  Recovered recovered;
  SegmentPool pool;
  Index index;
  Journal journal;
  uint32_t adopted = 0;
  Instant now{1'000'000};
  WallTime wall{1'790'000'000'000'000};
  MessageId last_id;
};

inline std::string body_of(SegmentReader& reader, const Recovered& recovered,
                           const RecoveredMessage& message) {
  const auto fetch = [&](const Extent& extent, RecordType type, std::vector<std::byte>& bytes) {
    const Window window = window_of(extent);
    bytes.resize(window.length);
    reader.read(extent.segment, window.offset, bytes);
    return decode_record(bytes, extent, recovered.segments[extent.segment].life, type, message.id);
  };
  std::vector<std::byte> bytes, chunk_bytes;
  const auto payload = fetch(message.commit, RecordType::commit, bytes);
  CommitView view;
  if (!payload || !view.open(*payload)) return "no COMMIT";
  std::string body;
  for (uint32_t i = 0; i < view.chunk_count(); ++i) {
    const ChunkRef chunk = view.chunk(i);
    const auto piece = fetch(chunk.extent, chunk.type, chunk_bytes);
    if (!piece) return "no chunk";
    if (chunk.type == RecordType::body_chunk) body += as_text(*piece);
  }
  return body;
}

}  // namespace mx::queue::test
