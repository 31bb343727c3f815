#include "queue/reader.h"

#include "proto/base/assert.h"
#include "proto/base/endian.h"

namespace mx::queue {

Window window_of(const Extent& extent) {
  const uint32_t begin = extent.offset / block_bytes * block_bytes;
  const uint32_t end = extent.offset + record_bytes(extent.length);
  return {begin, (end - begin + block_bytes - 1) / block_bytes * block_bytes};
}

std::optional<Bytes> decode_record(Bytes window, const Extent& extent, const Life& life,
                                   RecordType type, MessageId id) {
  const uint32_t total = record_bytes(extent.length);
  const uint32_t skip = extent.offset % block_bytes;
  if (window.size() < size_t{skip} + total) return std::nullopt;
  const Bytes record = window.subspan(skip, total);
  const auto header = read_record_header(record, life, extent.offset);
  if (!header || header->length != extent.length || header->type != type || header->id != id ||
      !payload_verifies(*header, record.subspan(record_header_bytes), life, extent.offset))
    return std::nullopt;
  return record.subspan(record_header_bytes, extent.length);
}

// COMMIT payload: u16 version, u16 recipients, u32 chunks, i64 arrival, u32 envelope length, u32
// zero; then per chunk u64 sequence, u64 payload hash, u32 segment, u32 offset, u32 length, u32
// type; then the envelope.
bool CommitView::open(Bytes payload) {
  if (payload.size() < commit_head_bytes) return false;
  const std::byte* from = payload.data();
  if (load_le<uint16_t>(from) != 1) return false;
  recipient_count_ = load_le<uint16_t>(from + 2);
  chunk_count_ = load_le<uint32_t>(from + 4);
  arrival_ = {load_le<int64_t>(from + 8)};
  const uint64_t envelope_length = load_le<uint32_t>(from + 16);
  const uint64_t chunk_bytes = uint64_t{chunk_count_} * commit_chunk_bytes;
  if (recipient_count_ == 0 || commit_head_bytes + chunk_bytes + envelope_length != payload.size())
    return false;
  chunks_ = payload.subspan(commit_head_bytes, chunk_bytes);
  envelope_ = payload.subspan(commit_head_bytes + chunk_bytes);
  for (uint32_t i = 0; i < chunk_count_; ++i) {
    const RecordType type = chunk(i).type;
    if (type != RecordType::header_chunk && type != RecordType::body_chunk) return false;
  }
  return true;
}

ChunkRef CommitView::chunk(uint32_t i) const {
  MX_ASSERT(i < chunk_count_);
  const std::byte* from = chunks_.data() + size_t{i} * commit_chunk_bytes;
  const uint32_t type = load_le<uint32_t>(from + 28);
  return {.type = type <= 255 ? static_cast<RecordType>(type) : RecordType::none,
          .extent = {load_le<uint32_t>(from + 16), load_le<uint32_t>(from + 20),
                     load_le<uint32_t>(from + 24)},
          .sequence = load_le<uint64_t>(from),
          .payload_hash = load_le<uint64_t>(from + 8)};
}

void write_commit_head(std::byte* to, uint16_t recipient_count, uint32_t chunk_count,
                       WallTime arrival, uint32_t envelope_length) {
  store_le(to, uint16_t{1});
  store_le(to + 2, recipient_count);
  store_le(to + 4, chunk_count);
  store_le(to + 8, arrival.us);
  store_le(to + 16, envelope_length);
  store_le(to + 20, uint32_t{0});
}

void write_commit_chunk(std::byte* to, const ChunkRef& chunk) {
  store_le(to, chunk.sequence);
  store_le(to + 8, chunk.payload_hash);
  store_le(to + 16, chunk.extent.segment);
  store_le(to + 20, chunk.extent.offset);
  store_le(to + 24, chunk.extent.length);
  store_le(to + 28, static_cast<uint32_t>(chunk.type));
}

}  // namespace mx::queue
