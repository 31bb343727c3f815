#include "engine/session/intake.h"

#include <algorithm>
#include <cstring>

#include "proto/base/assert.h"

namespace mx::session {
namespace {

using Event = smtp::DataScanner::Event;

// A message of up to this many blocks is sent to the backend from memory; a larger one is read
// back.
constexpr uint32_t kept_blocks_max = 16;
// The promise to a body that outgrows it is extended in steps of this.
constexpr uint64_t promise_step = 1U << 20;
// Records, padding and envelope of a message, on top of its body.
constexpr uint64_t promise_overhead = 32U << 10;
constexpr uint32_t block_bytes = limits::body_block_bytes;

}  // namespace

void Intake::begin(spool::Spool& spool, const IntakeLimits& limits, uint64_t promised,
                   WallTime now) {
  MX_ASSERT(!active_);
  *this = Intake();
  limits_ = limits;
  promised_ = promised;
  active_ = true;
  spool.journal().begin(draft_, now);
}

void Intake::begin_chunk(const smtp::Chunk& chunk) {
  MX_ASSERT(ready_for_chunk() && chunk_left_ == 0);
  chunked_ = true;
  ended_ = done_ = false;
  chunk_left_ = chunk.bytes;
  last_chunk_ = chunk.last;
}

void Intake::push(spool::Spool& spool, std::string_view bytes) {
  if (current_.bytes > scanned_) {  // what is held back of the chunk before comes first
    pending_.append(block(spool) + scanned_, current_.bytes - scanned_);
    current_.bytes = scanned_;
  }
  pending_.append(bytes);
  if (chunked_) chunk_left_ -= bytes.size();
}

bool Intake::ensure_block(spool::Spool& spool) {
  if (current_.block != spool::no_block) return true;
  current_ = {spool.blocks().take(), 0};
  scanned_ = 0;
  return current_.block != spool::no_block;
}

MutableBytes Intake::space(spool::Spool& spool) {
  MX_ASSERT(active_ && pending_at_ == pending_.size());
  if (!ensure_block(spool)) return {};
  MX_ASSERT(current_.bytes < block_bytes);
  uint64_t room = block_bytes - current_.bytes;
  if (chunked_) room = std::min(room, chunk_left_);
  return {spool.blocks().at(current_.block) + current_.bytes, room};
}

void Intake::received(uint32_t bytes) {
  MX_ASSERT(current_.bytes + bytes <= block_bytes);
  current_.bytes += bytes;
  if (chunked_) chunk_left_ -= bytes;
}

void Intake::note(queue::Status status) {
  if (status == queue::Status::no_space) facts_.no_space = true;
  if (status == queue::Status::failed || status == queue::Status::too_large) facts_.failed = true;
}

// Counts body bytes as they are stored, and looks at them while they are headers.
void Intake::account(spool::Spool& spool, std::string_view stored) {
  stored_ += stored.size();
  facts_.size = stored_ - std::min(stored_, stuffed_dots());
  if (!headers_.done()) {
    headers_.feed(stored);
    facts_.received_headers = headers_.received_count();
    facts_.too_many_hops = facts_.received_headers + 1 >= limits_.hops;  // ours is one
  }
  if (limits_.message_size != 0 && facts_.size > limits_.message_size) facts_.too_big = true;
  while (!discarding() && stored_ + promise_overhead > promised_) {
    if (!spool.pool().reserve(promise_step)) {
      facts_.no_space = true;
      return;
    }
    promised_ += promise_step;
  }
}

queue::Status Intake::put_header(spool::Spool& spool) {
  if (header_put_) return queue::Status::ok;
  // Without a header of its own, the body must not run into ours; an mbox "From " line becomes a
  // header.
  const uint32_t own_size = header_.size();
  if (stored_ > 0 && headers_.first_line() == mail::HeaderScan::FirstLine::mailbox_from)
    header_.append("X-Mailbox-Line: ");
  else if (stored_ > 0 && !headers_.starts_with_header())
    header_.append("\r\n");
  const queue::Status status =
      spool.journal().append_chunk(draft_, queue::ChunkKind::header, as_bytes(header_.text()));
  if (status == queue::Status::later) header_.resize(own_size);
  header_put_ = status == queue::Status::ok;
  return status;
}

// Hands the scanned part of the current block to the journal and makes room. False: wait.
bool Intake::seal(spool::Spool& spool) {
  if (!discarding()) {
    queue::Status status = put_header(spool);
    if (status == queue::Status::ok && scanned_ > 0)
      status = spool.journal().append_chunk(draft_, queue::ChunkKind::body,
                                            as_bytes({block(spool), scanned_}));
    if (status == queue::Status::later) return false;
    note(status);
  }
  seal_done(spool);
  return true;
}

void Intake::seal_done(spool::Spool& spool) {
  char tail[4];
  const uint32_t tail_bytes = current_.bytes - scanned_;
  MX_ASSERT(tail_bytes < sizeof tail);
  std::memcpy(tail, block(spool) + scanned_, tail_bytes);
  if (discarding() || sealed_.size() == kept_blocks_max || !spool.blocks().plenty()) {
    forgetting_ = true;
    spool.blocks().give_back(sealed_);
    spool.blocks_freed();
  }
  if (forgetting_) {
    current_.bytes = 0;
    scanned_ = 0;
  } else {
    sealed_.push_back({current_.block, scanned_});
    current_ = {};
  }
  // The few bytes that wait for what follows go where they are scanned first.
  if (tail_bytes > 0) {
    if (pending_at_ == pending_.size()) {
      pending_.clear();
      pending_at_ = 0;
    }
    pending_.append(tail, tail_bytes);
  }
}

smtp::DataScanner::Step Intake::scan(std::string_view in) {
  return chunked_ ? chunk_scanner_.scan(in) : scanner_.scan(in);
}

uint64_t Intake::stuffed_dots() const {
  return chunked_ ? chunk_scanner_.stuffed_dots() : scanner_.stuffed_dots();
}

void Intake::on_event(Event event) {
  emit_.clear();
  bool fits = true;
  switch (event) {
    case Event::bare_lf:
      if (limits_.bare_newline == smtp::BareNewline::reject) facts_.bare_newline = true;
      fits = emit_.assign("\r\n");
      break;
    case Event::bare_cr:
      fits = emit_.assign(" ");
      break;
    case Event::leading_dot:
      fits = emit_.assign("..");
      break;
    case Event::end:
      ended_ = true;
      break;
    case Event::lone_dot:
    case Event::more:
      break;
  }
  MX_ASSERT(fits);
}

// Copies as much of `bytes` as there is room for; 0 with bytes left means: wait.
size_t Intake::store(spool::Spool& spool, std::string_view bytes) {
  if (discarding()) {
    account(spool, bytes);
    return bytes.size();
  }
  if (!ensure_block(spool)) return 0;
  MX_ASSERT(scanned_ == current_.bytes);
  if (current_.bytes == block_bytes && (!seal(spool) || !ensure_block(spool))) return 0;
  if (discarding()) return 0;  // the journal refused; the caller comes again
  const size_t n = std::min<size_t>(bytes.size(), block_bytes - current_.bytes);
  std::memcpy(block(spool) + current_.bytes, bytes.data(), n);
  current_.bytes += static_cast<uint32_t>(n);
  scanned_ = current_.bytes;
  account(spool, bytes.substr(0, n));
  return n;
}

// The held-back bytes at the end of pending_ go back into the block, where the next receive
// continues.
bool Intake::park_tail(spool::Spool& spool) {
  const std::string_view tail = pending_.text().substr(pending_at_);
  MX_ASSERT(tail.size() < 4);
  if (!ensure_block(spool)) return false;
  if (current_.bytes + 4 > block_bytes && !seal(spool)) return false;
  if (!ensure_block(spool)) return false;
  std::memcpy(block(spool) + current_.bytes, tail.data(), tail.size());
  current_.bytes += static_cast<uint32_t>(tail.size());
  pending_.clear();
  pending_at_ = 0;
  return true;
}

// Works through what the last step left and then through pending_. False: wait.
bool Intake::drain(spool::Spool& spool) {
  while (true) {
    while (unstored_ > 0) {
      const size_t n = store(spool, pending_.text().substr(pending_at_, unstored_));
      if (n == 0 && !discarding()) return false;
      pending_at_ += n;
      unstored_ -= n;
    }
    pending_at_ += event_bytes_;
    event_bytes_ = 0;
    while (!emit_.empty()) {
      const FixedText<3> emit = emit_;
      const size_t n = store(spool, emit.view());
      if (n == 0 && !discarding()) return false;
      const bool fits = emit_.assign(emit.view().substr(n));
      MX_ASSERT(fits);
    }
    if (ended_) return true;
    if (pending_at_ == pending_.size()) {
      pending_.clear();
      pending_at_ = 0;
      return true;
    }
    const std::string_view in = pending_.text().substr(pending_at_);
    const smtp::DataScanner::Step step = scan(in);
    unstored_ = step.clean;
    event_bytes_ = step.taken - step.clean;
    on_event(step.event);
    if (step.event == Event::more && step.clean == 0) return park_tail(spool);
  }
}

// Scans in place. False: wait (for room to seal a full block).
bool Intake::scan_block(spool::Spool& spool) {
  if (current_.block == spool::no_block || current_.bytes == scanned_) return true;
  const std::string_view in(block(spool) + scanned_, current_.bytes - scanned_);
  const smtp::DataScanner::Step step = scan(in);
  account(spool, in.substr(0, step.clean));
  scanned_ += static_cast<uint32_t>(step.clean);
  on_event(step.event);
  if (step.event == Event::more) return true;
  // What follows the event is taken out of the block: it is scanned (or, after the end, is
  // commands) next.
  pending_.append(in.substr(step.taken));
  current_.bytes = scanned_;
  return true;
}

// All bytes of the chunk are in. The last one completes the last line. False: wait.
bool Intake::end_chunk(spool::Spool& spool) {
  ended_ = true;
  if (!last_chunk_) return true;
  const bool held_back = current_.bytes > scanned_;  // a CR
  current_.bytes = scanned_;
  bool fits = !held_back || emit_.append(" ");
  if (held_back || !chunk_scanner_.line_start()) fits = fits && emit_.append("\r\n");
  MX_ASSERT(fits);
  return drain(spool);
}

Intake::Step Intake::advance(spool::Spool& spool) {
  MX_ASSERT(active_ && !done_);
  const bool slow = pending_at_ < pending_.size() || unstored_ > 0 || !emit_.empty();
  if (!slow && !ended_) scan_block(spool);
  if (!drain(spool)) return Step::wait;
  const bool chunk_over = chunked_ && chunk_left_ == 0 && !ended_;
  if (chunk_over && !end_chunk(spool)) return Step::wait;
  if (ended_) {
    done_ = true;
    if (discarding()) {
      spool.blocks().give_back(sealed_);
      scanned_ = current_.bytes = 0;
    }
    return Step::end;
  }
  // Room for at least a few bytes more, so that space() is never empty for want of it.
  if (current_.block != spool::no_block && (discarding() || current_.bytes + 16 > block_bytes)) {
    if (!seal(spool)) return Step::wait;
    if (pending_at_ < pending_.size() && !park_tail(spool)) return Step::wait;
  }
  return Step::more;
}

queue::Status Intake::commit(spool::Spool& spool, uint16_t recipient_count, Bytes envelope,
                             uint64_t cookie) {
  MX_ASSERT(done_ && !discarding());
  queue::Status status = put_header(spool);
  if (status != queue::Status::ok) return status;
  if (!body_put_ && scanned_ > 0) {
    status = spool.journal().append_chunk(draft_, queue::ChunkKind::body,
                                          as_bytes({block(spool), scanned_}));
    if (status != queue::Status::ok) return status;
  }
  body_put_ = true;
  return spool.journal().commit(draft_, recipient_count, envelope, cookie);
}

bool Intake::keep(spool::Spool& spool, spool::Message& message) {
  if (forgetting_ || !spool.blocks().plenty()) return false;
  message.in_memory = true;
  message.header = header_;
  message.parts = std::move(sealed_);
  if (current_.block != spool::no_block) {
    message.parts.push_back({current_.block, scanned_});
    current_ = {};
  }
  return true;
}

void Intake::reset(spool::Spool& spool) {
  if (!active_) return;
  if (draft_.open()) spool.journal().abandon(draft_);
  if (promised_ > 0) spool.pool().release(promised_);
  spool.blocks().give_back(sealed_);
  if (current_.block != spool::no_block) spool.blocks().give_back(current_.block);
  spool.blocks_freed();
  *this = Intake();
}

}  // namespace mx::session
