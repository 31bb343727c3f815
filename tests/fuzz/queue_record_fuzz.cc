// Journal records and whole segments from hostile bytes. The first byte chooses: 0 the parsers of
// payloads and blocks; else recovery over a pool of two segments whose first one begins with the
// input. In the latter case every record header found in the input at a multiple of 8 is given its
// right checks first (they are no barrier to a disk that an attacker writes), so that what lies
// behind the checks is reached too.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "proto/base/assert.h"
#include "proto/base/endian.h"
#include "queue/footer.h"
#include "queue/mark_format.h"
#include "queue/reader.h"
#include "queue/recovery.h"

namespace {

using namespace mx;
using namespace mx::queue;

void parse(Bytes bytes) {
  CommitView commit;
  if (commit.open(bytes)) {
    uint64_t sum = commit.envelope().size();
    for (uint32_t i = 0; i < commit.chunk_count(); ++i) sum += commit.chunk(i).extent.length;
    MX_ASSERT(commit.recipient_count() > 0 || sum == 0);
  }
  StateMark state;
  if (parse_state(bytes, state)) {
    std::vector<std::byte> again(bytes.size());
    write_state(again.data(), state);
    StateMark same;
    MX_ASSERT(parse_state(again, same));
    MX_ASSERT(same.reason == state.reason && same.attempts == state.attempts);
  }
  SurvivorsMark survivors;
  if (parse_survivors(bytes, survivors))
    for (uint32_t i = 0; i < survivors.count; ++i) static_cast<void>(survivors.id(i));
  MovedMark moved;
  if (parse_moved(bytes, moved)) {
    std::byte again[moved_bytes];
    write_moved(again, moved);
    MX_ASSERT(std::ranges::equal(bytes, Bytes(again)));
  }
  FooterPart part;
  if (part.open(bytes)) {
    FooterEntry entry;
    uint64_t sum = 0;
    while (part.next(entry)) sum += entry.payload.size() + entry.others.size();
    MX_ASSERT(sum <= bytes.size());
  }
  static_cast<void>(parse_trailer(bytes));
  static_cast<void>(read_record_header(bytes, {1, 1}, 0));
  if (bytes.size() == block_bytes) {
    static_cast<void>(read_segment_header(bytes));
    static_cast<void>(read_grave(bytes, 0));
    static_cast<void>(read_trailer(bytes, 0, 0));
  }
  const auto id = parse_message_id(as_text(bytes));
  if (id) MX_ASSERT(parse_message_id(to_text(*id).view()) == *id);
}

constexpr Geometry geometry{segment_bytes_min, 2};

struct Memory final : SegmentReader {
  int64_t read(uint32_t segment, uint32_t offset, MutableBytes into) override {
    std::memset(into.data(), 0, into.size());
    if (segment != 0) return 0;
    std::memcpy(into.data(), image.data() + offset, into.size());
    return static_cast<int64_t>(into.size());
  }
  std::vector<std::byte> image = std::vector<std::byte>(segment_bytes_min);
};

void recover_from(Bytes input) {
  Memory memory;
  const Life life{1, 1};
  write_segment_header(MutableBytes(memory.image).subspan(header_offset, block_bytes),
                       {.segment = 0, .geometry = geometry, .life = life});
  std::memcpy(memory.image.data() + records_offset, input.data(),
              std::min<size_t>(input.size(), segment_bytes_min - records_offset));
  for (uint32_t at = records_offset; at + record_header_bytes <= segment_bytes_min;) {
    std::byte* record = memory.image.data() + at;
    const uint32_t length = load_le<uint32_t>(record + 4);
    const uint8_t type = load_le<uint8_t>(record + 8);
    if (type == 0 || length > segment_bytes_min || record_bytes(length) > segment_bytes_min - at) {
      at += record_alignment;
      continue;
    }
    seal_record(record, life, at,
                {.length = length,
                 .type = static_cast<RecordType>(type),
                 .batch = load_le<uint32_t>(record + 12),
                 .id = {load_le<uint64_t>(record + 16)}});
    at += record_bytes(length);
  }
  const Recovered recovered = recover(memory, geometry);
  SegmentPool pool({segment_bytes_min, 2}, 1, SegmentPool::reserve_min(1));
  if (recovered.refusal.empty()) adopt(recovered, pool);
  for (const RecoveredMessage& message : recovered.messages) {
    uint32_t at = 0;
    for (const auto& [first, count] : message.pending) {
      MX_ASSERT(first >= at && count > 0 && first + count <= message.recipient_count);
      at = first + count;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Bytes bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  if (data[0] == 0) {
    parse(bytes);
  } else {
    recover_from(bytes);
  }
  return 0;
}
