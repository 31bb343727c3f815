#include "queue/footer.h"

#include <algorithm>
#include <cstring>

#include "proto/base/assert.h"
#include "proto/base/endian.h"
#include "queue/segment_scan.h"

namespace mx::queue {
namespace {

// The last batch of a segment ends within this of the segment's end, or the segment was left early
// and has no footer.
constexpr uint32_t tail_searched = 1U << 20;
constexpr uint32_t parts_max = 4096;

}  // namespace

void FooterEntries::clear() {
  bytes_.clear();
  largest_entry_ = 0;
  largest_id_ = {};
}

std::byte* FooterEntries::grow(uint32_t size) {
  const size_t at = bytes_.size();
  bytes_.resize(at + size);
  largest_entry_ = std::max(largest_entry_, size);
  return bytes_.data() + at;
}

void FooterEntries::add_commit(const MessageInfo& info, std::span<const OtherSegment> others) {
  std::byte* to = grow(footer_commit_cost(static_cast<uint32_t>(others.size())));
  store_le(to, static_cast<uint8_t>(RecordType::commit));
  store_le(to + 1, info.size_class);
  store_le(to + 2, info.recipient_count);
  store_le(to + 4, static_cast<uint32_t>(others.size()));
  store_le(to + 8, info.id.value);
  store_le(to + 16, info.commit.offset);
  store_le(to + 20, info.commit.length);
  store_le(to + 24, info.arrival.us);
  to += footer_commit_bytes;
  for (const OtherSegment& other : others) {
    store_le(to, other.sequence);
    store_le(to + 8, other.share.segment);
    store_le(to + 12, other.share.bytes);
    to += footer_other_bytes;
  }
  saw(info.id);
}

void FooterEntries::add_mark(RecordType type, MessageId id, Bytes payload) {
  const auto length = static_cast<uint32_t>(payload.size());
  const uint32_t size = footer_mark_cost(length);
  std::byte* to = grow(size);
  std::memset(to, 0, size);
  store_le(to, static_cast<uint8_t>(type));
  store_le(to + 4, length);
  store_le(to + 8, id.value);
  if (length > 0) std::memcpy(to + footer_mark_bytes, payload.data(), length);
  saw(id);
}

namespace {

// Of the entry at the front; 0: there is no whole one.
uint64_t entry_size(Bytes rest) {
  if (rest.size() < footer_mark_bytes) return 0;
  const uint64_t number = load_le<uint32_t>(rest.data() + 4);
  const auto type = static_cast<RecordType>(load_le<uint8_t>(rest.data()));
  const uint64_t size = type == RecordType::commit
                            ? footer_commit_bytes + number * footer_other_bytes
                            : footer_mark_bytes + ((number + 7) & ~uint64_t{7});
  return size <= rest.size() ? size : 0;
}

}  // namespace

Bytes FooterEntries::piece(uint32_t at, uint32_t room, uint64_t& count) const {
  const Bytes rest = Bytes(bytes_).subspan(at);
  uint64_t end = 0;
  count = 0;
  while (true) {
    const uint64_t size = entry_size(rest.subspan(end));
    if (size == 0 || end + size > room) break;
    end += size;
    ++count;
  }
  return rest.first(end);
}

void write_footer_head(std::byte* to, const FooterHead& head) {
  store_le(to, head.part);
  store_le(to + 4, uint32_t{head.last});
  store_le(to + 8, head.previous_offset);
  store_le(to + 12, uint32_t{0});
  store_le(to + 16, head.largest_id.value);
  store_le(to + 24, head.entries);
}

bool FooterPart::open(Bytes payload) {
  *this = {};
  if (payload.size() < footer_head_bytes) return false;
  const std::byte* from = payload.data();
  const uint32_t last = load_le<uint32_t>(from + 4);
  head_ = {.part = load_le<uint32_t>(from),
           .last = last == 1,
           .previous_offset = load_le<uint32_t>(from + 8),
           .largest_id = {load_le<uint64_t>(from + 16)},
           .entries = load_le<uint64_t>(from + 24)};
  rest_ = payload.subspan(footer_head_bytes);
  left_ = head_.entries;
  return last <= 1;
}

bool FooterPart::next(FooterEntry& entry) {
  if (left_ == 0) {
    malformed_ = malformed_ || !rest_.empty();
    return false;
  }
  const uint64_t size = entry_size(rest_);
  const std::byte* from = rest_.data();
  entry.type = size == 0 ? RecordType::none : static_cast<RecordType>(load_le<uint8_t>(from));
  const bool is_commit = entry.type == RecordType::commit;
  if (!is_commit && entry.type != RecordType::done && entry.type != RecordType::state &&
      entry.type != RecordType::survivors && entry.type != RecordType::moved) {
    malformed_ = true;
    left_ = 0;
    return false;
  }
  const uint32_t number = load_le<uint32_t>(from + 4);
  entry.id = {load_le<uint64_t>(from + 8)};
  entry.others.clear();
  entry.payload = {};
  if (is_commit) {
    entry.size_class = load_le<uint8_t>(from + 1);
    entry.recipients = load_le<uint16_t>(from + 2);
    entry.offset = load_le<uint32_t>(from + 16);
    entry.length = load_le<uint32_t>(from + 20);
    entry.arrival = {load_le<int64_t>(from + 24)};
    for (uint32_t i = 0; i < number; ++i) {
      const std::byte* other = from + footer_commit_cost(i);
      entry.others.push_back({{load_le<uint32_t>(other + 8), load_le<uint32_t>(other + 12)},
                              load_le<uint64_t>(other)});
    }
  } else {
    entry.payload = rest_.subspan(footer_mark_bytes, number);
  }
  rest_ = rest_.subspan(size);
  --left_;
  return true;
}

namespace {

// The trailer of the last batch, if it ends where a footer's would.
std::optional<BatchTrailer> last_trailer(SegmentView& view, uint32_t segment,
                                         uint32_t segment_bytes, const Life& life) {
  const uint32_t least =
      std::max(records_offset, segment_bytes - std::min(segment_bytes, tail_searched));
  for (uint32_t at = segment_bytes - block_bytes; at >= least; at -= block_bytes) {
    const auto trailer = read_trailer(view.at(at, block_bytes), segment, at);
    if (trailer && trailer->life == life) return trailer;
  }
  return std::nullopt;
}

std::optional<FoundRecord> footer_at(SegmentView& view, uint32_t segment_bytes, const Life& life,
                                     uint32_t offset) {
  if (offset % record_alignment != 0 || offset > segment_bytes - record_header_bytes)
    return std::nullopt;
  const auto header = read_record_header(view.at(offset, record_header_bytes), life, offset);
  if (!header || header->type != RecordType::footer) return std::nullopt;
  const uint32_t left = segment_bytes - offset;
  if (header->length > left - record_header_bytes || record_bytes(header->length) > left)
    return std::nullopt;
  const Bytes padded = view.at(offset, record_bytes(header->length)).subspan(record_header_bytes);
  if (!payload_verifies(*header, padded, life, offset)) return std::nullopt;
  return FoundRecord{*header, offset, padded.first(header->length)};
}

}  // namespace

std::optional<Footer> read_footer(SegmentReader& reader, uint32_t segment, uint32_t segment_bytes,
                                  const Life& life) {
  SegmentView view(reader, segment, segment_bytes, tail_searched);
  // All of the tail at once: the search goes backward.
  const uint32_t tail = std::min(segment_bytes - records_offset, tail_searched);
  static_cast<void>(view.at(segment_bytes - tail, tail));
  const auto trailer = last_trailer(view, segment, segment_bytes, life);
  if (!trailer) return std::nullopt;
  Footer footer;
  footer.last_batch = trailer->number;
  uint32_t offset = trailer->begin;
  while (true) {
    const auto record = footer_at(view, segment_bytes, life, offset);
    FooterPart part;
    if (!record || !part.open(record->payload) || part.head().last != footer.parts.empty() ||
        footer.parts.size() >= parts_max)
      return std::nullopt;
    footer.parts.emplace_back(record->payload.begin(), record->payload.end());
    if (part.head().part == 0) break;
    if (part.head().previous_offset >= offset) return std::nullopt;  // never forward, no ring
    offset = part.head().previous_offset;
  }
  std::reverse(footer.parts.begin(), footer.parts.end());
  for (uint32_t i = 0; i < footer.parts.size(); ++i) {
    FooterPart part;
    FooterEntry entry;
    const bool opened = part.open(footer.parts[i]);
    MX_ASSERT(opened);
    while (part.next(entry)) {
    }
    if (part.malformed() || part.head().part != i) return std::nullopt;
  }
  return footer;
}

}  // namespace mx::queue
