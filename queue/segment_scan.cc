#include "queue/segment_scan.h"

#include <algorithm>

#include "proto/base/assert.h"

namespace mx::queue {
namespace {

constexpr uint32_t scanned_at_once = 64U << 10;
constexpr uint32_t face_bytes = 3 * block_bytes;  // grave, header, the first block of records

uint32_t align_up(uint32_t value) {
  return (value + block_bytes - 1) / block_bytes * block_bytes;
}

}  // namespace

Bytes SegmentView::at(uint32_t offset, uint32_t length) {
  MX_ASSERT(offset <= segment_bytes_ && length <= segment_bytes_ - offset);
  if (offset < begin_ || offset + length > end_) {
    const uint32_t begin = offset / block_bytes * block_bytes;
    const uint32_t wanted = std::max(window_bytes_, align_up(offset + length) - begin);
    fill(begin, std::min(segment_bytes_ - begin, wanted) + begin);
  }
  return Bytes(memory_).subspan(offset - begin_, length);
}

void SegmentView::fill(uint32_t begin, uint32_t end) {
  memory_.resize(end - begin);
  begin_ = begin;
  end_ = end;
  const int64_t got = reader_.read(segment_, begin, memory_);
  if (got >= 0) {
    std::fill(memory_.begin() + got, memory_.end(), std::byte{0});
    return;
  }
  // Somewhere in there: block by block, so that one bad sector costs one block.
  for (uint32_t at = 0; at < end - begin; at += block_bytes) {
    const MutableBytes block = MutableBytes(memory_).subspan(at, block_bytes);
    const int64_t part = reader_.read(segment_, begin + at, block);
    if (part < 0) ++unreadable_blocks_;
    const size_t valid = part > 0 ? static_cast<size_t>(part) : 0;
    std::fill(block.begin() + static_cast<std::ptrdiff_t>(valid), block.end(), std::byte{0});
  }
}

namespace {

// The header block is lost: every batch says at its end whose it is. The last one of the youngest
// life that has not ended.
std::optional<BatchTrailer> youngest_trailer(SegmentView& view, uint32_t segment,
                                             uint32_t segment_bytes, uint64_t ended) {
  std::optional<BatchTrailer> best;
  for (uint32_t offset = header_offset; offset < segment_bytes; offset += block_bytes) {
    const auto trailer = read_trailer(view.at(offset, block_bytes), segment, offset);
    if (!trailer || trailer->life.sequence <= ended) continue;
    if (!best || trailer->life.sequence >= best->life.sequence) best = trailer;
  }
  return best;
}

void refuse(SegmentFace& face, std::string text) {
  face.kind = SegmentFace::Kind::refused;
  face.text = std::move(text);
}

}  // namespace

SegmentFace read_face(SegmentReader& reader, uint32_t segment, const Geometry& geometry) {
  SegmentFace face;
  alignas(block_bytes) std::byte first[block_bytes];  // for owners that read past the page cache
  if (reader.read(segment, grave_offset, first) == 0) return face;

  SegmentView view(reader, segment, geometry.segment_bytes, face_bytes);
  const Bytes head = view.at(0, face_bytes);
  const Bytes grave_block = head.first(block_bytes);
  const Bytes header_block = head.subspan(header_offset, block_bytes);
  const auto grave = read_grave(grave_block, segment);
  const auto grave_copy = read_grave(header_block, segment);
  const auto header = read_segment_header(header_block);
  const uint64_t ended = std::max(grave.value_or(0), grave_copy.value_or(0));
  face.largest_sequence = ended;

  if (!grave && !all_zero(grave_block)) face.text = "grave block damaged";
  if (grave && !unused_bytes_are_zero(grave_block, true))
    face.text = "stray bytes in the grave block";
  if (header && !unused_bytes_are_zero(header_block, false))
    face.text = "stray bytes in the header block";
  if (header && header->segment == segment) {
    face.largest_sequence = std::max(ended, header->life.sequence);
    face.header = *header;
    face.kind = header->life.sequence > ended ? SegmentFace::Kind::alive : SegmentFace::Kind::free;
    if (header->version > format_version) {
      refuse(face, "written by a newer version of the format");
    } else if (face.kind == SegmentFace::Kind::alive &&
               header->geometry.segment_bytes != geometry.segment_bytes) {
      refuse(face, "written with another segment size");
    }
    return face;
  }
  if (grave_copy) {
    face.kind = SegmentFace::Kind::free;
    return face;
  }
  if (all_zero(head) && view.unreadable_blocks() == 0) {
    face.kind = SegmentFace::Kind::free;
    return face;
  }
  SegmentView whole(reader, segment, geometry.segment_bytes);
  const auto trailer = youngest_trailer(whole, segment, geometry.segment_bytes, ended);
  if (trailer) {
    face.largest_sequence = std::max(ended, trailer->life.sequence);
    face.kind = SegmentFace::Kind::alive;
    face.header_lost = true;
    face.header = {.segment = segment,
                   .shard = trailer->shard,
                   .stream = trailer->stream,
                   .geometry = geometry,
                   .life = trailer->life};
    face.text = "header block unreadable; read by the trailers of its batches";
    if (trailer->version > format_version) refuse(face, "written by a newer version of the format");
    return face;
  }
  face.may_be_torn = view.unreadable_blocks() == 0;
  face.kind =
      view.unreadable_blocks() != 0 ? SegmentFace::Kind::unreadable : SegmentFace::Kind::free;
  face.text = face.kind == SegmentFace::Kind::free ? "header block damaged, nothing in it"
                                                   : "can't be read";
  return face;
}

bool SegmentWalk::record_at(uint32_t offset, FoundRecord& record, MessageId& broken) {
  const auto header = read_record_header(view_.at(offset, record_header_bytes), life_, offset);
  if (!header) return false;
  const uint32_t left = segment_bytes_ - offset;
  if (header->length > left - record_header_bytes || record_bytes(header->length) > left)
    return false;
  const uint32_t total = record_bytes(header->length);
  const Bytes bytes = view_.at(offset, total);
  if (!payload_verifies(*header, bytes.subspan(record_header_bytes), life_, offset)) {
    broken = header->id;
    return false;
  }
  record = {*header, offset, bytes.subspan(record_header_bytes, header->length)};
  return true;
}

// The next place from `at` on that may begin a record, or the segment's end.
uint32_t SegmentWalk::next_candidate(uint32_t at) {
  while (at + record_header_bytes <= segment_bytes_) {
    const uint32_t length = std::min(scanned_at_once, segment_bytes_ - at);
    const std::byte* const bytes = view_.at(at, length).data();
    const uint32_t end = length - record_header_bytes;
    uint32_t i = 0;
    while (i <= end && !may_be_record_header(bytes + i)) i += record_alignment;
    at += i;
    if (i <= end) return at;
  }
  return segment_bytes_;
}

bool SegmentWalk::next(FoundRecord& record) {
  MessageId broken;
  const uint32_t begin = offset_;
  uint32_t at = begin;
  bool found = false;
  for (; (at = next_candidate(at)) < segment_bytes_; at += record_alignment) {
    MessageId here;
    found = record_at(at, record, here);
    if (at == begin) broken = here;
    if (found) break;
  }
  if (at != begin)
    gaps_.push_back({.begin = begin,
                     .end = at,
                     .after_trailer = after_trailer_,
                     .before = last_batch_,
                     .after = found ? std::optional(record.header.batch) : std::nullopt,
                     .id = broken});
  if (!found) {
    offset_ = segment_bytes_;
    return false;
  }
  offset_ = at + record_bytes(record.header.length);
  after_trailer_ = record.header.type == RecordType::batch;
  last_batch_ = record.header.batch;
  return true;
}

}  // namespace mx::queue
