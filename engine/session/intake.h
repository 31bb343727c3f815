// engine/session/intake.h - takes one message body from the socket's bytes to a durable commit.
//
// Bytes are received straight into a block of the spool and scanned in place. Clean text, which is
// nearly all, is never moved: a block is copied into the journal's batch when it is full or the
// body ends. At the first event that changes bytes (a bare CR or LF, a lone dot that ends nothing)
// the rest of what was received goes through a slower path that copies while it normalises, in
// linear time.
//
// The chunks of BDAT come one after another in the same way; they become the wire form of DATA
// (smtp::ChunkScanner), so that what is stored and sent has one form.
//
// A step can have to wait (`Step::wait`): for a block of memory or for room in the journal's batch;
// the owner calls again after Spool::take_room_signal(). Whatever is refused in the middle (too
// big, no space, device failed) is received to its end and thrown away, so that the dialogue stays
// in step.
//
// Owner and threads: one session of one shard; every call gets the Spool.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/spool/spool.h"
#include "proto/mail/header_scan.h"
#include "proto/smtp/chunk_scanner.h"
#include "proto/smtp/data_scanner.h"
#include "proto/smtp/server.h"

namespace mx::session {

struct IntakeLimits {
  uint64_t message_size = 0;  // 0: none
  uint32_t hops = 50;
  smtp::BareNewline bare_newline = smtp::BareNewline::normalize;
};

class Intake {
 public:
  enum class Step : uint8_t { more, wait, end };

  // Starts a message: draws its id. `header` is our header block (ends in CRLF); set_header() may
  // follow the id. REQUIRES idle(). `promised` bytes are reserved in the segment pool for it;
  // reset() and commit() give them back.
  void begin(spool::Spool& spool, const IntakeLimits& limits, uint64_t promised, WallTime now);
  bool idle() const { return !active_; }
  // The message comes by BDAT: the next chunk; Step::end is its end. REQUIRES ready_for_chunk().
  bool ready_for_chunk() const { return active_ && (done_ || !chunked_); }
  void begin_chunk(const smtp::Chunk& chunk);
  // Bytes of the chunk that are still to be received, or pushed.
  uint64_t chunk_left() const { return chunk_left_; }
  queue::MessageId id() const { return draft_.id(); }
  spool::HeaderBlock& header() { return header_; }

  // Memory for the next receive; empty: none is free, wait.
  MutableBytes space(spool::Spool& spool);
  // `bytes` more are in the memory that space() gave.
  void received(uint32_t bytes);
  // Deals with what was received. On `end`, bytes that follow the final dot are in rest(); behind a
  // chunk there are none.
  Step advance(spool::Spool& spool);
  // Bytes that came by another way (behind the DATA command in one segment).
  void push(spool::Spool& spool, std::string_view bytes);
  std::string_view rest() const { return pending_.text().substr(pending_at_); }

  const smtp::BodyFacts& facts() const { return facts_; }
  bool eight_bit_header() const { return headers_.eight_bit(); }

  // After Step::end: hands the message to the journal. ok: a result with `cookie` follows.
  // `later`: call again after room.
  queue::Status commit(spool::Spool& spool, uint16_t recipient_count, Bytes envelope,
                       uint64_t cookie);
  // The committed message's bytes for immediate delivery: moves them into `message`, or gives the
  // blocks back when they are no longer all in memory or memory is short (then false).
  bool keep(spool::Spool& spool, spool::Message& message);
  // Ends the message in whatever state it is; everything goes back.
  void reset(spool::Spool& spool);

 private:
  bool discarding() const {
    return facts_.too_big || facts_.no_space || facts_.failed || facts_.bare_newline;
  }
  char* block(spool::Spool& spool) const {
    return reinterpret_cast<char*>(spool.blocks().at(current_.block));
  }
  bool ensure_block(spool::Spool& spool);
  bool seal(spool::Spool& spool);
  void seal_done(spool::Spool& spool);
  queue::Status put_header(spool::Spool& spool);
  void note(queue::Status status);
  void account(spool::Spool& spool, std::string_view stored);
  smtp::DataScanner::Step scan(std::string_view in);
  uint64_t stuffed_dots() const;
  void on_event(smtp::DataScanner::Event event);
  bool end_chunk(spool::Spool& spool);
  bool scan_block(spool::Spool& spool);
  bool drain(spool::Spool& spool);
  size_t store(spool::Spool& spool, std::string_view bytes);
  bool park_tail(spool::Spool& spool);

  smtp::DataScanner scanner_;
  smtp::ChunkScanner chunk_scanner_;
  mail::HeaderScan headers_;
  IntakeLimits limits_;
  smtp::BodyFacts facts_;
  queue::Draft draft_;
  spool::HeaderBlock header_;
  spool::BodyParts sealed_;  // blocks already in the journal, kept for delivery
  spool::BodyPart current_;  // being filled; bytes: received so far
  uint32_t scanned_ = 0;     // of current_.bytes; the rest (at most 3 bytes) waits for what follows
  uint64_t stored_ = 0;      // body bytes as stored
  uint64_t promised_ = 0;    // bytes reserved in the pool for this message
  // The slower path: bytes outside the block, where the scan stands in them, what the last step
  // found.
  SmallVector<char, 16> pending_;
  size_t pending_at_ = 0;
  size_t unstored_ = 0;     // clean bytes from pending_at_ on
  size_t event_bytes_ = 0;  // behind them: to be skipped
  FixedText<3> emit_;       // to be stored in their place
  uint64_t chunk_left_ = 0;
  bool active_ = false;
  bool chunked_ = false;
  bool last_chunk_ = false;
  bool ended_ = false;  // all of the body, or of the chunk, has been seen
  bool done_ = false;   // … and stored: Step::end was said
  bool header_put_ = false;
  bool body_put_ = false;    // the last block is in the journal
  bool forgetting_ = false;  // sealed blocks are not kept: the message is too large for that
};

}  // namespace mx::session
